"""The exceptions that mean "you can mend this"; and what is behind one."""

from __future__ import annotations

from collections.abc import Iterator


class UserError(ValueError):
    """Something the user can put right: a missing folder, a bad override, a corrupt image, a wrong list.

    The message is one clear sentence (a few lines where a layout must be shown) that says what is wrong and
    what to do. The command line prints it without a stack trace and exits with code 2.
    """


class Diverged(UserError):
    """A cell whose loss, networks or scores are not finite any more. It failed: exit code 1."""


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, and those behind it: what it was raised from, or while."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
