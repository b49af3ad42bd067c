"""Jobs in a container: the script that sbatch is given, and what it does for the ranks within. No runtime is started:
Slurm's programs and the runtime are stand-ins that say what they were called with.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hydra.types import RunMode

from gta.cli.checks.container import container as looked_at
from gta.compose.hydra import ConfigLoaderImpl
from gta.config import Config, SiteConfig
from gta.errors import UserError
from gta.finding import Status
from launch.job import start
from launch.job.signals import Signals
from launch.state.submission import ToSubmit, write_submission
from launch.submit.container import Container, expanding
from launch.submit.executor import ArrayExecutor
from launch.submit.launcher import local_cluster, slurm_params
from tests.helpers.cells import of_seeds
from tests.helpers.golden import same_as_golden
from tests.helpers.program import ROOT

APPTAINER = {"container": "/images/gta.sif", "gpus_per_node": 1, "stage": "/scratch/$USER/gta"}
PYXIS = {"container": "docker://registry/gta:1", "container_runtime": "pyxis", "stage": "/scratch/gta"}


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes programs of given names and shell lines, which come first on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def make(**lines: str) -> None:
        for name, line in lines.items():
            (folder / name).write_text(f"#!/bin/bash\n{line}\n")
            (folder / name).chmod(0o755)

    return make


def configs(folder: Path, **site: Any) -> list[Config]:
    """Two cells whose data and lists lie in folders below this one."""
    found = []
    for cell in of_seeds(2, folder / "runs"):
        places = {"root": str(folder / "data/toy"), "split_dir": str(folder / "splits/toy")}
        config = replace(cell.config, data=replace(cell.config.data, **places))
        paths = replace(config.paths, splits=str(folder / "splits"), runs=str(folder / "runs"))
        found.append(replace(config, paths=paths, site=replace(config.site, device="auto", **site)))
    for name in ("data/toy", "splits/toy", "runs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return found


def script(loader: ConfigLoaderImpl, programs: Any, folder: Path, **site: Any) -> Path:
    """The script by which two cells of such a site are sent as an array."""
    programs(srun="exit 1", sbatch="echo 57")
    words = ["hydra/launcher=slurm", "method=gta", "data=shapes", "data.split=1/50", "site=slurm"]
    master = loader.load_configuration("config", words, RunMode.MULTIRUN)
    made = configs(folder, **site)
    cells = [ToSubmit(replace(cell, config=one)) for cell, one in zip(of_seeds(2, folder / "runs"), made, strict=True)]
    sent = write_submission(folder / "runs/sweeps/toy/submissions", str(folder / "runs"), "gta-toy", 1, cells)
    executor = ArrayExecutor(slurm_params(master, made[0].site), sent.folder, Container.of(made))
    executor.send(sent, folder / "runs/sweeps/toy/code/TREE")
    return sent.folder / "sbatch.sh"


@pytest.mark.parametrize(("name", "site"), [("apptainer", APPTAINER), ("pyxis", PYXIS)])
def test_the_script_of_a_container(
    loader: ConfigLoaderImpl, programs: Any, tmp_path: Path, name: str, site: dict[str, Any]
) -> None:
    text = script(loader, programs, tmp_path, container_binds=["/lustre/voc:/voc"], **site).read_text()
    text = re.sub(r"\d{8}-\d{6}-[0-9a-f]{6}", "TOKEN", text.replace(str(tmp_path), "FOLDER"))
    assert sys.executable not in text, "the Python of the image counts"
    same_as_golden(f"sbatch_{name}.sh", text)


# srun as a stand-in: its own options are passed over, and what it is to run is run
SRUN = 'while [ "${1#--}" != "$1" ]; do [ "$1" = --output ] && shift; shift; done; "$@"'


def run(script: Path, **environment: str) -> int:
    slurm = {"SLURM_JOB_ID": "60", "SLURM_ARRAY_JOB_ID": "57", "SLURM_ARRAY_TASK_ID": "3", "SLURM_JOB_NUM_NODES": "1"}
    given = {**os.environ, **slurm, "USER": "ada b", **environment}
    given = {name: value for name, value in given.items() if value}  # an empty one is not set
    return subprocess.run(["bash", str(script)], env=given, capture_output=True).returncode


def test_the_runtime_is_called_with_every_folder_and_the_gpus(
    loader: ConfigLoaderImpl, programs: Any, tmp_path: Path
) -> None:
    path = script(loader, programs, tmp_path, **APPTAINER)
    said = tmp_path / "said"
    programs(srun=SRUN, mkdir=f'echo "$@" > {tmp_path}/made', apptainer=f'printf "%s\\n" "$@" > {said}; exit 3')
    assert run(path) == 3
    words = said.read_text().splitlines()
    inner = ["python3", "-P", "-u", "-m", "launch.job.start", str(path.parent)]
    folders = [str(tmp_path / name) for name in ("data/toy", "runs", "splits")]
    binds = [word for folder in (*folders, "/scratch/ada b/gta") for word in ("--bind", folder)]
    assert words == ["exec", "--nv", *binds, "/images/gta.sif", *inner]
    assert (tmp_path / "made").read_text() == "-p /scratch/ada b/gta\n"


def test_a_rank_within_has_its_job_put_back_from_outside(
    loader: ConfigLoaderImpl, programs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = script(loader, programs, tmp_path, container="/images/gta.sif")
    said = tmp_path / "said"
    ask = f"exec {sys.executable} {tmp_path}/rank.py"
    (tmp_path / "rank.py").write_text(
        f"import signal, sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom launch.job import start\n"
        "from launch.job.signals import Signals\nsignals = Signals(in_slurm=True)\n"
        "signals.came.add(signal.SIGUSR2)\nstart._requeue(signals, '57_3')\nsys.exit(start.UNFINISHED)\n"
    )
    programs(srun=SRUN, apptainer=ask, sleep="exit 0", scontrol=f'echo "$@" >> {said}; test -e {tmp_path}/again')
    (tmp_path / "again").touch()
    assert run(path) == start.UNFINISHED
    assert said.read_text() == "requeue 57_3\n"
    assert list(path.parent.glob("requeue*")) == []
    assert run(path, SLURM_ARRAY_JOB_ID="", SLURM_ARRAY_TASK_ID="") == start.UNFINISHED
    assert said.read_text() == "requeue 57_3\nrequeue 60\n"

    programs(apptainer="exit 75")  # cancelled, say: nobody asked for it
    assert run(path) == 75
    assert said.read_text().count("requeue") == 2


@pytest.mark.parametrize("line", ["set -e", "set -u", "set -euo pipefail"])
@pytest.mark.parametrize("array", ["57", ""])
def test_a_strict_shell_of_the_sites_lines_has_its_job_put_back_too(
    loader: ConfigLoaderImpl, programs: Any, tmp_path: Path, line: str, array: str
) -> None:
    path = script(loader, programs, tmp_path, container="/images/gta.sif", setup=(line,))
    said = tmp_path / "said"
    ask = f'touch "${start.REQUEUE}"; exit {start.UNFINISHED}'
    programs(srun=SRUN, apptainer=ask, sleep="exit 0", scontrol=f'echo "$@" >> {said}')
    assert run(path, SLURM_ARRAY_JOB_ID=array) == start.UNFINISHED
    assert said.read_text() == f"requeue {'57_3' if array else '60'}\n"


def test_without_the_limit_no_rank_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(start.REQUEUE, str(tmp_path / "requeue"))
    signals = Signals(in_slurm=True)
    signals.came.add(signal.SIGTERM)
    start._requeue(signals, "57")
    assert not (tmp_path / "requeue").exists()


def test_what_a_runtime_cannot_be_told_is_refused(tmp_path: Path) -> None:
    assert Container.of(configs(tmp_path)) is None
    with pytest.raises(UserError, match="pyxis reads no variables"):
        Container.of(configs(tmp_path, **{**PYXIS, "stage": "/scratch/$USER"}))
    with pytest.raises(UserError, match=r"site\.cache=\$SHM: pyxis reads no variables"):
        Container.of(configs(tmp_path, **PYXIS, cache="$SHM"))
    with pytest.raises(UserError, match="no comma or colon in a folder"):
        Container.of(configs(tmp_path / "a,b", **APPTAINER))
    with pytest.raises(UserError, match=r"is for jobs of Slurm: say hydra/launcher=slurm, or site\.container=null"):
        local_cluster({}, [replace(of_seeds(1, tmp_path)[0], config=configs(tmp_path, **APPTAINER)[0])])


@pytest.mark.parametrize(("cache", "more"), [("/dev/shm", ["/dev/shm"]), ("/scratch/gta", []), (None, [])])
def test_the_folder_of_decoded_pictures_is_made_and_bound_as_that_of_the_data(
    tmp_path: Path, cache: str | None, more: list[str]
) -> None:
    made = Container.of(configs(tmp_path, **PYXIS, cache=cache))
    assert made is not None
    words = " ".join(f'"{folder}"' for folder in ["/scratch/gta", *more])
    assert made.setup(tmp_path)[-1].endswith(f" mkdir -p {words}")
    assert made.srun()[1].endswith(",".join(f"{folder}:{folder}" for folder in ["/scratch/gta", *more]))


@pytest.mark.parametrize("text", ["/a b/$USER/x", "/a/${USER}", '/a"b`id`$(id)\\'])
def test_only_variables_are_expanded(text: str) -> None:
    answer = subprocess.run(["bash", "-c", f"printf %s {expanding(text)}"], env={"USER": "ada"}, capture_output=True)
    assert answer.stdout.decode() == text.replace("${USER}", "ada").replace("$USER", "ada")


def findings(site: SiteConfig, on_slurm: bool = True) -> Iterator[tuple[Status, str]]:
    return ((one.status, one.detail) for one in looked_at(site, on_slurm))


def test_doctor_looks_for_the_image_and_what_starts_it(
    programs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = tmp_path / "gta.sif"
    site = SiteConfig(container=str(image))
    assert (Status.PROBLEM, f"the image {image} is not there, or cannot be read") in findings(site)
    image.touch()
    programs(apptainer="exit 0")
    assert list(findings(site)) == [(Status.OK, str(image)), (Status.OK, "apptainer is on the PATH here")]
    assert next(findings(site, on_slurm=False))[0] is Status.PROBLEM
    pyxis = replace(site, container_runtime="pyxis")
    programs(srun="echo '--nodes'")
    assert list(findings(pyxis))[-1][0] is Status.PROBLEM
    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "another"))  # a cluster is asked once
    programs(srun="echo '      --container-image=[USER@][REGISTRY#]IMAGE'")
    assert list(findings(pyxis))[-1] == (Status.OK, "srun has pyxis's --container-image")
    assert list(findings(SiteConfig())) == []


def test_the_recipes_are_of_this_project() -> None:
    """What they copy is there, and their Python is one that the project takes."""
    docker = (ROOT / "containers/Dockerfile").read_text()
    definition = (ROOT / "containers/apptainer.def").read_text()
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["packages"], "pyproject.toml", "README.md", "LICENSE"}
    copied = {word for line in re.findall(r"^COPY (.+) \S+$", docker, re.MULTILINE) for word in line.split()}
    assert copied == needed == set(re.findall(r"^    (\S+) /opt/gta/", definition, re.MULTILINE))
    assert set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)) == needed
    for text in (docker, definition):
        assert re.findall(r"python:(3\.\d+)", text)[-1] in ("3.11", "3.12")
        assert "[postgres]" in text
