"""Setup lines of a job: one that fails ends it and is named; what fails inside of one that succeeds does not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from launch.state import setup

# as module and conda are: functions that come from a sourced file, and pass over failures on purpose
TOOLS = """
false
module() { false; grep -q nothing /dev/null; eval "[ \\"$2\\" = cuda ]"; }
conda() { local unset=$CONDA_NOT_SET; false; return 0; }
"""


def run(folder: Path, *lines: str) -> subprocess.CompletedProcess[str]:
    """What a job with these lines says."""
    (folder / "tools.sh").write_text(TOOLS)
    script = folder / "script.sh"
    source = f"source {folder}/tools.sh"
    script.write_text("\n".join(["#!/bin/bash", "", *setup.watched([source, *lines]), "", "false", "echo began", ""]))
    return subprocess.run(["bash", str(script)], capture_output=True, text=True)


@pytest.mark.parametrize(
    "line",
    [
        "module load cuda",
        "conda activate env",
        "export A=$NOT_SET B=1  # a comment",
        '[ -n "$NOT_SET" ] && export C=1',
        "grep -q nothing /dev/null || true",
        "if false; then\n  module load none\nfi",
        "ulimit -S -n 64",
    ],
)
def test_a_job_begins_where_every_line_succeeds(tmp_path: Path, line: str) -> None:
    said = run(tmp_path, line)
    assert (said.returncode, said.stdout) == (0, "began\n"), said.stderr


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("module load none", 1),
        ("module load none  # a 'comment' with \"quotes\"", 1),
        ("source /nowhere/activate", 1),
        ("no-such-program --option", 127),
        ("cd /nowhere; export A=1", 1),
        ("(exit 7)", 7),
    ],
)
def test_a_line_that_fails_ends_the_job_and_is_named(tmp_path: Path, line: str, code: int) -> None:
    said = run(tmp_path, "export A=1", line, "module load cuda")
    assert said.returncode == 1
    assert said.stdout == f"setup failed with exit code {code}: {line}\n"


def test_it_is_named_in_the_foreground_too(tmp_path: Path) -> None:
    (tmp_path / "tools.sh").write_text(TOOLS)
    lines = setup.watched([f"source {tmp_path}/tools.sh", "conda activate env", "cd /nowhere"])
    said = subprocess.run(["/bin/bash", "-c", "\n".join([*lines, "echo began"])], capture_output=True, text=True)
    assert (said.returncode, said.stdout) == (1, "setup failed with exit code 1: cd /nowhere\n")


def test_a_job_without_setup_lines_is_left_as_it_is() -> None:
    assert setup.watched([]) == []


def test_the_log_tells_which_line_failed(tmp_path: Path) -> None:
    log = tmp_path / "57_3_0_log.out"
    assert setup.failure_in(str(log)) is None
    assert setup.failure_in(None) is None
    log.write_text("setup failed with exit code 1: module load old\nlong ago\n" + "x" * 20_000)
    assert setup.failure_in(str(log)) is None, "that was an earlier start"
    with open(log, "a") as file:
        file.write("\nLmod has detected an error\nsetup failed with exit code 1: module load cuda\nslurmstepd: bye\n")
    for name in ("57_3_0_log.out", "57_3_cell1_log.out"):
        assert setup.failure_in(str(tmp_path / name)) == "setup failed with exit code 1: module load cuda"
