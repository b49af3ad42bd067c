"""What a local job runs on every rank: the callable that submitit's pickle names. It imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gta import garbage
from launch.job.signals import Signals


@dataclass(frozen=True)
class Job:
    """Runs the cell in `folder` as a rank of a local submitit job. A failure leaves a non-zero exit code."""

    folder: str

    def __call__(self) -> str:
        signals = Signals().install()  # before what takes seconds to import
        garbage.spare()
        import submitit

        from gta.cellfolder import CellFolder
        from launch.job.attempt import run_rank
        from launch.job.rendezvous import Place

        job = submitit.JobEnvironment()
        return run_rank(CellFolder(Path(self.folder)), Place.of(job, str(job.paths.stdout)), signals)
