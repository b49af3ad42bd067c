"""Which events are still to be told: claimed in a file before they are, so that of any number of launchers and jobs one
tells, once.

Who dies between the claim and the end of the command leaves the event as told: rather never than twice. A command that
failed (no network, a wrong address) is known to have told nobody, and is tried again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gta.cellfolder import readable
from gta.files import replacing
from gta.locks import lock_within
from gta.notices import Notice, Notified

TRIES = 3  # of a command that fails
AGAIN_SECONDS = 60.0  # between them
LOCK_SECONDS = 5.0
_NAME = ".notify.lock"


@dataclass(frozen=True)
class Event:
    """Something to be told: of which kind, which one, and the file in which that is remembered. Of a cell also its name
    and its log; `what`: what happened, in a line; `more`: in lines below it.
    """

    kind: str
    key: str
    file: Path
    what: str
    name: str = ""
    log: str = ""
    more: tuple[str, ...] = ()


def claim(runs: Path, events: Sequence[Event]) -> tuple[list[Event], list[Event]]:
    """Those that the caller has to tell now, and those that somebody has to later; what was told is in neither.

    One that cannot be remembered may not be told: it is for later, beside others. Raises OSError where nothing can be.
    """
    mine: list[Event] = []
    later: list[Event] = []
    trouble: OSError | None = None
    if not events:
        return mine, later
    with lock_within(runs / _NAME, LOCK_SECONDS) as held:
        if not held:
            return [], list(events)
        for event in events:
            known = _read(event.file)
            before = known.find(event.key)
            if before is not None and (before.sent is not False or before.tries >= TRIES):
                continue
            if before is not None and 0 <= time.time() - before.time < AGAIN_SECONDS:
                later.append(event)
                continue
            notice = Notice(event=event.kind, key=event.key, time=time.time(), tries=before.tries + 1 if before else 1)
            try:
                known.having(notice).write(event.file, _quickly)
                mine.append(event)
            except OSError as error:
                trouble = error
                later.append(event)
    if trouble and not mine:
        raise trouble
    return mine, later


def settle(runs: Path, events: Sequence[Event], error: str) -> bool:
    """Write down what came of telling them: nothing was wrong, or `error`. Whether that could be, since another one may
    write for too long: then try again. Raises OSError.
    """
    with lock_within(runs / _NAME, LOCK_SECONDS) as held:
        for event in events if held else ():
            known = _read(event.file)
            if notice := known.find(event.key):
                known.having(replace(notice, sent=not error, error=error)).write(event.file, _quickly)
    return held


def untold(events: Sequence[Event]) -> list[Event]:
    """Those that nobody has claimed, as far as their files say."""
    return [event for event in events if _read(event.file).find(event.key) is None]


def _quickly(path: Path, text: str) -> None:
    """A flush for each of a thousand cells that fail at once would take the launcher's time, and the lock; what a host
    that loses power forgets may be told twice.
    """
    with replacing(path, flush=False) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _read(path: Path) -> Notified:
    """What was told; a record that is broken knows nothing, and is written anew."""
    read: Callable[[], Notified | None] = lambda: Notified.read(path)  # noqa: E731
    return readable(read, say=lambda _: None) or Notified()
