"""What cannot be written to: a closed pipe, a full device, a path where something else is."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from gta.cli.main import main
from tests.helpers.program import ROOT

GRID = ("sweep=shapes", "method=gta", "data.split=1/50", "seed=0")


def unread(*arguments: str, cwd: Path, stderr: bool = False) -> tuple[int, str]:
    """Exit code and what is said of a command whose output nobody reads; with `stderr` neither what it says."""
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [sys.executable, "-m", "gta", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=writing,
        stderr=writing if stderr else subprocess.PIPE,
        text=True,
        timeout=900,
    )
    os.close(writing)
    return ended.returncode, ended.stderr or ""


@pytest.mark.slow
@pytest.mark.parametrize("words", [("multirun", "--help"), ("--version",), ("status", *GRID)])
def test_a_closed_pipe_ends_a_command_without_a_word(words: tuple[str, ...], tmp_path: Path) -> None:
    code, said = unread(*words, cwd=tmp_path)
    assert (code, said.replace(f"Made the generated data set in {tmp_path}/data/shapes.\n", "")) == (0, "")
    assert unread(*words, cwd=tmp_path, stderr=True) == (0, "")


@pytest.mark.slow
def test_a_full_device_is_said_also_of_the_last_words(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gta", "--version"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            command, cwd=tmp_path, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, timeout=300
        )
    assert ended.returncode == 2
    assert ended.stderr == "error: No space left on device; make room, then run the same command again\n"


_CHILD = """
import subprocess
from gta.cli.main import main
code = main(["--version"])
raise SystemExit(code or subprocess.run(["test", "/dev/null", "-ef", "/proc/self/fd/1"]).returncode)
"""


@pytest.mark.slow
def test_a_closed_output_is_nowhere_for_other_programs_too() -> None:
    line = shlex.join([sys.executable, "-c", _CHILD])
    for closed in (">&-", "<&- >&- 2>&-"):
        assert subprocess.run(["bash", "-c", f"{line} {closed}"], cwd=ROOT, timeout=300).returncode == 0


@pytest.mark.parametrize(
    "words",
    [
        ("splits", "make", "data=shapes", "paths.splits=taken"),
        ("data", "make-shapes", "data.generator.train=8", "data.generator.val=2", "paths.data=taken"),
        ("multirun", *GRID, "paths.runs=taken"),
        ("report", *GRID, "paths.results=taken"),
        ("table", *GRID, "paths.tracking_uri=sqlite:///taken/mlflow.db"),
    ],
    ids=lambda words: words[0],
)
def test_a_file_where_a_folder_is_needed(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("taken").write_text("mine")
    if words[0] == "splits":
        assert main(["data", "make-shapes", "data.generator.train=48", "data.generator.val=2"]) == 0
    assert main(words) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: ")
    assert said.endswith("taken is a file, and a folder is needed there: name another place, or move the file away.")
    assert Path("taken").read_text() == "mine"


def test_a_broken_pipe_of_something_else_is_no_good_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from gta.cli import version

    def hung_up() -> str:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(version, "described", hung_up)
    assert main(["--version"]) == 2
    assert capsys.readouterr().err == "error: Broken pipe\n"
