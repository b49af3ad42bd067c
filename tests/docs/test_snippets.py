"""Every snippet of README, CONTRIBUTING and docs/ runs: commands, YAML, Python. Blocks of `text` are what is printed.

Lines are run as they are written, page by page, in one working folder (`conftest.py`), where shipped files have small
ones of the same name before them, and Slurm's programs are stand-ins.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from gta.cli.main import cli, main
from tests.helpers.program import ROOT
from tests.helpers.snippets import PAGES, Snippet, inline, named, snippets

LANGUAGES = {"bash", "yaml", "python", "text"}
PYTEST = "python -m pytest "
COMMANDS = ROOT / "docs/reference/commands.md"  # its examples are of data that are not here
MAKE = sorted(
    {line for page in PAGES for s in snippets(page, "bash") for line in s.commands() if line.startswith("make ")}
    | {line for page in PAGES for line in inline(page, "make ")}
)


def with_commands() -> list[Path]:
    return [page for page in PAGES if page != COMMANDS and any(line.split()[0] == "gta" for line in lines(page))]


def lines(page: Path) -> list[str]:
    return [line for snippet in snippets(page, "bash") for line in snippet.commands()]


def yaml_snippets() -> list[Snippet]:
    return [snippet for page in PAGES for snippet in snippets(page, "yaml")]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_block_is_of_a_language_that_is_tested(page: Path) -> None:
    assert [str(snippet) for snippet in snippets(page) if snippet.language not in LANGUAGES] == []
    others = [line for line in lines(page) if line != "gta" and not line.startswith(("gta ", "make ", PYTEST))]
    assert page == COMMANDS or others == [], "what cannot be run here is a block of text"


@pytest.mark.slow
@pytest.mark.parametrize("line", MAKE)
def test_make_lines_name_real_targets(line: str) -> None:
    environment = {**os.environ, "PYTHON": sys.executable, "LAUNCHER": "local"}
    command = [*shlex.split(line), "-n"]
    answer = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    if line.startswith("make sweep"):
        assert " multirun sweep=" in answer.stdout


def test_pytest_lines_name_real_tests() -> None:
    for page in PAGES:
        for line in lines(page):
            for word in shlex.split(line) if line.startswith(PYTEST) else ():
                path, _, name = word.partition("::")
                if path.startswith("tests"):
                    assert (ROOT / path).exists(), line
                    assert f"def {name}" in (ROOT / path).read_text() if name else True, line


@pytest.mark.slow
@pytest.mark.parametrize("page", with_commands(), ids=named)
def test_the_lines_of_a_page_run(page: Path, reader: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for line in lines(page):
        if line.split()[0] == "gta":
            code = main(shlex.split(line)[1:])
            said = capsys.readouterr()
            assert code == 0, f"{named(page)}: {line}\n{said.out}{said.err}"


@pytest.mark.slow
@pytest.mark.parametrize("snippet", yaml_snippets(), ids=str)
def test_yaml_composes(snippet: Snippet, reader: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = Path(snippet.path)
    group = "/".join(place.parts[1:-1]) or "sweep"
    words = ["hydra/launcher=slurm", "schedule.group_size=1"] if group == "site" else []  # a group for each rank
    assert main(["plan", f"{group}={place.stem}", *words]) == 0, capsys.readouterr()
    said = capsys.readouterr().out
    if place.stem == "mycluster":
        assert "1 job of 4 GPUs" in said


@pytest.mark.slow
def test_python_runs(reader: Path) -> None:
    for page in PAGES:
        for snippet in snippets(page, "python"):
            snippet.executed()


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_in_running_text_exist(page: Path) -> None:
    """`gta retry --oom` names a command, and an option that it has."""
    for code in inline(page, "gta "):
        words = shlex.split(code)[1:]
        if words[0].isupper():  # gta COMMAND --help
            continue
        command, rest = found(words)
        options = {name for param in command.params for name in (*param.opts, *param.secondary_opts)} | {"--help"}
        assert {word.partition("=")[0] for word in rest if word.startswith("-")} <= options, code


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_lines_that_are_not_run_could_be(page: Path) -> None:
    """Examples of the reference, and commands in a block of text: the command line takes them as they are written."""
    text = [line for snippet in snippets(page, "text") for line in snippet.commands()]
    for line in [*text, *(lines(page) if page == COMMANDS else [])]:
        if written := re.search(r"(?:^|bin/|source <\(|-m )gta ([a-z].*?)(?:\)$|>|\||$)", line):
            command, rest = found(shlex.split(written[1]))
            command.make_context(command.name, rest)  # raises where it would not do


def found(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that words begin with, and those that follow its name."""
    command: click.Command = cli
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        inner = command.get_command(click.Context(command), words[0])
        assert inner is not None, words
        command, words = inner, words[1:]
    return command, words
