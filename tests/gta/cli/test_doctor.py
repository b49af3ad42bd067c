"""doctor says what is there, what is missing and what to do; its exit code is about what was asked for."""

from __future__ import annotations

import re
import socket
import tomllib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from packaging.requirements import Requirement
from PIL import Image

from gta.cli.checks import data, machine, places, versions
from gta.config import Config, DataConfig, PathsConfig, SiteConfig
from gta.data.cache import decoded_pictures
from gta.errors import UserError
from gta.finding import Status, guarded, ok
from tests.helpers.program import ROOT, Run


@pytest.mark.slow
def test_a_fresh_folder_is_fit_for_the_embedded_data(say: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no git, no Slurm, no nvidia-smi
    answer = say("doctor")
    assert answer.returncode == 0, answer.stdout
    said = answer.stdout
    for line in (
        r"ok +python +3\.1[12]",
        r"ok +packages +\d+ in versions that work together",
        r"ok +torch +2\.",
        r"ok +gloo",
        r"missing +Slurm +its programs are not on the PATH",
        r"ok +runs +.*GB free",
        r"ok +MLflow +.*made on first use",
        r"ok +data shapes +.*generated on first use",
        r"missing +data=voc_blender +the folder .*/data/voc is not there",
        r"missing +model=resnet101 +.*resnet101_deepstem.pth is not there\n +-> Initial weights: .*timm/resnet101s",
        r"nothing is in the way",
    ):
        assert re.search(line, said), f"{line}\n{said}"
    assert not list(tmp_path.iterdir()), "it leaves nothing behind"


@pytest.mark.slow
def test_what_is_asked_for_and_not_there_is_a_problem(
    say: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    slurm = ("site=slurm", "site.device=cpu")
    answer = say("doctor", "sweep=voc_blender", "method=gta", "seed=0", *slurm)
    assert answer.returncode == 2
    said = answer.stdout
    for line in (
        r"missing +site +slurm is a site of Slurm: .*\n +-> Say hydra/launcher=slurm to plan and multirun",
        r"problem +Slurm +its programs are not on the PATH\n +-> Run on a login node",
        r"problem +site +site.device=cpu, and 1 GPUs a node",
        r"problem +data voc_blender +the folder .*/data/voc is not there",
        r"MISSING +.*/data/voc/JPEGImages/ID.jpg",
        r"problem +split 662, 1323, 2646, 5291 +no labeled.txt .*\n +-> .*splits import",
        r"problem +weights +.*resnet101_deepstem.pth is not there\n +-> Initial weights: ",
        r"5 problems to mend first",
    ):
        assert re.search(line, said), f"{line}\n{said}"
    assert said.count("JPEGImages/ID.jpg") == 1, "a layout is shown once, however many splits"


def install(folder: Path, name: str, version: str, *lines: str) -> None:
    """Packages as importlib.metadata finds them, before those of the environment where `folder` is on the path."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    text = "\n".join([f"Name: {name}", f"Version: {version}", *lines])
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\n{text}\n")


def test_versions_that_do_not_work_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], "no-such-package>=1", "pytest>=1000; extra == 'test'"]
    lines = [f"Requires-Python: {project['requires-python']}", *(f"Requires-Dist: {text}" for text in wanted)]
    install(tmp_path, "gta-seg", "9", *lines)
    monkeypatch.syspath_prepend(str(tmp_path))
    (python, absent) = versions.python_and_packages()
    assert python.status is Status.OK
    assert (absent.detail, absent.advice) == (
        "no-such-package is not installed", "pip install 'no-such-package>=1'",
    )  # fmt: skip
    for name, version in {"torch": "2.9.0", "mlflow": "3.18.0", "opencv-python": "4.12"}.items():
        install(tmp_path, name, version)
    said = [f"{finding.status} {finding.detail} {finding.advice}" for finding in versions.python_and_packages()]
    assert any("torch 2.9.0 is not <2.14,>=2.11 (what this code was tried on)" in line for line in said)
    assert any("mlflow 3.18.0" in line and "never published" in line for line in said)
    assert any("opencv-python 4.12 lies in the place of" in line for line in said)
    assert not any("pytest" in line for line in said), "an extra is not asked for"
    assert set(versions.WHY) <= {Requirement(text).name for text in wanted}, "a reason for what is not wanted"


def test_data_sets_and_splits(tmp_path: Path) -> None:
    config = DataConfig(name="toy", root=str(tmp_path / "toy"), classes=["a", "b"], split="10", split_family="u2pl",
                        split_dir=str(tmp_path / "splits"), crop_size=32)  # fmt: skip
    (absent, lists) = data.chosen([config])
    assert (absent.status, lists.status) == (Status.PROBLEM, Status.PROBLEM)
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (tmp_path / "toy" / name).mkdir(parents=True)
    for item in "abc":
        (tmp_path / f"toy/JPEGImages/{item}.jpg").touch()
        (tmp_path / f"toy/SegmentationClass/{item}.png").touch()
    (tmp_path / "toy/ImageSets/Segmentation/val.txt").write_text("c\n")
    (tmp_path / "splits/10").mkdir(parents=True)
    (tmp_path / "splits/10/labeled.txt").write_text("a\n")
    (tmp_path / "splits/10/unlabeled.txt").write_text("b\n")
    there, split = data.chosen([config])
    assert (there.status, split.status) == (Status.OK, Status.OK)
    assert "1 labeled, 1 unlabeled, 1 validation" in split.detail
    (tmp_path / "toy/SegmentationClass/a.png").unlink()
    assert [finding.status for finding in data.chosen([config])] == [Status.OK, Status.PROBLEM], (
        "every file is asked for"
    )
    assert [finding.status for finding in data.others({"toy": Config(data=config)}, "other")] == [Status.OK]
    assert list(data.others({"toy": Config(data=config)}, "toy")) == []


def test_the_tracking_store(tmp_path: Path) -> None:
    def status(uri: str) -> Status:
        (finding,) = places.mlflow(PathsConfig(tracking_uri=uri))
        return finding.status

    (tmp_path / "other.db").write_text("this is no database, but long enough to be looked at as one" * 20)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}"
        assert status(closed) is Status.PROBLEM
    assert status(f"sqlite:///{tmp_path}/new.db") is Status.OK
    assert status(f"sqlite:///{tmp_path}/other.db") is Status.PROBLEM
    assert status("file:///tmp/mlruns") is Status.PROBLEM


def test_what_tells_somebody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lines(**site: str) -> list[tuple[str, str]]:
        return [(str(line.status), line.detail) for line in places.notification(SiteConfig(**site))]

    monkeypatch.delenv("GTA_NOTIFY_URL", raising=False)
    assert lines() == []
    assert lines(notify="mail me") == [
        ("ok", "site.notify is a command of your own, run for: end, failure, stuck, budget")
    ]
    (tmp_path / "curl").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert lines(notify="slack") == [("problem", "site.notify=slack: GTA_NOTIFY_URL is not set")]
    monkeypatch.setenv("GTA_NOTIFY_URL", "https://host/hooks/pa55word")
    assert lines(notify="slack") == [("ok", "slack, for: end, failure, stuck, budget")]
    (tmp_path / "curl").unlink()
    assert lines(notify="mattermost")[0][1].endswith("needs curl, which is not on the PATH")


def test_the_cache_of_decoded_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def line(cache: str | None, on_slurm: bool = False) -> list[tuple[str, str]]:
        found = places.cache(SiteConfig(cache=cache, cache_gb=0.001), on_slurm)
        return [(str(line.status), line.detail) for line in found]

    place = tmp_path / "node"
    assert line(None) == line(str(place), on_slurm=True) == []
    ((status, detail),) = line(str(place))
    assert (status, detail.partition(", 1.0 MB at most")[0]) == ("ok", f"{place}, made on first use")
    assert not place.exists(), "nothing is made"
    decoded = decoded_pictures(SiteConfig(cache=str(place)))
    assert decoded is not None
    Image.fromarray(np.zeros((10, 10), np.uint8)).save(tmp_path / "a.png")
    decoded.get(tmp_path / "a.png", "", lambda: np.zeros((10, 10), np.uint8))
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=500_000))
    stops = "its disk is full before that, and then it stays as it is"
    assert line(str(place)) == [("ok", f"{decoded.folder}, 8.2 kB in 1 files, 1.0 MB at most, 500 kB free; {stops}")]
    (tmp_path / "file").write_text("")
    assert line(str(tmp_path / "file/below"))[0][0] == "problem"
    place.chmod(0o777)
    with pytest.raises(UserError, match=r"site\.cache: everyone may rename"):
        line(str(place))


def test_folders(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    paths = PathsConfig(runs=str(tmp_path / "runs"), results=str(tmp_path / "file/below"), splits="/proc/none")
    assert [finding.status for finding in places.folders(paths)] == [Status.OK, Status.PROBLEM, Status.PROBLEM]
    assert [path.name for path in tmp_path.iterdir()] == ["file"], "nothing is made"


def test_ranks_and_gpus_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(machine, "driver_version", lambda: None)
    gpu = list(machine.torch(SiteConfig(device="cuda"), on_slurm=False))[-1]
    assert gpu.status is Status.PROBLEM
    monkeypatch.setattr("torch.distributed.is_nccl_available", lambda: False)
    nccl, gloo = machine.backends(SiteConfig(device="cuda", ranks=2))
    assert (nccl.status, gloo.status) == (Status.PROBLEM, Status.OK)
    assert next(iter(machine.backends(SiteConfig(device="cpu", ranks=2)))).status is Status.MISSING


def test_a_check_that_fails_is_one_problem() -> None:
    def broken():  # type: ignore[no-untyped-def]
        yield ok("one", "fine")
        raise OSError("gone")

    lines = list(guarded("it", broken))
    assert [(line.status, line.what) for line in lines] == [(Status.OK, "one"), (Status.PROBLEM, "it")]
    assert "gone" in lines[1].detail
