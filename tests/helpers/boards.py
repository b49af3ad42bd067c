"""Rows of a board as a busy cluster makes them, without a cell or a file."""

from __future__ import annotations

from dataclasses import replace

from launch.show.rows import BoardRow

METHODS = ("supervised", "mean_teacher", "u2pl", "gta", "gta_weight_confidence", "fully_supervised")
SPLITS = ("1/16 (662)", "1/8 (1323)", "1/4 (2646)", "1/2 (5291)")


def rows(count: int, label: str = "", failed_at: int | None = None) -> list[BoardRow]:
    """So many cells: the first third done, then some that run, the rest in the queue; one failed, the last but two,
    where nothing else is said.
    """
    seeds = -(-count // (len(METHODS) * len(SPLITS)))
    names = [(method + label, split, seed) for split in SPLITS for method in METHODS for seed in range(seeds)]
    made = [waiting(i, *name) for i, name in enumerate(names[:count])]
    third = count // 3
    for i in range(third):
        made[i] = done(made[i])
    for i in range(third, min(third + 5, count)):
        made[i] = running(made[i])
    place = max(0, count - 3) if failed_at is None else failed_at
    made[place] = failed(made[place], ERROR)
    return made


ERROR = (
    "exception: RuntimeError: The size of tensor a (21) must match the size of tensor b (19) at non-singleton "
    "dimension 1, in /home/ada/experiments/2026/segmentation/gta/methods/gta.py"
)


def waiting(index: int, method: str, split: str, seed: int) -> BoardRow:
    return BoardRow(
        signature=f"{index * 2654435761 % 2**32:08x}{index:08x}", method=method, split=split, seed=seed, state="queued",
        iteration=None, iterations=40000, loss=None, rate=None, left=None, trained=None, miou=None, expected=None,
        in_slurm=True, node=None,
        job=f"4711_{index}", attempts=0, gpu_hours=0.0, core_hours=0.0, cause=None,
        what="others come first (Priority)", log=None,
    )  # fmt: skip


def done(row: BoardRow) -> BoardRow:
    return replace(row, state="done", iteration=40000, miou=71.25, attempts=1, gpu_hours=9.5, what="")


def running(row: BoardRow) -> BoardRow:
    return replace(
        row, state="running", iteration=12000, loss=0.75, rate=1.18, left=23728.0, node="gpu-a100-017", attempts=2,
        gpu_hours=3.25, what=f"on gpu-a100-017, job {row.job}",
    )  # fmt: skip


def failed(row: BoardRow, error: str) -> BoardRow:
    return replace(
        row, state="failed", iteration=120, loss=None, rate=None, left=None, miou=None, attempts=1, gpu_hours=0.04,
        cause="exception", what=error,
    )  # fmt: skip
