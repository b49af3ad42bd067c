"""Which versions work together: the ranges of pyproject.toml, and why they are what they are."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from gta.finding import Finding, missing, ok, problem
from gta.provenance.environment import version_of

PYTHON = ((3, 11), (3, 13))  # from, and before
# package -> (versions, why these)
RANGES = {
    "torch": (">=2.11,<2.14", "what this code was tried on"),
    "numpy": (">=1.26", ""),
    "opencv-python-headless": (">=4.10,<5", ""),
    "pillow": (">=10", ""),
    "hydra-core": (">=1.3.8,<1.4", "hydra-submitit-launcher 1.2 does not know 1.4"),
    "submitit": (">=1.5.4,<2", "hydra-submitit-launcher 1.2 works with it"),
    "hydra-submitit-launcher": (">=1.2,<2", "the launchers are subclasses of its own"),
    "mlflow": (">=3.10,!=3.18.0,<4", "3.18.0 cannot be installed whole: its mlflow-skinny was never published"),
    "pandas": (">=2.2,<4", ""),
    "matplotlib": (">=3.9,<4", ""),
    "tabulate": (">=0.9", ""),
    "rich": (">=13", ""),
}
# opencv-python and opencv-python-headless write into one folder: whichever came last wins
RIVALS = {"opencv-python": "opencv-python-headless", "hydra": "hydra-core"}


def check() -> Iterator[Finding]:
    """Python, and every package that the project stands on."""
    running = ".".join(map(str, sys.version_info[:3]))
    if PYTHON[0] <= sys.version_info[:2] < PYTHON[1]:
        yield ok("python", f"{running}, {sys.executable}")
    else:
        yield problem("python", f"{running}; 3.11 or 3.12 is wanted", "Make the environment anew: make clean install.")
    wrong = list(_packages())
    yield from wrong or [ok("packages", f"{len(RANGES)} in versions that work together")]
    for rival, mine in RIVALS.items():
        if found := version_of(rival):
            yield missing(
                "packages", f"{rival} {found} lies in the place of {mine}", f"pip uninstall {rival}, reinstall {mine}."
            )


def _packages() -> Iterator[Finding]:
    from packaging.specifiers import SpecifierSet

    for name, (wanted, why) in RANGES.items():
        found = version_of(name)
        if found is None:
            yield problem("packages", f"{name} is not installed", f"pip install '{name}{wanted}'")
        elif not SpecifierSet(wanted).contains(found, prereleases=True):
            reason = f" ({why})" if why else ""
            yield problem("packages", f"{name} {found} is not {wanted}{reason}", f"pip install '{name}{wanted}'")
