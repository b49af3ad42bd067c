"""Pieces of work as whoever shows them is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gta.progress import Work, shown_by


@contextmanager
def works() -> Iterator[list[Work]]:
    """While entered, the works that go on are kept in this list."""
    kept: list[Work] = []

    @contextmanager
    def keep(work: Work) -> Iterator[None]:
        kept.append(work)
        yield

    with shown_by(keep):
        yield kept


def whole(kept: list[Work]) -> dict[str, int]:
    """What was done -> its steps. Each work has come to its end."""
    assert all(work.done == work.total for work in kept), kept
    return {work.what: work.total for work in kept}
