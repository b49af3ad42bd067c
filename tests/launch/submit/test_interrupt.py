"""Ctrl-C that a library swallows is heard all the same."""

from __future__ import annotations

import contextlib
import signal

import pytest

from launch.submit.interrupt import Interrupt


def test_what_was_swallowed_is_raised_again() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupt() as ctrl_c:
        ctrl_c.check()
        with contextlib.suppress(BaseException):  # as a bare `except:` in somebody's import does
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            ctrl_c.check()
    assert signal.getsignal(signal.SIGINT) is before


def test_it_comes_at_once_where_nobody_swallows_it() -> None:
    with Interrupt(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
