"""What is there, what is missing, what to do: the checks of `gta doctor`. None of them changes anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from gta.errors import UserError


class Status(StrEnum):
    OK = "ok"
    MISSING = "missing"  # and not needed for what was asked
    PROBLEM = "problem"  # what was asked cannot run, or not well


@dataclass(frozen=True)
class Finding:
    """One answer: `what` was looked at, what is so, and what to do about it."""

    status: Status
    what: str
    detail: str
    advice: str = ""


def ok(what: str, detail: str) -> Finding:
    return Finding(Status.OK, what, detail)


def missing(what: str, detail: str, advice: str = "") -> Finding:
    return Finding(Status.MISSING, what, detail, advice)


def problem(what: str, detail: str, advice: str = "") -> Finding:
    return Finding(Status.PROBLEM, what, detail, advice)


def guarded(what: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """The lines of a check; a check that fails is a problem of its own, not the end."""
    try:
        yield from check()
    except UserError as error:
        yield problem(what, str(error))
    except Exception as error:
        yield problem(what, f"could not be looked at ({type(error).__name__}: {error})")
