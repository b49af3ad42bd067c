"""How far long work is: a bar on a terminal that leaves nothing behind, a line now and then elsewhere."""

from __future__ import annotations

import io
import re
import sys
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from gta import bars, progress

PATH = "/home/ada/experiments/2026/segmentation/runs/cells/7a23b7e3f353433a/predictions/of/the/validation/list.png"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def window(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """stdout and stderr as one window of 80 columns, where a bar is shown at once. (No fixture: pytest sets its own
    streams between that and the test.)
    """
    monkeypatch.setattr(bars, "AFTER_SECONDS", 0.0)
    made = Terminal()
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, made)
    for name, value in {"TERM": "xterm", "COLUMNS": "80", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    return made


def until(seen: Callable[[], object]) -> None:
    """Waits for what another thread does, however slow the machine is."""
    deadline = time.monotonic() + 60
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_bar_says_how_far_it_is_and_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = window(monkeypatch)
    before = sys.stdout
    with bars.shown():
        for number in progress.steps(range(3), "scoring images", 3):
            until(lambda wanted=number: f"{wanted}/3" in terminal.getvalue())
            if number == 1:
                print(PATH)
    said = terminal.getvalue()
    assert "scoring images" in said
    assert PATH in said, "what is printed meanwhile stands above it, no path is broken at 80 columns"
    assert not re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", said.rpartition("2/3")[2]).strip(" \n0123456789:-left"), "gone"
    assert sys.stdout is before


def test_bars_of_work_in_work_and_of_one_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = window(monkeypatch)
    with suppress(ValueError), bars.shown():
        for _ in progress.steps(range(8), "training", 8, done=5):
            with progress.work("scoring images", 100) as work:
                work.advance(40)
                until(lambda: "5/8" in terminal.getvalue() and "40/100" in terminal.getvalue())
            raise ValueError
    assert terminal.getvalue().rstrip().endswith("\x1b[?25h") or "\x1b[?25h" in terminal.getvalue(), (
        "the cursor is back"
    )


def test_what_is_quick_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = window(monkeypatch)
    monkeypatch.setattr(bars, "AFTER_SECONDS", 3600.0)
    with bars.shown():
        assert list(progress.steps("abc", "reading", 3)) == ["a", "b", "c"]
    assert terminal.getvalue() == ""


def test_elsewhere_a_line_now_and_then(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bars, "LINES_EVERY", 0.01)
    said = ""

    def seen(text: str) -> bool:
        nonlocal said
        said += capsys.readouterr().err
        return text in said

    with bars.shown(), progress.work("training", 9, silent=True), progress.work("copying the data", 12000) as work:
        work.advance(3500)
        until(lambda: seen(" copying the data: 3,500 of 12,000\n"))
    assert "training" not in said, "it says itself how it goes"


def test_nobody_has_to_look_on() -> None:
    with progress.work("reading", 2) as work:
        work.advance(2)
    assert list(progress.steps([1, 2], "reading", 2)) == [1, 2]
