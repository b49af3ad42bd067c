"""The command that tells somebody: what it is given, what is said of one that fails; the presets, which post."""

from __future__ import annotations

import shlex
import sys
import tempfile
from pathlib import Path

import pytest

from launch.notify import command
from launch.notify.command import Sending, payload
from tests.helpers.notified import hook
from tests.helpers.slurm import until


def test_a_command_has_the_facts_and_ends_well(tmp_path: Path) -> None:
    assert Sending(f'printf "%s" "$GTA_TEXT" >{tmp_path}/said', {"GTA_TEXT": "two\nlines; $(touch no)"}).wait() == ""
    assert (tmp_path / "said").read_text() == "two\nlines; $(touch no)"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo first; echo password=pa55word; exit 3", "exit code 3: password=***"),
        ("nonsuch-program", "exit code 127: bash: line 1: nonsuch-program: command not found"),
        ("false", "exit code 1"),
        ("yes | head -c 100000; echo; printf '\\033[31mred'; exit 1", "exit code 1: \\x1b[31mred"),
    ],
)
def test_what_fails_is_a_line_without_a_password(text: str, said: str) -> None:
    assert Sending(text, {}).wait() == said


def test_what_cannot_be_started_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    sending = Sending("true", {})
    assert sending.over
    assert sending.wait().startswith("it could not be started: [Errno 2] No such file or directory: ")


def test_a_command_that_takes_too_long_is_ended_with_what_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "SECONDS", 1.0)
    child = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    sending = Sending(f"{shlex.join([sys.executable, '-c', child])} & sleep 600", {})
    assert not sending.over, "it is not waited for"
    assert sending.wait() == "it took longer than 1 s"
    if (tmp_path / "pid").exists():
        pid = (tmp_path / "pid").read_text()
        until(lambda: not Path(f"/proc/{pid}").exists() or " Z " in Path(f"/proc/{pid}/stat").read_text())


@pytest.mark.parametrize("preset", ["slack", "mattermost"])
def test_a_preset_posts_to_the_address_in_the_environment(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = 'toy: gta failed\nExpected <Tensor> & got `@all`\n"quoted", ünïcode'
    with hook() as there:
        monkeypatch.setenv("GTA_NOTIFY_URL", there.url)
        facts = {"GTA_PAYLOAD": payload(preset, "toy: gta failed", text)}
        assert Sending(preset, facts).wait() == ""
        assert there.kinds == ["application/json"]
        (post,) = there.posts
        if preset == "slack":
            assert post == {"text": text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")}
        else:
            quiet = "Expected <Tensor> & got '@all'\n\"quoted\", ünïcode"
            assert post == {"text": f"`toy: gta failed`\n```\n{quiet}\n```"}, "as code, in which @all calls nobody"
        there.answer = 500
        said = Sending(preset, facts).wait()
        assert said.startswith("exit code 22: curl: (22)")
        assert "pa55word" not in said


def test_a_preset_without_an_address_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GTA_NOTIFY_URL", raising=False)
    assert Sending("slack", {}).wait() == "exit code 1: GTA_NOTIFY_URL is not set: it has the address of the hook"


def test_the_address_is_not_among_the_arguments_of_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody on a machine can read those."""
    program = tmp_path / "curl"
    program.write_text(
        f'#!/bin/bash\ntr "\\0" "\\n" </proc/$$/cmdline >{tmp_path}/arguments\ncat "${{@: -1}}" >/dev/null\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("GTA_NOTIFY_URL", "https://chat.example/hooks/pa55word")
    assert Sending("slack", {"GTA_PAYLOAD": "{}"}).wait() == ""
    assert "--config" in (tmp_path / "arguments").read_text()
    assert "pa55word" not in (tmp_path / "arguments").read_text()
