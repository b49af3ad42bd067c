"""The container that jobs run in, as far as the machine that submits can tell."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from gta.config import SiteConfig
from gta.finding import Finding, missing, ok, problem
from launch.slurm import cluster
from launch.submit.container import PYXIS, is_file


def container(site: SiteConfig, on_slurm: bool) -> Iterator[Finding]:
    """The image, and what starts it. Nothing is started: what is in the image, the first job says."""
    if site.container is None:
        return
    if not on_slurm:
        yield problem(
            "container", f"site.container={site.container} is for jobs of Slurm, and cells run on this machine",
            "Say hydra/launcher=slurm, or site.container=null.",
        )  # fmt: skip
    image = Path(site.container).expanduser()
    if not is_file(site.container):
        yield ok("container", f"{site.container}: whether it can be had is seen by the jobs")
    elif os.access(image, os.R_OK):
        yield ok("container", str(image))
    else:
        yield problem(
            "container", f"the image {image} is not there, or cannot be read",
            "Build it (containers/ in the repository has recipes), or name another: site.container=FILE.",
        )  # fmt: skip
    for folder in (bind.split(":")[0] for bind in site.container_binds):
        if not os.path.isdir(folder):
            yield missing("container", f"{folder} of site.container_binds is not here", "Is it there on the nodes?")
    yield _runtime(site.container_runtime)


def _runtime(name: str) -> Finding:
    if name != PYXIS:
        if shutil.which(name):
            return ok("container", f"{name} is on the PATH here")
        return missing(
            "container", f"{name} is not on the PATH here",
            f"It has to be there on the nodes: a module may bring it, by site.setup (module load {name}).",
        )  # fmt: skip
    if "--container-image" in (cluster.ask("srun", "--help") or ""):
        return ok("container", "srun has pyxis's --container-image")
    return problem(
        "container", "srun knows no --container-image: pyxis is not set up here",
        "Ask the cluster's administrators, or use site.container_runtime=apptainer.",
    )  # fmt: skip
