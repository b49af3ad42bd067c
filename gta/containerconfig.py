"""The settings of a site's container (`site.container`, `site.container_runtime` ...)."""

from __future__ import annotations

from dataclasses import dataclass

from gta.fields import neutral
from gta.ranges import WORD


@dataclass(frozen=True, kw_only=True)
class ContainerConfig:
    """What Slurm jobs run in; `launch.submit.container` says how they get into it."""

    container: str | None = neutral(
        None, "Image that Slurm jobs run in: a file (.sif, .sqsh) or docker://NAME; null: none.", text=WORD
    )
    container_runtime: str = neutral("apptainer", "What starts it.", choices=("apptainer", "singularity", "pyxis"))
    container_binds: list[str] = neutral([], "More folders for it: FOLDER, or FOLDER:WHERE.", text=WORD)
    container_python: str = neutral("python3", "Python 3.11 or 3.12 in it.", text=WORD)
