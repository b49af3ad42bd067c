"""`gta remote` against a real sshd on loopback: one login, words as they were written, results brought back."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import sshd
from tests.helpers.program import ROOT, SMALL_SCHEDULE, SMALL_SHAPES, Run

if sshd.SERVER is None or shutil.which("ssh") is None:
    pytest.skip("there is no sshd of OpenSSH here (openssh-server)", allow_module_level=True)

FAKE = """\
import json, os, pathlib, sys
pathlib.Path("results/shapes/deep er").mkdir(parents=True, exist_ok=True)
pathlib.Path("results/shapes/table.md").write_text("new")
pathlib.Path("results/shapes/deep er/a[1] b.txt").write_text("odd")
print(json.dumps({"folder": os.getcwd(), "words": sys.argv[1:], "stdin": sys.stdin.read()}))
print("of stderr", file=sys.stderr)
sys.exit(int(os.environ.get("CODE", "7")))
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.Sshd]:
    with sshd.running(tmp_path_factory.mktemp("sshd")) as made:
        yield made


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The project's folder on the other machine, with a program in it that says how it was called."""
    folder = tmp_path / "other machine/the [project]"
    program(folder, f'exec {sys.executable} {tmp_path}/fake.py "$@"')
    (tmp_path / "fake.py").write_text(FAKE)
    return folder


def program(folder: Path, line: str) -> None:
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/gta").write_text(f"#!/bin/sh\n{line}\n")
    (folder / ".venv/bin/gta").chmod(0o755)


WORDS = ["table", "a b", "x=[1,2]", "'q\"$HOME`id`", "--best", "-c", "*", "!!", "", "\\", "ü\nline", "--", "--help"]


def test_words_code_and_results_over_one_login(server: sshd.Sshd, project: Path, gta: Run, tmp_path: Path) -> None:
    (tmp_path / "results/shapes").mkdir(parents=True)
    (tmp_path / "results/shapes/table.md").write_text("old")
    (tmp_path / "results/mine.txt").write_text("mine")
    before = server.logins()
    answer = gta("remote", "--ssh", server.ssh, f"{sshd.HOST}:{project}", *WORDS)
    assert answer.returncode == 7, answer.stderr
    told = json.loads(answer.stdout)
    assert told["words"] == WORDS, "as they were typed, options too"
    assert told["folder"] == str(project)
    assert "of stderr" in answer.stderr
    assert server.logins() - before == 1
    assert f"{sshd.HOST}:{project}/results is in results." in answer.stderr
    assert (tmp_path / "results/shapes/table.md").read_text() == "new"
    assert (tmp_path / "results/shapes/deep er/a[1] b.txt").read_text() == "odd"
    assert (tmp_path / "results/mine.txt").read_text() == "mine", "what is here alone stays"


def test_without_rsync_tar_brings_them(server: sshd.Sshd, project: Path, gta: Run, tmp_path: Path) -> None:
    here = tmp_path / "bin"
    here.mkdir()
    for name in ("ssh", "tar", "bash", "sh"):
        (here / name).symlink_to(str(shutil.which(name)))
    before = server.logins()
    answer = gta("remote", "--ssh", server.ssh, f"{sshd.HOST}:{project}", "table", PATH=str(here))
    assert answer.returncode == 7, answer.stderr
    assert (tmp_path / "results/shapes/table.md").read_text() == "new"
    assert (tmp_path / "results/shapes/deep er/a[1] b.txt").read_text() == "odd"
    assert server.logins() - before == 1


def test_results_of_another_name_or_none(server: sshd.Sshd, project: Path, gta: Run, tmp_path: Path) -> None:
    (project / "tables").mkdir()
    (project / "tables/a.md").write_text("a")
    words = ["remote", "--ssh", server.ssh]
    assert gta(*words, f"{sshd.HOST}:{project}", "table", "paths.results=tables").returncode == 7
    assert (tmp_path / "tables/a.md").read_text() == "a"
    assert not (tmp_path / "results").exists()
    away = gta(*words, f"{sshd.HOST}:{project}", "table", f"paths.results={tmp_path}/else")
    assert "is not within the project, and stays on cluster" in away.stderr
    gta(*words, "--no-results", f"{sshd.HOST}:{project}", "table")
    assert not (tmp_path / "results").exists()


def test_results_that_cannot_be_written_here_are_told(server: sshd.Sshd, gta: Run, tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    for code, expected in ((0, 1), (7, 7)):
        program(there := tmp_path / f"ends with {code}", f"mkdir -p results; exit {code}")
        answer = gta("remote", "--ssh", server.ssh, f"{sshd.HOST}:{there}", "table")
        assert answer.returncode == expected, answer.stderr
        (line,) = answer.stderr.splitlines()
        assert line.startswith("error: results")
    assert (tmp_path / "results").read_text() == "a file"


def one_sentence(answer: object, words: str) -> None:
    assert answer.returncode == 2
    assert answer.stdout == ""
    (line,) = str(answer.stderr).splitlines()
    assert line.startswith("error: ")
    assert words in line


def test_what_the_user_can_mend_is_one_sentence(server: sshd.Sshd, project: Path, gta: Run, tmp_path: Path) -> None:
    words = ["remote", "--ssh", server.ssh]
    one_sentence(gta(*words, f"{sshd.HOST}:no/such place", "table"), "cluster has no folder no/such place: name the")
    (bare := tmp_path / "bare").mkdir()
    one_sentence(
        gta(*words, "--program", "/no/gta", f"{sshd.HOST}:{bare}", "table"),
        f"cluster:{bare} has no /no/gta: install gta",
    )
    one_sentence(gta("remote", "--ssh", "no-such-ssh -p 1", "cluster", "table"), "There is no no-such-ssh -p 1 here")
    one_sentence(gta("remote", "--ssh", f"{server.ssh} -p 1", sshd.HOST, "table"), "cluster cannot be reached: ")
    one_sentence(gta("remote", ":folder", "table"), "HOST is a name that ssh knows")


def test_the_home_there_is_written_as_a_tilde(server: sshd.Sshd, project: Path, gta: Run) -> None:
    there = pwd.getpwuid(os.getuid()).pw_dir  # sshd's, whatever HOME is here
    home = f"~/{os.path.relpath(project, there)}"
    words = ["remote", "--no-results", "--ssh", server.ssh]
    answer = gta(*words, "--program", f"'{home}/.venv/bin/gta' '{home}/x' ~", f"{sshd.HOST}:{home}", "table", "~data")
    assert answer.returncode == 7, answer.stderr
    told = json.loads(answer.stdout)
    assert told["folder"] == str(project)
    assert told["words"] == [f"{there}/{home[2:]}/x", there, "table", "~data"], "what follows HOST stays as written"


def test_what_no_shell_there_is_asked_about_is_one_sentence(server: sshd.Sshd, gta: Run) -> None:
    words = ["remote", "--ssh", server.ssh]
    one_sentence(gta(*words, f"{sshd.HOST}:~ada/work", "table"), "~ada/work: write the whole path; of ~ada the folder")
    one_sentence(gta(*words, "--program=~ada/bin/gta", sshd.HOST, "table"), "~ada/bin/gta: write the whole path")
    one_sentence(
        gta(*words, "--program", "it's", sshd.HOST, "table"), "--program it's: a quote is opened and not closed"
    )
    one_sentence(gta("remote", "--ssh", "ssh 'x", sshd.HOST, "table"), "--ssh ssh 'x: a quote is opened and not closed")


def test_a_connection_of_the_users_own_is_used(server: sshd.Sshd, project: Path, gta: Run, tmp_path: Path) -> None:
    import subprocess

    own = [*server.ssh.split(), "-o", f"ControlPath={tmp_path}/own"]
    subprocess.run([*own, "-M", "-N", "-f", sshd.HOST], check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        before = server.logins()
        answer = gta("remote", "--ssh", " ".join(own), f"{sshd.HOST}:{project}", "table")
        assert answer.returncode == 7, answer.stderr
        assert server.logins() == before
        assert subprocess.run([*own, "-O", "check", sshd.HOST], capture_output=True).returncode == 0, "it is left open"
    finally:
        subprocess.run([*own, "-O", "exit", sshd.HOST], capture_output=True)


@pytest.mark.slow
def test_a_table_from_there(
    server: sshd.Sshd, generated: Path, gta: Run, say: Run, empty_store: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "there"
    program(folder, f'PYTHONPATH={ROOT} OMP_NUM_THREADS=1 exec {sys.executable} -m gta "$@"')
    grid = ["sweep=shapes", "method=supervised", "data.split=1/5", "seed=0", *SMALL_SHAPES, *SMALL_SCHEDULE]
    grid.append(f"paths.data={generated}")
    (folder / "runs").mkdir()
    shutil.copy(empty_store, folder / "runs/mlflow.db")
    assert say("train", *grid, f"paths.runs={folder}/runs", f"paths.splits={folder}/splits").returncode == 0
    answer = gta("remote", "--ssh", server.ssh, f"{sshd.HOST}:{folder}", "multirun", *grid)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "1 cell: 1 done" in answer.stdout
    brought, made = (
        {path.relative_to(top): path.read_bytes() for path in (top / "results").rglob("*") if path.is_file()}
        for top in (tmp_path, folder)
    )
    assert brought == made
    assert any(path.name == "table.md" for path in brought)
    refused = gta("remote", "--ssh", server.ssh, f"{sshd.HOST}:{folder}", "status", "sweep=nothing")
    assert refused.returncode == 2
    assert "nothing: there is no such sweep" in refused.stderr
