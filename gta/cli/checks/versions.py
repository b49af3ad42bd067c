"""Which versions work together: those that the installed project wants, and why they are what they are."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import TYPE_CHECKING

from gta.finding import Finding, missing, ok, problem
from gta.provenance.environment import version_of

if TYPE_CHECKING:
    from packaging.requirements import Requirement

PROJECT = "gta-seg"
WHY = {
    "torch": "what this code was tried on",
    "hydra-core": "hydra-submitit-launcher 1.2 does not know 1.4",
    "submitit": "hydra-submitit-launcher 1.2 works with it",
    "hydra-submitit-launcher": "the launchers are subclasses of its own",
    "mlflow": "3.18.0 cannot be installed whole: its mlflow-skinny was never published",
}
# opencv-python and opencv-python-headless write into one folder: whichever came last wins
RIVALS = {"opencv-python": "opencv-python-headless", "hydra": "hydra-core"}


def python_and_packages() -> Iterator[Finding]:
    """Python, and every package that the project stands on."""
    from packaging.requirements import Requirement  # one of those packages
    from packaging.specifiers import SpecifierSet

    running = f"{platform.python_version()}, {sys.executable}"
    try:
        project = metadata.distribution(PROJECT)
    except metadata.PackageNotFoundError:
        yield ok("python", running)
        yield missing(
            "packages", "the project is not installed here, so the versions that it wants are not known", "make install"
        )
        return
    pythons = SpecifierSet(project.metadata["Requires-Python"])
    if pythons.contains(platform.python_version(), prereleases=True):
        yield ok("python", running)
    else:
        yield problem("python", f"{running}; {pythons} is wanted", "Make the environment anew: make clean install.")
    wanted = [requirement for requirement in map(Requirement, project.requires or []) if _needed(requirement)]
    wrong = [found for requirement in wanted if (found := _wrong(requirement))]
    yield from wrong or [ok("packages", f"{len(wanted)} in versions that work together")]
    for rival, mine in RIVALS.items():
        if version := version_of(rival):
            advice = f"pip uninstall {rival}, reinstall {mine}."
            yield missing("packages", f"{rival} {version} lies in the place of {mine}", advice)


def _needed(requirement: Requirement) -> bool:
    """By the project itself here, not by one of its extras or on another platform."""
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def _wrong(requirement: Requirement) -> Finding | None:
    name, wanted = requirement.name, requirement.specifier
    advice = f"pip install '{name}{wanted}'"
    version = version_of(name)
    if version is None:
        return problem("packages", f"{name} is not installed", advice)
    if wanted.contains(version, prereleases=True):
        return None
    reason = f" ({WHY[name]})" if name in WHY else ""
    return problem("packages", f"{name} {version} is not {wanted}{reason}", advice)
