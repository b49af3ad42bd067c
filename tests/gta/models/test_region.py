"""Compiled regions: the maths and the names of a network stay, and a state goes on in either.

What follows a step's operations is PyTorch's own in all tests but one, which generates and builds C++ code: minutes, so
that it is run where it is asked for.
"""

from __future__ import annotations

import os
import shutil
from typing import Any

import pytest
import torch

from gta.methods import Method
from gta.models import region
from gta.models.region import Region, Stage, compile_regions
from gta.models.segmentation import SegmentationModel
from tests.helpers.dpt import small_dpt
from tests.helpers.method_contract import same, through_a_file
from tests.helpers.methods import make_method, train

NOW = {"warm_up": 0}  # the teacher is there from the first step


def made(monkeypatch: pytest.MonkeyPatch, compiled: bool, name: str = "mean_teacher", **special: Any) -> Method:
    monkeypatch.setattr(SegmentationModel, "compiled", compiled)
    return make_method(name, model={"dropout": 0.2}, schedule=NOW, **special)


@pytest.fixture
def without_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced, with gradients, and run by PyTorch's own kernels."""
    monkeypatch.setattr(region, "BACKEND", "aot_eager")


@pytest.mark.slow
def test_training_is_the_same_and_goes_on_either_way(without_code: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._dynamo.utils import counters

    plain = made(monkeypatch, compiled=False)
    first, state = train(plain, 0, 1), through_a_file(plain.state_dict())
    rest = train(plain, 1, 2)
    counters.clear()
    compiled = made(monkeypatch, compiled=True)
    assert train(compiled, 0, 1) == first
    parts = 6  # four stages, ASPP, and the low-level projection
    assert counters["stats"]["unique_graphs"] == 2 * parts, "of the student and of its teacher, which is a copy"
    assert not counters["graph_break"]
    assert same(compiled.state_dict(), state), "names too"
    other = made(monkeypatch, compiled=True)
    other.load_state_dict(state)
    assert train(other, 1, 2) == rest
    assert counters["stats"]["unique_graphs"] == 2 * parts, "networks share what was compiled"
    assert same(other.state_dict(), plain.state_dict())


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("GTA_COMPILE") or not shutil.which("g++"),
    reason="minutes of a C++ compiler; GTA_COMPILE=1 runs it where there is one",
)
def test_generated_code_agrees_to_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, compiled = (train(made(monkeypatch, compiled=one), 0, 10) for one in (False, True))
    for before, after in zip(plain, compiled, strict=True):
        assert after == pytest.approx(before, rel=1e-5)


def test_regions_are_the_stages_and_no_region_is_inside_another() -> None:
    tiny = make_method("supervised").networks()["student"]
    names = [name.removeprefix("feature_extractor.") for name, part in tiny.named_modules() if isinstance(part, Region)]
    assert names == [*(f"encoder.stage{number}" for number in (1, 2, 3, 4)), "aspp", "low_level"]
    for network in (tiny, small_dpt(3, "output")):
        regions = [part for part in network.modules() if isinstance(part, Region)]
        assert regions
        for part in regions:
            assert not any(isinstance(below, Region) for below in list(part.modules())[1:])
            assert not any(type(below).__name__ == "Dropout2d" for below in part.modules())


def test_a_stage_is_a_sequential() -> None:
    torch.manual_seed(0)
    parts = torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU()
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(Stage(*parts)(x), torch.nn.Sequential(*parts)(x))
    assert Stage(*parts).state_dict().keys() == torch.nn.Sequential(*parts).state_dict().keys()
    assert compile_regions(torch.nn.Sequential(*parts)) == 0


def test_a_region_with_batchnorm_over_ranks_is_left_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    synchronised, plain = (Stage(layer(4)) for layer in (torch.nn.SyncBatchNorm, torch.nn.BatchNorm2d))
    for _ in range(2):
        assert compile_regions(torch.nn.ModuleList([synchronised, plain])) == 1
    assert (synchronised._compiled_call_impl, plain._compiled_call_impl is None) == (None, False)
    assert capsys.readouterr().out.count("1 of 2 parts have a SyncBatchNorm") == 1
