"""Our step against the plain one of benchmarks/plain.py: the same losses, and a row for each memory format."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import against_plain

TINY = ["encoder=tiny", "device=cpu", "crop=33", "rounds=1", "compared=2", "classes=3"]


@pytest.mark.parametrize("form", against_plain.FORMATS)
def test_the_losses_are_those_of_the_plain_step(form: str) -> None:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        options = {**against_plain.DEFAULTS, **against_plain.SMALL, "crop": 33, "compared": 4, "device": "cpu"}
        far = against_plain.deviation(options, form)
    finally:
        torch.set_default_dtype(before)
    assert 0 < far < 1e-12, "two implementations, one result"


def test_every_step_has_a_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    against_plain.main([*TINY, f"json={tmp_path / 'out.json'}"])
    rows = [line.split("|")[1].strip() for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert rows[2:] == ["plain", "contiguous", "channels_last"]
    written = json.loads((tmp_path / "out.json").read_text())
    assert {name: len(taken) for name, taken in written["seconds"].items()} == dict.fromkeys(rows[2:], 1)


def test_the_faster_variants_are_rows_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    against_plain.main([*TINY, "compared=1", "precision=bf16", "free=yes", f"json={file}"])
    seconds = json.loads(file.read_text())["seconds"]
    assert list(seconds) == ["plain", "contiguous", "channels_last", "channels_last, bf16, free"]
    with pytest.raises(SystemExit, match="precision=fp8: use fp32 or bf16"):
        against_plain.main(["precision=fp8"])


def test_an_unknown_word_is_a_sentence() -> None:
    with pytest.raises(SystemExit, match="unknown: encodr"):
        against_plain.main(["encodr=tiny"])
