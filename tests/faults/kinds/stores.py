"""MLflow's store: cut, emptied, flipped, gone; its lock deleted."""

from __future__ import annotations

import shutil
from random import Random

from tests.faults.kinds import records
from tests.faults.kinds.kind import Did, Kind, did, moment, set_world, two_launchers, where
from tests.faults.world import World


def _store(world: World, draw: Random) -> Did:
    at = set_world(world, draw, "fresh", "half", "done")
    how = draw.choice(("cut", "empty", "words", "gone", "a folder"))
    records.BREAKS[how](world.runs / "mlflow.db", draw)
    return did(f"{at}, mlflow.db: {how}")


def _flipped(world: World, draw: Random) -> Did:
    """SQLite has no checksums: a flipped bit may stay unseen in the store; it must not reach the table."""
    at = set_world(world, draw, "half", "done")
    path = world.runs / "mlflow.db"
    records.flip(path, draw)
    return did(f"{at}, mlflow.db: one bit", "store")


def _artifacts(world: World, draw: Random) -> Did:
    at = set_world(world, draw, "half", "done")
    shutil.rmtree(world.runs / "mlartifacts", ignore_errors=True)
    return did(f"{at}, mlartifacts gone")


def _locks(world: World, draw: Random) -> Did:
    """All lock files are deleted while a launcher works, and a second one begins at once."""
    at = set_world(world, draw, "bare", "fresh", "half")
    plan = world.plan(role="multirun", what="unlock", at=moment(world, draw, "multirun"))
    two_launchers(world, plan, after_fault=True)
    return did(f"{at}, {where(world)}")


KINDS = (
    Kind("mlflow.db broken", "cut, empty, no database, a folder, gone", _store, 5),
    Kind("a flipped bit in mlflow.db", "one, anywhere", _flipped, 2),
    Kind("MLflow's artifacts gone", "the folder of all of them", _artifacts, 1),
    Kind("locks deleted", "while a launcher works; a second one begins", _locks, 4),
)
