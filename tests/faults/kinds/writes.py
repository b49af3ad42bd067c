"""Deaths inside a write: a checkpoint, a line of the journal, a rename."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.faults.kinds.kind import Did, Kind, did, set_world, where
from tests.faults.world import World


def _torn(path: str, most: int) -> Callable[[World, Random], Did]:
    def do(world: World, draw: Random) -> Did:
        at = set_world(world, draw)
        share = draw.choice((0.0, draw.random(), 0.999, 1.0))
        plan = world.plan(role="rank0", what="torn", path=path, at=draw.randint(1, most), share=share)
        world.gta("multirun", plan=plan)
        return did(f"{at}, {share:.3f} of it written, {where(world)}")

    return do


def _rename(world: World, draw: Random) -> Did:
    at = set_world(world, draw)
    path, most = draw.choice((("checkpoint.pt", 5), ("best.pt", 2), ("result.json", 1), ("0001.json", 8)))
    plan = world.plan(role="rank0", what="kill", path=path, at=draw.randint(1, most))
    world.gta("multirun", plan=plan)
    return did(f"{at}, {where(world)}")


def _of_launcher(world: World, draw: Random) -> Did:
    at = set_world(world, draw)
    path = draw.choice(("cell.json", "config.yaml", "submitted.json", "mlflow.json", "multirun.yaml", "table.json"))
    world.gta("multirun", plan=world.plan(role="multirun", what="kill", path=path, at=draw.randint(1, 2)))
    return did(f"{at}, {where(world)}")


KINDS = (
    Kind("death inside a save", "of checkpoint.pt", _torn("checkpoint.pt", 4), 4),
    Kind("death inside a save of the best weights", "of best.pt", _torn("best.pt", 2), 1),
    Kind("death inside a journal line", "any share of it written", _torn("journal.jsonl", 11), 4),
    Kind("death before a rename, in a cell", "of a checkpoint, a result, an attempt", _rename, 3),
    Kind("death before a rename, in the launcher", "of a record, the store's caches, the table", _of_launcher, 3),
)
