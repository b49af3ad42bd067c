"""What the last evaluation leaves: a matrix that gives the result's own numbers, and pictures that show the error."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gta import journal
from gta.cellfolder import CellFolder
from gta.config import DataConfig
from gta.data.dataset import SegmentationDataset
from gta.methods import METHODS
from gta.ops import metrics
from gta.train import checkpoint, trainer
from gta.train.artifacts import IGNORED, RIGHT, WRONG, Example, panels, write_artifacts
from gta.train.predictions import palette
from tests.helpers.configs import changed
from tests.helpers.training import StopAfter, make, points, train_in


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("artifacts")


def names(cell: Path) -> list[str]:
    return sorted(path.name for path in (cell / "artifacts/images").iterdir())


def test_the_last_evaluation_leaves_what_the_result_was_made_of(folder: Path, tmp_path: Path) -> None:
    config = make(folder)
    assert not train_in(tmp_path, config, control=StopAfter(6))
    assert not (tmp_path / "artifacts").exists(), "not the last evaluation yet"
    assert train_in(tmp_path, config)
    result = json.loads((tmp_path / "result.json").read_text())
    last = result["networks"]["teacher"]["last"]
    found = json.loads((tmp_path / "artifacts/confusion.json").read_text())
    assert (found["network"], found["iteration"]) == ("teacher", 10)
    assert found["classes"] == config.data.classes
    matrix = torch.tensor(found["matrix"])
    assert matrix.sum() == 5 * 48 * 48
    assert metrics.miou(matrix) == pytest.approx(last["miou"])
    masks = SegmentationDataset(config.data, [f"val_{number:05d}" for number in range(5)])
    truth = np.concatenate([masks.mask(i).ravel() for i in range(5)])
    assert matrix.sum(1).tolist() == np.bincount(truth, minlength=5).tolist(), "rows are the truth"
    assert names(tmp_path) == [f"{i}_val_{i:05d}.png" for i in range(5)]
    assert not list(tmp_path.rglob("*.tmp"))


def test_pictures_show_image_truth_prediction_and_error(folder: Path, tmp_path: Path) -> None:
    config = changed(make(folder, "supervised"), {"evaluation.pictures": 2})
    train_in(tmp_path, config)
    assert names(tmp_path) == ["0_val_00000.png", "1_val_00001.png"]
    with Image.open(tmp_path / "artifacts/images/1_val_00001.png") as picture:
        shown = np.asarray(picture.convert("RGB"))
    image, truth, prediction, error = np.split(shown, 4, axis=1)
    dataset = SegmentationDataset(config.data, ["val_00001"])
    assert np.array_equal(image, dataset.image(0))
    assert np.array_equal(truth, palette(config.data)[dataset.mask(0)])
    right = (truth == prediction).all(-1)
    assert np.array_equal(error, np.where(right[..., None], np.uint8(RIGHT), np.uint8(WRONG)))


def test_a_disk_that_is_full_at_the_end_costs_the_pictures_and_not_the_cell(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    assert train_in(tmp_path, make(folder, "supervised"))
    assert (tmp_path / "result.json").exists()
    events = {record["event"]: record for record in journal.read(tmp_path / "journal.jsonl") if "event" in record}
    assert events["no artifacts"]["error"].startswith("OSError: [Errno 28] No space left on device")
    assert "No space left on device" in capsys.readouterr().out


@pytest.mark.parametrize("method", ["supervised", "gta"])
def test_what_fails_after_the_last_iteration_costs_no_training(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """The last checkpoint comes first; the attempt after it scores, and is bit for bit the undisturbed run."""
    config = make(folder, method)
    assert train_in(tmp_path / "whole", config)
    score = trainer.count

    def fails(networks, *rest):  # type: ignore[no-untyped-def]
        if checkpoint.load(tmp_path / "cell/checkpoint.pt")["iteration"] == 10:
            raise RuntimeError("the last evaluation")
        return score(networks, *rest)

    with monkeypatch.context() as within:
        within.setattr(trainer, "count", fails)
        with pytest.raises(RuntimeError, match="the last evaluation"):
            train_in(tmp_path / "cell", config)
    assert not (tmp_path / "cell/result.json").exists()
    monkeypatch.setattr(METHODS[method], "step", None)  # no step is made again
    assert train_in(tmp_path / "cell", config)
    assert points(tmp_path / "cell") == points(tmp_path / "whole")
    networks = [json.loads((tmp_path / name / "result.json").read_text())["networks"] for name in ("cell", "whole")]
    assert networks[0] == networks[1]
    assert names(tmp_path / "cell") == names(tmp_path / "whole")


def test_wide_pictures_are_scaled_down_and_ignored_pixels_are_gray() -> None:
    truth = np.zeros((100, 1024), dtype=np.uint8)
    truth[:, 512:] = 255
    example = Example(0, "a", np.zeros((50, 512, 3), dtype=np.uint8), truth, np.zeros_like(truth))
    picture = np.asarray(panels(example, DataConfig(classes=["a", "b"])))
    assert picture.shape == (50, 4 * 512, 3)
    assert tuple(picture[0, 3 * 512]) == RIGHT
    assert tuple(picture[0, -1]) == IGNORED


def test_a_later_evaluation_leaves_no_older_pictures(tmp_path: Path) -> None:
    mask = np.zeros((4, 4), dtype=np.uint8)
    data = DataConfig(classes=["a", "b"])

    def write(*ids: str) -> None:
        found = [Example(i, name, np.zeros((4, 4, 3), dtype=np.uint8), mask, mask) for i, name in enumerate(ids)]
        write_artifacts(CellFolder(tmp_path), "student", 1, torch.zeros(2, 2, dtype=torch.int64), found, data)

    write("one", "two/three")
    assert names(tmp_path) == ["0_one.png", "1_two_three.png"]
    write("four")
    assert names(tmp_path) == ["0_four.png"]
