"""The command line as a user meets it: one-sentence errors, exit code 2, never a stack trace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gta.cli.main import main
from tests.helpers.program import SMALL_SCHEDULE, SMALL_SHAPES, Run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["plan", "sweep=shapes", "sede=0"], "did you mean seed"),
        (["multirun", "sweep=shapes", "sede=0"], "did you mean seed"),
        (["plan", "sweep=shapes", "budgt=200"], "did you mean --budget"),
        (["plan", "sweep=shapes", "method=unimatsh"], "there is no such method"),
        (["multirun", "sweep=shapes", "schedule.lr=fast"], "schedule.lr"),
        (["multirun", "sweep=shapes", "schedule.group_size=3"], "groups"),
        (["multirun", "sweep=shapes", "site.ranks=2"], "do not divide over 2 ranks"),
        (["multirun", "sweep=shapes", "method=supervised", "method.drop_percent=3"], "has no such setting"),
        (["plan", "sweep=shapes", "~schedule.lr"], "~schedule.lr: a setting cannot be left out; give it another value"),
        (["multirun", "sweep=shapes", "model.weights=nowhere.pth"], "model.weights=random"),
        (["multirun", "sweep=voc_blender"], "SegmentationClassAug"),
        (["multirun", "sweep=shapes", "schedule.warm_up=900"], "its teacher would never start"),
        (["multirun", "sweep=shapes", "schedule.eval_every=0"], "a whole number, 1 to"),
        (["multirun", "sweep=shapes", "precision=fp8"], "fp32 or bf16"),
        (["multirun", "sweep=shapes", "paths.tracking_uri=file:///tmp/x", "data.split=1/5"], "tracking URI"),
        (["plan", "sweep=shapes", "seed=range(0,0)"], "empty"),
        (["train", "sweep=shapes"], "use multirun"),
        (["eval", "abcdef"], "no such cell"),
        (["splits", "make", "data=shapes", "--ratios", "3/2"], "1/8"),
        (["sync", "paths.tracking_uri=file:///tmp/x"], "tracking URI"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
@pytest.mark.slow
def test_a_user_error_is_a_sentence_and_exit_code_2(
    generated: Path, tmp_path: Path, words: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    data = [] if words[0] == "eval" or "voc" in words[-1] else [*SMALL_SHAPES, f"paths.data={generated}"]
    assert main([*words, *data]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("error: ")
    assert said in shown
    assert "Traceback" not in shown


@pytest.mark.slow
def test_missing_data_show_the_expected_layout(gta: Run) -> None:
    answer = gta("multirun", "sweep=voc_classic", "paths.data=/nowhere")
    assert answer.returncode == 2
    for part in ("/nowhere/voc/JPEGImages/ID.jpg", "SegmentationClassAug", "labeled.txt", "MISSING"):
        assert part in answer.stderr
    assert "Traceback" not in answer.stderr
    assert len(answer.stderr.splitlines()) < 12


@pytest.mark.slow
def test_train_eval_and_sync_of_one_cell(
    generated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [*SMALL_SHAPES, *SMALL_SCHEDULE, f"paths.data={generated}", "data.split=1/5"]

    def say(*arguments: str) -> str:
        assert main(list(arguments)) == 0
        return capsys.readouterr().out

    said = say("train", *words)
    assert "gta 1/5 seed 0: done" in said
    recipe = "Training: tiny (width 8), random weights; 8 iterations; 8 + 8 images a step; crop 48; SGD, lr 0.1."
    assert f"{recipe} Data: shapes." in said.partition("seed 0: done")[0], "a run begins by saying what it is"
    folder = next((tmp_path / "runs/cells").iterdir())
    assert "is done" in say("train", *words)
    scored = {}
    for network in ("student", "teacher"):
        shown = say("eval", folder.name[:6], "--network", network)
        assert all(name in shown for name in ("background", "violet", "original size"))
        scored[network] = float(shown.split("mIoU ")[1].split()[0])
    result = json.loads((folder / "result.json").read_text())["networks"]
    assert scored == {name: pytest.approx(result[name]["last"]["miou"], abs=0.006) for name in scored}
    best = float(say("eval", str(folder), "--which", "best").split("mIoU ")[1].split()[0])
    assert best == pytest.approx(result["teacher"]["best"]["miou"], abs=0.006)
    assert main(["eval", folder.name, "--network", "assistant"]) == 2
    say("sync")
    assert (tmp_path / "runs/mlflow.db").exists()


def test_a_full_disk_is_a_sentence_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "runs/cells")

    monkeypatch.setattr("gta.cli.version.described", full)
    assert main(["--version"]) == 2
    assert capsys.readouterr().err == (
        "error: No space left on device: runs/cells; make room, then run the same command again\n"
    )
