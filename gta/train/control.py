"""What the outside may ask of a run, and what it is told. Imports nothing heavy."""

from __future__ import annotations

from enum import IntEnum


class Request(IntEnum):
    """What the outside asks for at a step boundary; the strongest request of any rank holds for all."""

    NONE = 0
    SAVE = 1  # save, and go on
    STOP = 2  # save, and leave


class Control:
    """The outside, as the trainer sees it. By itself it asks for nothing."""

    def request(self) -> Request:
        """Asked for at each step boundary."""
        return Request.NONE

    def check(self) -> None:
        """Raises where this process must not write into the cell's folder any more; from then on, always. Also called
        by the thread that writes.
        """

    def began(self, iteration: int) -> None:
        """Training goes on from this iteration."""

    def saved(self, iteration: int) -> None:
        """Everything up to this iteration is on disk. Called by the thread that wrote it, of rank 0 alone."""

    def answered(self) -> None:
        """What `request` asked for is done: this rank's part of everything is on disk."""
