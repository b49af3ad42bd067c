"""Scores: at original size, each image once, equal to a plain loop, and the same on any number of ranks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from gta.data.dataset import SegmentationDataset
from gta.data.resample import rescale
from gta.data.transforms import normalise
from gta.models import build_model
from gta.train.evaluate import confusion_matrices, score
from tests.helpers.configs import changed
from tests.helpers.mixed_shapes import mixed
from tests.helpers.program import ROOT
from tests.helpers.training import make
from tests.helpers.works import whole, works

IDS = [f"val_{number:05d}" for number in range(5)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("evaluate")
    make(made)  # generates the data
    mixed(made)
    return made


def test_the_matrix_equals_a_plain_loop_over_pixels(folder: Path) -> None:
    config = changed(make(folder), {"data.input_scale": 0.5})
    network = build_model(config.model, 5)
    network.train()
    with works() as kept:
        found = confusion_matrices({"student": network}, config, IDS, torch.device("cpu"))["student"]
    assert whole(kept) == {"scoring images": 5}
    assert network.training, "the mode is as it was"
    network.eval()
    expected = np.zeros((5, 5), dtype=np.int64)
    dataset = SegmentationDataset(config.data, IDS)
    for i in range(len(IDS)):
        image = normalise(rescale(dataset.image(i), 0.5, labels=False)[None], config.data)
        with torch.no_grad():
            logits = F.interpolate(network(image), size=(48, 48), mode="bilinear", align_corners=True)
        for truth, guess in zip(dataset.mask(i).ravel(), logits.argmax(1)[0].numpy().ravel(), strict=True):
            if truth != 255:
                expected[truth, guess] += 1
    assert np.array_equal(found.numpy(), expected)
    assert found.sum() == 5 * 48 * 48, "each image once, at its original size"


@pytest.fixture(scope="module")
def ranks(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what 1, 2 and 3 ranks found (evaluate_worker.py), and the cell that 2 of them trained."""
    tmp_path = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, "-m", "tests.helpers.evaluate_worker", str(folder), str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert ended.returncode == 0, ended.stderr[-4000:]
    return tmp_path


@pytest.mark.slow
def test_the_matrix_is_the_same_on_1_2_and_3_ranks(ranks: Path) -> None:
    found = {number: torch.load(ranks / f"{number}.pt") for number in (1, 2, 3)}
    assert [found[number]["world"] for number in (1, 2, 3)] == [1, 2, 3]
    for name in ("student", "teacher", "student by sliding window", "teacher by sliding window"):
        assert found[1][name].sum() == 5 * 48 * 48
        assert torch.equal(found[1][name], found[2][name])
        assert torch.equal(found[1][name], found[3][name])
    for name in ("batches", "batches by image"):  # of a network whose answer depends on what passes together
        assert torch.equal(found[1][name], found[2][name])
        assert torch.equal(found[1][name], found[3][name])
    for name in ("intersection", "union"):
        assert found[1][name].shape == (5, 5), "images and classes"
        assert all(torch.equal(found[1][name], found[number][name]) for number in (2, 3))
    assert torch.equal(found[1]["intersection"].sum(0), found[1]["student by sliding window"].diagonal())


@pytest.mark.slow
def test_two_ranks_leave_the_artifacts_of_one(ranks: Path) -> None:
    matrix = json.loads((ranks / "cell/artifacts/confusion.json").read_text())["matrix"]
    assert np.sum(matrix) == 5 * 48 * 48, "the images of both ranks"
    pictures = sorted(path.name for path in (ranks / "cell/artifacts/images").iterdir())
    assert pictures == [f"{i}_val_{i:05d}.png" for i in range(len(IDS))], "though rank 1 scored half of them"


@pytest.mark.slow
def test_a_full_disk_of_rank_0_is_not_taken_for_a_divergence_of_the_others(ranks: Path) -> None:
    """In the step in which both see NaN: the first cause is told, by the rank that knows it."""
    first, second = ((ranks / f"failed{rank}.txt").read_text() for rank in (0, 1))
    assert first.startswith("OSError: [Errno 28] No space left on device")
    assert "Diverged" not in second
    assert any(word in second for word in ("gloo", "closed", "reset", "Broken pipe")), f"it lost its peer: {second}"


def test_a_class_that_occurs_nowhere_has_no_iou() -> None:
    found = score(torch.tensor([[3, 1, 0], [0, 4, 0], [0, 0, 0]]), iteration=7)
    assert found.iou == [pytest.approx(75.0), pytest.approx(80.0), None]
    assert found.miou == pytest.approx(77.5)
