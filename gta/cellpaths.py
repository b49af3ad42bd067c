"""Where each file of a cell's folder is; `gta.cellfolder` says what it holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CellPaths:
    """The paths of one cell, whose folder is `path`."""

    path: Path

    @property
    def config_file(self) -> Path:
        return self.path / "config.yaml"

    @property
    def method_file(self) -> Path:
        """The source of a method of a user's own."""
        return self.path / "method.py"

    @property
    def identity_file(self) -> Path:
        return self.path / "cell.json"

    @property
    def submitted_file(self) -> Path:
        return self.path / "submitted.json"

    @property
    def failure_file(self) -> Path:
        return self.path / "failure.json"

    @property
    def cancelled_file(self) -> Path:
        return self.path / "cancelled.json"

    @property
    def result_file(self) -> Path:
        return self.path / "result.json"

    @property
    def journal_file(self) -> Path:
        return self.path / "journal.jsonl"

    @property
    def checkpoint_file(self) -> Path:
        return self.path / "checkpoint.pt"

    @property
    def previous_checkpoint_file(self) -> Path:
        """The checkpoint before the last."""
        return self.path / "checkpoint.previous.pt"

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is one to go on from, the last or the one before it."""
        return self.checkpoint_file.exists() or self.previous_checkpoint_file.exists()

    @property
    def best_file(self) -> Path:
        return self.path / "best.pt"

    @property
    def order_file(self) -> Path:
        return self.path / "order.json"

    @property
    def sync_cache_file(self) -> Path:
        return self.path / "mlflow.json"

    @property
    def notified_file(self) -> Path:
        return self.path / "notified.json"

    @property
    def attempts_folder(self) -> Path:
        return self.path / "attempts"

    @property
    def artifacts_folder(self) -> Path:
        return self.path / "artifacts"

    @property
    def evaluations_folder(self) -> Path:
        return self.path / "evaluations"

    @property
    def damaged_folder(self) -> Path:
        """Damaged records as they were, when others took their places."""
        return self.path / "damaged"

    def attempt_file(self, number: int) -> Path:
        return self.attempts_folder / f"{number:04d}.json"

    def silence_file(self, number: int, rank: int) -> Path:
        return self.attempts_folder / f"{number:04d}.silent-{rank}.json"

    def evaluation_file(self, name: str) -> Path:
        return self.evaluations_folder / f"{name}.json"

    def by_image_file(self, name: str) -> Path:
        """What an evaluation counted in each image."""
        return self.evaluations_folder / f"{name}.npz"
