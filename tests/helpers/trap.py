"""An object in a file that runs code when the file is unpickled."""

from __future__ import annotations

from pathlib import Path


class Trap:
    """Unpickled by a loader that allows it, this would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))
