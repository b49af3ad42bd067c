"""The folder of somebody who works through the documentation: small data, short schedules, trained cells."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gta.cli.main import main
from gta.compose import compose
from gta.config import ShapesConfig
from gta.data.shapes import generate
from tests.helpers import layouts
from tests.helpers.fake_slurm import FakeSlurm
from tests.helpers.snippets import PAGES, snippets

SCHEDULE = """\
iterations: 4
warm_up: 2
batch_size: 4
group_size: 4
lr: 0.1
ema_decay: 0.9
eval_every: 2
checkpoint_every: 2
log_every: 2
"""
# fewer cells for sweeps of these names: a sweep in the working folder wins over a shipped one
SWEEPS = {
    "shapes": """\
hydra: {sweeper: {params: {method: "supervised,gta", data.split: 1/50, seed: "0"}}}
""",
    "voc_blender": """\
defaults:
  - override /data: voc_blender
  - override /model: resnet101
  - override /schedule: voc
model: {weights: random}
hydra: {sweeper: {params: {method: "supervised,gta", data.split: "662", seed: "0"}}}
""",
}


def shipped(folder: Path) -> Path:
    """The shipped configs, with fewer pictures in `shapes` and a short schedule for it: lines run as they are written,
    in seconds.
    """
    shutil.copytree(compose.CONF, folder)
    shapes = folder / "data/shapes.yaml"
    shapes.write_text(shapes.read_text().replace("train: 400", "train: 100").replace("val: 200", "val: 4"))
    (folder / "schedule/shapes.yaml").write_text(SCHEDULE)
    return folder


@pytest.fixture(scope="session")
def working(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """A working folder with the YAML and the methods of all pages in place, data sets, and the
    trained cells of `shapes`.
    """
    folder = tmp_path_factory.mktemp("working")
    files = {f"sweeps/{name}.yaml": text for name, text in SWEEPS.items()}
    for page in PAGES:
        for snippet in snippets(page, "yaml"):
            assert snippet.path not in files, f"{snippet}: another snippet is of the same file"
            files[snippet.path] = snippet.text
        files |= {path: snippet.text for snippet in snippets(page, "python") if (path := snippet.own_method)}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    generate(ShapesConfig(train=40, val=4), folder / "data/mydata")
    generate(ShapesConfig(train=6, val=2, seed=1), folder / "more")
    shutil.rmtree(folder / "more/SegmentationClass")
    train, val = [f"2007_{number:06}" for number in range(40)], ["2008_000001"]
    layouts.voc(folder / "data/voc", train, val)
    lists = folder / "splits/u2pl/pascal/662"
    lists.mkdir(parents=True)
    (lists / "labeled.txt").write_text("\n".join(train[:20]))
    (lists / "unlabeled.txt").write_text("\n".join(train[20:]))
    (folder / "weights").mkdir()
    (folder / "weights/resnet101_deepstem.pth").write_bytes(b"no network reads it here")
    (folder / "runs").mkdir()
    shutil.copy(empty_store, folder / "runs/mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compose, "CONF", shipped(folder / ".shipped"))
        patch.chdir(folder)
        train_cells()
    return folder


def train_cells() -> None:
    """The cells of sweep=shapes: one as a job, and the other in this process, which costs it no imports."""
    assert main(["train", "method=supervised", "data.split=1/50", "seed=0"]) == 0
    assert main(["multirun", "sweep=shapes"]) == 0


@pytest.fixture
def reader(working: Path, fake_slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process in that folder, as the reader of a page is; Slurm's programs are stand-ins."""
    monkeypatch.setattr(compose, "CONF", working / ".shipped")
    monkeypatch.chdir(working)
    return working
