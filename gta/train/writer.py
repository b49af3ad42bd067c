"""Writing behind the training: a thread writes one checkpoint while steps go on; whoever needs it on the disk waits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

from gta.text import first_line
from gta.train.snapshot import snapshot

THREAD = "checkpoint writer"


class Writer:
    """Writes one state after the other. What goes wrong in the thread is raised by the next `check`, `wait` or `write`,
    in the thread that trains, as if that had written; it is never lost, also where a block that the writer is entered
    for ends otherwise.

    The thread lives for one write alone, so that a process which writes nothing has no such thread: who forks (workers
    that load data) waits first.
    """

    def __init__(self, behind: bool = True) -> None:
        """Without `behind` each `write` returns when all is written, and no copy is made."""
        self.behind = behind
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def write(self, state: dict[str, Any], work: Callable[[dict[str, Any]], None]) -> None:
        """Do `work` on the state as it is now, once the write before it is over. Raises what that raised."""
        self.wait()
        if not self.behind:
            work(state)
            return
        try:
            # no daemon: an interpreter that ends waits for it
            thread = threading.Thread(target=self._run, args=(work, snapshot(state)), name=THREAD, daemon=False)
            thread.start()
        except (MemoryError, RuntimeError) as trouble:  # no room for the copy, or the system gives no thread
            print(f"Training waits for this checkpoint: {first_line(trouble)}", flush=True)
            work(state)
        else:
            self._thread = thread

    @property
    def writing(self) -> bool:
        """Whether a write is under way."""
        return self._thread is not None and self._thread.is_alive()

    def check(self) -> None:
        """Raise what went wrong, where a write is over; does not wait."""
        if not self.writing:
            self.wait()

    def wait(self) -> None:
        """Until all is written. Raises what went wrong."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        if error is not None:
            raise error

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.wait()
        except Exception as trouble:
            if error is None:
                raise
            print(f"The last save did not end well: {type(trouble).__name__}: {first_line(trouble)}", flush=True)

    def _run(self, work: Callable[[dict[str, Any]], None], state: dict[str, Any]) -> None:
        try:
            work(state)
        except BaseException as error:
            self._error = error
