"""Several commands at once."""

from __future__ import annotations

import time
from random import Random

from tests.faults.kinds.kind import Did, Kind, did, set_world, two_launchers
from tests.faults.world import World


def _launchers(world: World, draw: Random) -> Did:
    at = set_world(world, draw, "bare", "fresh", "half")
    count, pause = draw.choice((2, 2, 3)), draw.choice((0.0, 0.3, 1.5))
    runs = []
    for _ in range(count):
        runs.append(world.start("multirun"))
        time.sleep(pause)
    for run in runs:
        run.wait()
    return did(f"{at}, {count} launchers, {pause} s apart")


def _all_at_once(world: World, draw: Random) -> Did:
    at = set_world(world, draw, "bare", "fresh", "half")
    words = [draw.choice(("retry", "sync", "table", "status", "gc", "report")) for _ in range(draw.randint(2, 4))]
    runs = [world.start("multirun")]
    for word in words:
        time.sleep(draw.choice((0.0, 0.2, 0.8)))
        runs.append(world.start(word))
    for run in runs:
        run.wait()
    return did(f"{at}, multirun with {' '.join(words)}")


def _killed_among_others(world: World, draw: Random) -> Did:
    """One of two launchers dies."""
    at = set_world(world, draw)
    plan = world.plan(role="multirun", what="kill", after=draw.uniform(0.3, 3.0))
    two_launchers(world, plan, after_fault=False)
    return did(f"{at}, the first one dies")


def _late(world: World, draw: Random) -> Did:
    at = set_world(world, draw)
    seconds = draw.choice((0.2, 0.7, 1.5))
    runs = [world.start("multirun", plan=world.plan(late=seconds)) for _ in range(draw.choice((1, 1, 2)))]
    for run in runs:
        run.wait()
    return did(f"{at}, {len(runs)} launcher(s), new names are seen {seconds} s late")


KINDS = (
    Kind("launchers at once", "two or three", _launchers, 4),
    Kind("commands at once", "retry, sync, table, status, gc, report beside multirun", _all_at_once, 5),
    Kind("one of two launchers dies", "kill -9", _killed_among_others, 2),
    Kind("new files are seen late", "by other processes, by stat, open and listing", _late, 4),
)
