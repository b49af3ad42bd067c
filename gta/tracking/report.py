"""What one sync did, in a form to be printed or asked."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class SyncReport:
    """What one `sync` did. `problems`: a sentence for what could not be sent (one for all cells with one reason);
    `damaged`: for each cell with a record that cannot be read; `notes`: for what was put right on the way.
    """

    cells: int = 0
    waiting: int = 0  # cells that have not started: nothing to record yet
    unchanged: int = 0
    created: int = 0
    updated: int = 0
    points: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        text = (
            f"{self.cells} cells: {self.created} new in MLflow, {self.updated} updated, "
            f"{self.unchanged} unchanged, {self.waiting} not started; "
            f"{self.points} points in {self.seconds:.1f} s"
        )
        return "\n".join([text, *self.notes, *self.damaged, *self.problems])
