"""Which table is meant: a sweep as its file declares it, or a variant of it, and where its results are."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

UNNAMED = "none"  # what a grid without a sweep is called
VARIANTS = "variants"  # below a sweep's results
_LONGEST = 80  # characters of a variant's name
_DIGITS = 8  # of a digest that keeps apart what would have one name
_PLAIN = re.compile(r"(?!.*__)[\w.=,/ ]+")


@dataclass(frozen=True)
class Sweep:
    """A sweep, by its name; `variant` says in settings what differs from its file ("seed=0 schedule.iterations=60"),
    and is empty for the sweep as declared. `axes` are the settings that the file itself varies, where that is known.
    """

    name: str
    variant: str = ""
    axes: tuple[str, ...] = field(default=(), compare=False)

    @property
    def unnamed(self) -> str:
        """Of a grid without a name what is to be said of its files, in a sentence; else empty."""
        if self.name != UNNAMED:
            return ""
        return (
            "This grid has no name, and the next one without a name replaces these files: sweep_name=NAME keeps them."
        )

    @property
    def folder_name(self) -> str:
        """Of a variant: the name of its folder, and of its runs in MLflow below that of the sweep; else empty."""
        return folder_name(self.variant)

    @property
    def tag(self) -> str:
        """What its runs in MLflow are tagged with: shapes, or shapes/seed-0."""
        return f"{self.name}/{self.folder_name}" if self.variant else self.name

    @property
    def title(self) -> str:
        return f"{self.name} with {self.variant} (not as declared)" if self.variant else self.name

    def results(self, folder: str | Path) -> Path:
        """Where its table and report are, below paths.results."""
        top = Path(folder) / self.name
        return top / VARIANTS / self.folder_name if self.variant else top


def folder_name(variant: str) -> str:
    """Letters, digits, `_`, `-` and `.` alone, such as data.split-1_50__seed-0; with a digest where that is too long,
    or where another variant could have the same.
    """
    name = variant.replace(" ", "__").replace("/", "_")
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", name)
    if (len(name) <= _LONGEST and _PLAIN.fullmatch(variant) and variant.isascii()) or not variant:
        return name
    digest = hashlib.sha256(variant.encode()).hexdigest()[:_DIGITS]
    return f"{name[: _LONGEST - _DIGITS - 1].rstrip('-_.')}-{digest}"
