"""Jobs inside a container (`site.container`): the words of Apptainer or of srun's pyxis, and what the job's script does
for those within, who have none of Slurm's programs.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gta.compose import sbatch
from gta.config import Config, SiteConfig
from gta.errors import UserError
from launch.job.start import REQUEUE

WAIT_SECONDS = 30  # for Slurm to end a job that is put back
PYXIS = "pyxis"
ONCE_A_NODE = 'srun --ntasks="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1'


@dataclass(frozen=True)
class Container:
    """How a job's ranks get into the container of their site. `binds`: folders of the host, each at its own place;
    `local`: those that the job's script makes on its nodes.
    """

    image: str
    runtime: str
    python: str
    binds: tuple[str, ...]
    local: tuple[str, ...]
    gpus: bool

    @classmethod
    def of(cls, configs: Sequence[Config]) -> Container | None:
        """For cells of one site; None where it names no container. Raises UserError for a folder that no runtime could
        be told of.
        """
        site = configs[0].site
        if site.container is None:
            return None
        binds = [*site.container_binds, *_whole(folder for config in configs for folder in _folders(config))]
        for text in binds:
            if "," in text or (":" in text and text not in site.container_binds):
                raise UserError(f"{text}: a container's runtime takes no comma or colon in a folder; rename it.")
        named = {name: text for name, text in (("site.stage", site.stage), ("site.cache", site.cache)) if text}
        for name, text in named.items():
            if "$" in text and site.container_runtime == PYXIS:
                raise UserError(
                    f"{name}={text}: pyxis reads no variables; name a folder without them, or use no {name}."
                )
        found, local = tuple(dict.fromkeys(binds)), tuple(dict.fromkeys(named.values()))
        return cls(_image(site), site.container_runtime, site.container_python, found, local, bool(sbatch.gpus(site)))

    def setup(self, folder: Path) -> list[str]:
        """Lines of the script before srun; `folder`: of the submission."""
        # the site's lines, before these, may have said `set -eu`: that would end the script ahead of `teardown`
        lines = ["set +eu", f'export {REQUEUE}={shlex.quote(str(folder / "requeue"))}-"$SLURM_JOB_ID"']
        lines.append(f'rm -f "${REQUEUE}"')
        folders = " ".join(map(expanding, self.local))
        return [*lines, *([f"{ONCE_A_NODE} mkdir -p {folders}"] if folders else [])]

    def srun(self) -> list[str]:
        """Words for srun itself."""
        if self.runtime != PYXIS:
            return []
        mounts = ",".join(bind if ":" in bind else f"{bind}:{bind}" for bind in [*self.binds, *self.local])
        return [f"--container-image={self.image}", f"--container-mounts={mounts}"]

    def command(self, words: Sequence[str]) -> str:
        """The shell line that srun runs on each rank."""
        inner = shlex.join([self.python, *words])
        if self.runtime == PYXIS:
            return inner
        binds = [f"--bind {shlex.quote(bind)}" for bind in self.binds]
        binds += [f"--bind {expanding(folder)}" for folder in self.local]
        return " ".join(
            [self.runtime, "exec", *(["--nv"] if self.gpus else []), *binds, shlex.quote(self.image), inner]
        )

    def teardown(self, lines: Sequence[str]) -> list[str]:
        """Lines behind srun, around those of the site's launcher: the job is put back from the host where a rank asked
        for it, and ends as srun did.
        """
        return [
            "code=$?",
            f'if [ -e "${REQUEUE}" ]; then',
            f'  rm -f "${REQUEUE}"',
            "  job=$SLURM_JOB_ID",
            '  [ -z "$SLURM_ARRAY_JOB_ID" ] || job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID',
            f'  for try in 1 2 3 4 5 6; do scontrol requeue "$job" && sleep {WAIT_SECONDS} && break; sleep 10; done',
            "fi",
            *lines,
            "exit $code",
        ]


def expanding(text: str) -> str:
    """A word for the shell in which $NAME and ${NAME} stand for what the node says, and nothing else does anything."""
    parts = re.split(r"(\$(?:\w+|\{\w+\}))", text)
    plain = [re.sub(r'([\\"$`])', r"\\\1", part) if index % 2 == 0 else part for index, part in enumerate(parts)]
    return f'"{"".join(plain)}"'


def is_file(image: str) -> bool:
    """Whether an image is named by a file, and not by where it can be had (docker://, REGISTRY#NAME)."""
    return "://" not in image and "#" not in image and ("/" in image or image.endswith((".sif", ".sqsh")))


def _image(site: SiteConfig) -> str:
    assert site.container is not None
    return str(Path(site.container).expanduser().absolute()) if is_file(site.container) else site.container


def _folders(config: Config) -> Iterable[str]:
    """What a cell reads and writes, where it is there: who submits sees the same folders as the jobs."""
    data, paths = config.data, config.paths
    named = [paths.runs, paths.splits, data.root, data.split_dir, data.unlabeled_root.split("*")[0]]
    named += [os.path.dirname(config.model.weights)] if config.model.weights != "random" else []
    for name in filter(None, named):
        folder = name if os.path.isdir(name) else os.path.dirname(name)
        if os.path.isdir(folder):
            yield os.path.abspath(folder)


def _whole(folders: Iterable[str]) -> list[str]:
    """The folders, without those below another."""
    found = sorted(set(folders))
    return [one for one in found if not any(Path(one).is_relative_to(other) for other in found if other != one)]
