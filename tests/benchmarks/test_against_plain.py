"""Our step against the plain one of benchmarks/plain, of every method: the same losses, and a row for each format."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import against_plain
from benchmarks.plain import PLAIN, augseg, gta, u2pl, unimatch_v2
from gta.methods import METHODS
from tests.helpers.program import run_alone

TINY = ["encoder=tiny", "device=cpu", "crop=17", "batch=2", "rounds=1", "compared=1", "classes=3"]
# Logits ten times as large: some pixels are sure and some not, and AugSeg's images are sure or not by turns.
OPTIONS: dict[str, Any] = {
    **against_plain.DEFAULTS, **against_plain.SMALL, "crop": 17, "compared": 4, "device": "cpu", "surer": 10.0,
}  # fmt: skip
SURE = {"unimatch_v2": 0.5, "augseg": 0.5, "u2pl": 0.3}  # what their teachers reach in evaluation mode
FAR = 1e-6  # as numbers that are not ours are, at least


@pytest.fixture
def float64() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def apart(method: str, form: str = "contiguous") -> against_plain.Apart:
    return against_plain.deviation(method, {**OPTIONS, "threshold": SURE.get(method, 0.6)}, form)


def test_every_method_has_a_plain_step() -> None:
    assert list(PLAIN) == list(METHODS.known)


@pytest.mark.slow
@pytest.mark.parametrize("method", PLAIN)
def test_losses_and_network_are_those_of_the_plain_step(float64: None, method: str) -> None:
    found = apart(method)
    assert found.loss + found.network > 0, "two implementations"
    assert found.loss < 1e-12
    assert found.network < 1e-12
    for name in ("pseudo/kept", "pseudo/injected"):  # some pixels and images are sure, and some are not
        if name in found.values[0] and method != "mean_teacher":
            assert any(0 < values[name] < 1 for values in found.values)


@pytest.mark.slow
def test_they_are_in_channels_last_too(float64: None) -> None:
    found = apart("gta", "channels_last")
    assert 0 < max(found.loss, found.network) < 1e-12


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "module", "number", "value"),
    [
        ("gta", gta, "KEPT_PERCENT", 79),
        ("unimatch_v2", unimatch_v2, "CAP", 0.997),
        ("augseg", augseg, "CAP", 0.998),
        ("u2pl", u2pl, "CONTRAST_WEIGHT", 0.11),
    ],
)
def test_another_number_is_another_result(
    float64: None, monkeypatch: pytest.MonkeyPatch, method: str, module: Any, number: str, value: float
) -> None:
    monkeypatch.setattr(module, number, value)
    found = apart(method)
    assert max(found.loss, found.network) > FAR


@pytest.mark.slow
def test_every_step_has_a_row_with_torch_and_numpy_alone(tmp_path: Path) -> None:
    methods, steps = ("augseg", "u2pl"), ["plain", "contiguous", "channels_last"]
    words = [*TINY, f"method={','.join(methods)}", f"json={tmp_path / 'out.json'}"]
    answer = run_alone("benchmarks/against_plain.py", *words)
    assert answer.returncode == 0, answer.stderr
    lines = [line.split("|") for line in answer.stdout.splitlines() if line.startswith("|")]
    assert [(line[1].strip(), line[2].strip()) for line in lines[2:]] == [
        (method, step) for method in methods for step in steps
    ]
    written = json.loads((tmp_path / "out.json").read_text())["seconds"]
    for method in methods:
        assert {name: len(taken) for name, taken in written[method].items()} == dict.fromkeys(steps, 1)


@pytest.mark.slow
def test_the_faster_variants_are_rows_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    against_plain.main([*TINY, "precision=bf16", "free=yes", f"json={file}"])
    seconds = json.loads(file.read_text())["seconds"]["gta"]
    assert list(seconds) == ["plain", "contiguous", "channels_last", "channels_last, bf16, free"]


def test_auto_is_what_the_head_says() -> None:
    one = against_plain.chosen({**against_plain.DEFAULTS, "device": "cpu"})
    assert (one["encoder"], one["crop"], one["rounds"], one["clock"]) == ("resnet101", 321, 2, "cpu")
    every = against_plain.chosen({**against_plain.DEFAULTS, "device": "cuda", "method": "all"})
    assert (every["method"], every["crop"], every["batch"], every["clock"]) == (list(PLAIN), 513, 3, "wall")


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("precision=fp8", "precision=fp8: use fp32 or bf16"),
        ("encodr=tiny", "unknown: encodr"),
        ("method=gtaa", "method=gtaa: use all, or of supervised, "),
        ("crop=small", "crop=small: use a number"),
    ],
)
def test_a_wrong_word_is_a_sentence(word: str, sentence: str) -> None:
    with pytest.raises(SystemExit, match=sentence):
        against_plain.main([word])
