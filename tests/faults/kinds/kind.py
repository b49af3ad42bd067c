"""What a kind of fault is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tests.faults import inject
from tests.faults.world import World

NOT_REACHED = "not reached"


class NotHere(Exception):
    """This machine cannot be made to have the fault: why."""


@dataclass(frozen=True)
class Did:
    """What was done, in a few words; and what it may have taken for good, which is not missed afterwards."""

    what: str
    losing: frozenset[str] = frozenset()  # journal, checkpoint, store, clock


@dataclass(frozen=True)
class Kind:
    """`do` sets the world and does the harm, by the draws of a seeded generator. `weight`: how often among others."""

    name: str
    about: str
    do: Callable[[World, Random], Did]
    weight: int = 1


def did(what: str, *losing: str) -> Did:
    return Did(what, frozenset(losing))


def set_world(world: World, draw: Random, *states: str) -> str:
    """A grid in one of the states; mostly small ones. What it is."""
    grid = draw.choices(("one", "two", "four"), (5, 4, 1))[0]
    state = draw.choice(states or ("fresh", "half"))
    world.set(grid, state)
    return f"{grid} {state}"


def moment(world: World, draw: Random, role: str) -> int:
    """One of the changes of files that the undisturbed process of that role makes, counted from 1."""
    return 1 + int(draw.random() * world.wanted.moments[role])


def two_launchers(world: World, plan: inject.Plan, after_fault: bool) -> None:
    """A launcher with the plan's fault and a second one, which begins at once or after the fault, to their ends."""
    first = world.start("multirun", plan=plan)
    while first.poll() is None and after_fault and world.token is None:
        time.sleep(0.01)
    second = world.start("multirun")
    first.wait()
    second.wait()


def where(world: World) -> str:
    """At what change the fault happened, or that the process was over before."""
    said = world.token
    if said is None:
        return NOT_REACHED
    path = str(said["path"]).replace(f"{world.path}/", "")
    for signature in world.wanted.cells:
        path = path.replace(signature, signature[:4])
    return f"before change {said['count']} of {said['role']}: {path}"
