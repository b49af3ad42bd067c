"""Signals at seeded moments: to a cell, to one of its ranks, to submitit's controller, to the launcher."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from random import Random

from tests.faults import process
from tests.faults.kinds.kind import Did, Kind, did, moment, set_world, where
from tests.faults.world import World

Do = Callable[[World, Random], Did]


def _cell(what: str) -> Do:
    def do(world: World, draw: Random) -> Did:
        at = set_world(world, draw)
        run = world.start("multirun", plan=world.plan(role="rank0", what=what, at=moment(world, draw, "rank0")))
        if what == "stop":
            _wake(world, run, draw)
        run.wait()
        return did(f"{at}, {where(world)}")

    return do


def _launcher(what: str) -> Do:
    def do(world: World, draw: Random) -> Did:
        at = set_world(world, draw)
        run = world.start("multirun", plan=world.plan(role="multirun", what=what, at=moment(world, draw, "multirun")))
        if what == "stop":
            second = _while_stopped(world, run)
            _wake(world, run, draw)
            if second:
                second.wait()
        run.wait()
        return did(f"{at}, {where(world)}")

    return do


def _while_stopped(world: World, run: process.Running) -> process.Running | None:
    """Somebody starts a second launcher while the first one stands still."""
    _await_token(world, run)
    return world.start("multirun") if world.token else None


def _from_cell(world: World, draw: Random) -> Did:
    """The launcher dies at a moment of its cell, which goes on alone."""
    at = set_world(world, draw)
    what = draw.choice(("launcher-kill", "launcher-term", "launcher-int"))
    plan = world.plan(role="rank0", what=what, at=moment(world, draw, "rank0"))
    world.gta("multirun", plan=plan)
    return did(f"{at}, {what}, {where(world)}")


def _any_time(world: World, draw: Random) -> Did:
    """At a time, not at a change: within a step, an import, a C function."""
    at = set_world(world, draw)
    role = draw.choice(("rank0", "multirun", "controller"))
    after = draw.uniform(0.0, 2.0)
    world.gta("multirun", plan=world.plan(role=role, what=draw.choice(("kill", "term")), after=after))
    return did(f"{at}, {role} after {after:.3f} s")


def _controller(world: World, draw: Random) -> Did:
    at = set_world(world, draw)
    world.gta("multirun", plan=world.plan(role="controller", what=draw.choice(("kill", "term")), after=draw.random()))
    return did(f"{at}, {where(world)}")


def _rank(world: World, draw: Random) -> Did:
    state = draw.choice(("fresh", "half"))
    world.set("ranks", state)
    rank = draw.choice(("rank0", "rank1"))
    count = world.wanted.moments[rank]
    what = draw.choice(("kill", "kill", "term"))
    timed = rank == "rank1" or draw.random() < 0.3  # the second rank writes next to nothing
    plan = (
        world.plan(role=rank, what=what, after=draw.uniform(0.1, 2.5))
        if timed
        else world.plan(role=rank, what=what, at=1 + int(draw.random() * count))
    )
    world.gta("multirun", plan=plan)
    return did(f"ranks {state}, {what} {rank}, {where(world)}")


def _command(world: World, draw: Random) -> Did:
    """`sync` or `table` dies; what they made by half is made anew."""
    at = set_world(world, draw, "done")
    command = draw.choice(("sync", "table"))
    if draw.random() < 0.5:
        (world.runs / "mlflow.db").unlink()
    count = world.wanted.moments["sync"]
    plan = world.plan(role=command, what=draw.choice(("kill", "term", "int")), at=1 + int(draw.random() * count))
    world.gta(command, plan=plan)
    return did(f"{at}, {where(world)}")


def _await_token(world: World, run: process.Running) -> None:
    while run.poll() is None and world.token is None:
        time.sleep(0.02)


def _wake(world: World, run: process.Running, draw: Random) -> None:
    """A process that was stopped goes on a little later, or is killed."""
    _await_token(world, run)
    time.sleep(draw.choice((0.2, 1.0)))
    if said := world.token:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(str(said["pid"])), draw.choice((signal.SIGCONT, signal.SIGKILL)))


KINDS = (
    Kind("kill -9 of a cell", "before one of its changes of files", _cell("kill"), 6),
    Kind("SIGTERM to a cell", "before one of its changes of files", _cell("term"), 3),
    Kind("SIGSTOP of a cell", "then SIGCONT or kill -9", _cell("stop"), 2),
    Kind("kill -9 of the launcher", "before one of its changes of files", _launcher("kill"), 5),
    Kind("SIGTERM to the launcher", "before one of its changes of files", _launcher("term"), 2),
    Kind("Ctrl-C of the launcher", "before one of its changes of files", _launcher("int"), 3),
    Kind("SIGSTOP of the launcher", "a second one begins; then SIGCONT or kill -9", _launcher("stop"), 2),
    Kind("launcher gone while a cell works", "kill -9, SIGTERM or Ctrl-C at a moment of the cell", _from_cell, 3),
    Kind("death at any time", "kill -9 or SIGTERM after so many milliseconds, of any process", _any_time, 4),
    Kind("submitit's controller dies", "kill -9 or SIGTERM", _controller, 2),
    Kind("a rank dies", "one of two: kill -9 or SIGTERM", _rank, 2),
    Kind("sync or table dies", "also while mlflow.db is made", _command, 4),
)
