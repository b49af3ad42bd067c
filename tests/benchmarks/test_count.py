"""The count of a step: by hand for a small layer, by the documented passes, and as real tensors have it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from benchmarks import count
from tests.helpers.program import ROOT

TINY: dict[str, Any] = {**count.DEFAULTS, "model": "tiny", "crop": 33, "batch": 2, "classes": 5}


def test_a_convolution_by_hand() -> None:
    """2 images, 3 -> 4 planes, 3x3, 8x8 pixels; autograd keeps the image and what the loss needs."""
    layer = nn.Conv2d(3, 4, 3, padding=1)
    options = {**TINY, "crop": 8, "classes": 4}
    found = count.counted_pass(layer, count.tensors(layer), options, 1, "fp32")
    assert (found.images, found.flops) == (2, 2 * 2 * 4 * 8 * 8 * 3 * 9)
    assert found.backward == found.flops, "of the weights alone: no image has a gradient"
    image, logits, labels = 2 * 3 * 64 * 4, 2 * 4 * 64 * 4, 2 * 64 * 8
    assert image + 2 * logits + labels <= found.kept <= image + 3 * logits + labels + 8


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_fake_tensors_keep_what_real_ones_keep(precision: str) -> None:
    network = count.made(TINY)
    real = count.counted_pass(network, count.tensors(network), TINY, 2, precision)
    with FakeTensorMode() as mode:
        state = {name: mode.from_tensor(value) for name, value in count.tensors(network).items()}
        fake = count.counted_pass(network, state, TINY, 2, precision)
    assert fake.flops == real.flops > 0
    assert fake.backward == real.backward > 1.5 * real.flops
    assert fake.kept == pytest.approx(real.kept, rel=0.02)


def test_passes_are_those_of_the_documentation() -> None:
    page = (ROOT / "docs/explanation/method.md").read_text()
    for name, work in count.WORKS.items():
        documented = re.search(rf"^\| `{name}` \| [^|]* \| (\d+) ", page, re.MULTILINE)
        assert documented, name
        assert work.units == int(documented[1]), name


def test_the_program_prints_a_row_a_precision(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain, again = (tmp_path / name for name in ("plain.json", "again.json"))
    words = ["model=dinov2_small", "method=unimatch_v2", "crop=56", "batch=2", "optimizer=adamw"]
    count.main([*words, f"json={plain}"])
    count.main([*words, "recompute=yes", f"json={again}"])
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("| fp32", "| bf16"))]
    assert len(rows) == 4
    kept, less = (json.loads(file.read_text())["counted"] for file in (plain, again))
    assert less["fp32"]["kept"] < 0.7 * kept["fp32"]["kept"], "a block keeps its input alone"
    assert 1.1 < less["fp32"]["flops"] / kept["fp32"]["flops"] < 1.34, "for one more pass"
    assert kept["fp32"]["standing"] == less["fp32"]["standing"] > 4 * 4 * 24_000_000, "weights twice, gradients, Adam"
    with pytest.raises(SystemExit, match="method=magic: use supervised"):
        count.main(["method=magic"])
