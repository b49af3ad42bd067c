"""What a step is counted to compute is what it computes, though nothing is computed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from gta.cli.composing import grid
from gta.config import Config
from gta.ops.batch import Labeled, Unlabeled
from gta.train.count import counted
from gta.train.inference import class_scores
from gta.train.run import build_method
from tests.helpers.program import SMALL_SCHEDULE, SMALL_SHAPES

SIZE = (48, 64)


@pytest.fixture(scope="module")
def configs(generated: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Config]:
    folder = tmp_path_factory.mktemp("count")
    places = [f"paths.{name}={folder / name}" for name in ("splits", "runs", "results")]
    words = [*SMALL_SHAPES, *SMALL_SCHEDULE, f"paths.data={generated}", *places, "data.split=1/5", "seed=0"]
    return {cell.row: cell.config for cell in grid(["sweep=shapes", *words, "method=gta,u2pl,supervised"])[1]}


def really(config: Config) -> tuple[float, float]:
    """GFLOP of a real step after the warm-up and of a scored image, by PyTorch's counter, on images of noise."""
    config = replace(config, schedule=replace(config.schedule, warm_up=0))
    method = build_method(config, torch.device("cpu"))
    count, side = config.schedule.batch_size, config.data.crop_size
    masks = torch.randint(len(config.data.classes), (count, side, side))
    views: dict[str, Any] = {name: torch.randn(count, 3, side, side) for name in ("weak", "strong", "strong2")}
    unlabeled = Unlabeled(padding=torch.zeros(count, side, side, dtype=torch.bool), **views)
    with FlopCounterMode(display=False) as step:
        method.step(Labeled(torch.randn(count, 3, side, side), masks), unlabeled if method.uses_unlabeled else None, 0)
    with FlopCounterMode(display=False) as scored:
        for network in method.networks().values():
            class_scores(network.eval(), torch.randn(1, 3, *SIZE), SIZE, config)
    return step.get_total_flops() / 1e9, scored.get_total_flops() / 1e9


def test_flops_are_those_of_a_real_step(configs: dict[str, Config]) -> None:
    gta, supervised = (counted(configs[name], SIZE) for name in ("gta", "supervised"))
    assert (gta.step.gflop, gta.scored.gflop) == pytest.approx(really(configs["gta"]), rel=1e-9)
    assert (supervised.step.gflop, supervised.scored.gflop) == pytest.approx(really(configs["supervised"]), rel=1e-9)
    assert gta.step.gbyte > supervised.step.gbyte > 0
    assert gta.scored.mpixel == pytest.approx(48 * 64 / 1e6)
    assert gta.warm_up.gflop == pytest.approx(supervised.step.gflop), "until then it is the supervised one"
    assert gta.step.gflop == pytest.approx(5 * gta.warm_up.gflop, rel=0.02), "15 passes for 3 (method.md)"
    assert gta.step.mpixel == pytest.approx(2 * gta.warm_up.mpixel), "as many unlabeled images, in one view"


def test_what_a_method_asks_of_values_does_not_stop_the_count(configs: dict[str, Config]) -> None:
    """u2pl looks for pixels of each class, of low and of high entropy, and draws among them."""
    u2pl = counted(configs["u2pl"], SIZE)
    assert u2pl.step.gflop > 2 * u2pl.warm_up.gflop
