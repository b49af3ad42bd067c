"""Words of `gta eval` and `gta predict` that are no settings, or no values, each refused in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from gta.cli.main import main
from gta.cli.trained import changed
from gta.compose.compose import read_config
from gta.errors import UserError
from tests.helpers.program import ROOT

CONFIG = read_config(next((ROOT / "tests/fixtures/cell_v1").glob("*/config.yaml")))


@pytest.mark.parametrize(
    "word",
    [
        "evaluation.scales=[0.5",
        "evaluation.crop=8,,",
        "evaluation.crop=interval(0,1)",
        "evaluation.crop=glob(*)",
        "evaluation.crop=range(a,b)",
        "evaluation.flip={",
        "evaluation.flip=${",
        "evaluation.=3",
        "data.root=[",
        "schedule.eval_images={a",
    ],
)
def test_a_malformed_word_is_a_sentence(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "gta/1/50/seed0", word]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("error: ")
    with pytest.raises(UserError):  # as predict and `gta table --protocol` read it
        changed(CONFIG, [word])


def test_one_value_is_one_value() -> None:
    made = changed(CONFIG, ["evaluation.scales=[0.5,1.0]", "data.root=/a/b~c 1_16", "evaluation.flip=true"])
    assert (made.evaluation.scales, made.data.root, made.evaluation.flip) == ([0.5, 1.0], "/a/b~c 1_16", True)
    for word in ("data.root=glob(*)", "data.root=a,b", "evaluation.flip=true,false", "site.workers=interval(0,1)"):
        with pytest.raises(UserError, match="this takes one value"):
            changed(CONFIG, [word])
    with pytest.raises(UserError, match=r"evaluation\.crop is 'x'; it must be a whole number"):
        changed(CONFIG, ["evaluation.crop=x"])
    with pytest.raises(UserError, match="of a trained cell, this changes only"):
        changed(CONFIG, ["seed=3"])


@pytest.mark.slow
@pytest.mark.parametrize("command", ["plan", "config"])
def test_what_a_grid_does_not_know_in_braces_is_a_sentence(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([command, "evaluation.crop=${nope}"]) == 2
    assert "evaluation.crop: Interpolation key 'nope' not found" in capsys.readouterr().err
