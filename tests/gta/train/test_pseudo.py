"""Accuracy of the kept pseudo-labels on generated data: counted again here, and without a trace in the training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gta import journal
from gta.data.dataset import SegmentationDataset
from gta.data.prepare import prepare
from gta.data.splits.split import load_split
from gta.data.transforms import normalise
from gta.models.resnet import initialise
from gta.train.pseudo import quality
from gta.train.run import build_method
from tests.helpers.configs import changed
from tests.helpers.training import make, train_in

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pseudo")


@pytest.mark.parametrize("name", ["gta", "fixmatch"])
def test_it_is_the_share_of_right_ones_among_those_that_the_method_keeps(folder: Path, name: str) -> None:
    config = make(folder, name)
    if name == "fixmatch":
        config = changed(config, {"method.threshold": 0.3})
    prepare(config.data)
    method = build_method(config, CPU)
    initialise(method.models["student"])  # surer than an untrained network is
    method.end_warm_up()
    if "teacher" in method.models:  # unlike the student, so that one sees which of them labels
        torch.nn.init.normal_(next(reversed(list(method.models["teacher"].parameters()))))
    ids = load_split(config.data).unlabeled
    before = torch.random.get_rng_state()
    found = quality(method, config, ids, 5, CPU)
    assert torch.equal(before, torch.random.get_rng_state())

    dataset = SegmentationDataset(config.data, ids[:32])
    network = method.networks()["teacher" if name == "gta" else "student"].eval()
    with torch.no_grad():
        images = normalise(np.stack([dataset.image(i) for i in range(len(dataset.ids))]), config.data)
        confidence, label = network(images).softmax(1).max(1)
    truth = torch.from_numpy(np.stack([dataset.mask(i) for i in range(len(dataset.ids))]))
    if name == "gta":
        bound = np.percentile(confidence.numpy(), 100 - method.config.drop_percent)
        keep = confidence.numpy() > bound
    else:
        keep = confidence.numpy() >= 0.3
    assert 0 < keep.mean() < 1
    assert found == {"pseudo/accuracy": pytest.approx((label == truth).numpy()[keep].mean(), abs=2e-3)}


def test_only_generated_data_after_the_warm_up_with_pseudo_labels(folder: Path) -> None:
    config = make(folder)
    prepare(config.data)
    ids = load_split(config.data).unlabeled
    method = build_method(config, CPU)
    assert quality(method, config, ids, config.schedule.warm_up, CPU) == {}
    supervised = make(folder, "supervised")
    assert quality(build_method(supervised, CPU), supervised, ids, 9, CPU) == {}
    config = changed(config, {"data.generator": None})
    assert quality(method, config, ids, 9, CPU) == {}


def test_a_method_without_a_threshold_keeps_all(folder: Path) -> None:
    assert build_method(make(folder, "cps"), CPU).kept(torch.rand(5)).all()


def test_a_run_logs_it_at_each_evaluation_after_the_warm_up(folder: Path, tmp_path: Path) -> None:
    config = make(folder, eval_every=3, log_every=5, checkpoint_every=10)
    assert train_in(tmp_path, config)
    points = {
        record["iteration"]: record["values"]["pseudo/accuracy"]
        for record in journal.read(tmp_path / "journal.jsonl")
        if "pseudo/accuracy" in record.get("values", {})
    }
    assert sorted(points) == [6, 9, 10]
    assert all(0 <= value <= 1 for value in points.values())
