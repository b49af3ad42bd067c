"""Fault after fault: which come by a seed, what came of each, and how far it got."""

from __future__ import annotations

import json
import os
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random

from tests.faults import expected, inject, process, user
from tests.faults.kinds import KINDS, Kind, NotHere
from tests.faults.kinds.kind import NOT_REACHED, Did
from tests.faults.world import World

AGAIN = 4  # after every so many faults a multirun more, which must run nothing


@dataclass(frozen=True)
class Outcome:
    """What came of one fault."""

    seed: int
    number: int
    kind: str
    outcome: str  # well, failed, not here
    what: str = ""  # was done
    typed: list[str] = field(default_factory=list)  # what was typed afterwards, until all was well
    why: str = ""  # it failed, or cannot be had here
    happened: bool = True  # False where the process was over before the drawn moment came
    leftovers: list[str] = field(default_factory=list)  # what temporary files in the cells' folders were to become
    seconds: float = 0.0


def planned(seed: int, count: int, kinds: Sequence[Kind] = KINDS) -> Iterator[tuple[int, Kind]]:
    """Number and kind of each fault: all kinds come in rounds, each as often as it weighs, in a drawn order."""
    number = 0
    turn = 0
    while number < count:
        pack = [kind for kind in kinds for _ in range(kind.weight)]
        Random(f"{seed} {turn}").shuffle(pack)
        for kind in pack[: count - number]:
            yield number, kind
            number += 1
        turn += 1


def one(world: World, seed: int, number: int, kind: Kind) -> Outcome:
    """Do one fault, settle it as a user would, and look whether all is as it must be."""
    began = time.monotonic()
    did = Did("")
    typed: list[str] = []

    def made(outcome: str, why: str = "", leftovers: Sequence[str] = ()) -> Outcome:
        seconds = time.monotonic() - began
        happened = not did.what.endswith(NOT_REACHED)
        return Outcome(seed, number, kind.name, outcome, did.what, typed, why, happened, list(leftovers), seconds)

    try:
        did = kind.do(world, Random(f"{seed}:{number}"))
        for run in world.said:
            run.wait()
            user.refuse_trace(run)
        typed = user.settle(world)
        found = _again(world) if number % AGAIN == 0 else []
        found += expected.troubles(world.path, world.wanted, did.losing)
        left = _leftovers(world)
        found += _removed(world, left)
        return made("failed" if found else "well", "; ".join(found), [_becoming(path) for path in left])
    except NotHere as error:
        return made("not here", str(error))
    except (process.Hang, user.Unfinished) as error:
        return made("failed", str(error))
    except Exception as error:  # the fault's own code, or a world that cannot even be read
        return made("failed", f"{type(error).__name__}: {error} {traceback.format_exc()[-600:]}")
    finally:
        process.end_others()


def _again(world: World) -> list[str]:
    """What is wrong with another multirun of a grid that is done: it must run nothing."""
    before = _attempts(world)
    run = world.gta("multirun")
    user.refuse_trace(run)
    found = [] if run.code == 0 else [f"another multirun ends with exit code {run.code}"]
    return found if _attempts(world) == before else [*found, "another multirun ran a cell that was done"]


def _attempts(world: World) -> list[str]:
    return sorted(str(path) for path in world.runs.glob(f"cells/*/{expected.ATTEMPTS}"))


def _leftovers(world: World) -> list[Path]:
    """Temporary files in the cells' folders."""
    found = (world.runs / "cells").rglob(".*")
    return sorted(path for path in found if path.name.endswith(".tmp") or path.name.startswith(".claim"))


def _becoming(path: Path) -> str:
    """The name of the file that a temporary one was to become."""
    return Path(inject.final(path)).name if path.name.endswith(".tmp") else "a claim"


def _removed(world: World, left: Sequence[Path]) -> list[str]:
    """What is wrong with `gta gc` after temporary files were left: it must remove all of them."""
    if not left:
        return []
    for path in left:  # of one who may be at work it waits for two minutes
        seen = path.stat()
        os.utime(path, (seen.st_atime - 130, seen.st_mtime - 130))
    user.refuse_trace(world.gta("gc", "--yes"))
    return [f"gta gc leaves {path.relative_to(world.runs)}" for path in _leftovers(world)]


class Book:
    """What came of the faults so far, a line each, on disk: a drill that was ended goes on with the next one."""

    def __init__(self, path: Path):
        self.path = path
        self.outcomes: dict[int, Outcome] = {}
        if path.exists():
            for line in path.read_text().splitlines():
                try:
                    found = Outcome(**json.loads(line))
                except (ValueError, TypeError):
                    continue  # the line that an end tore
                self.outcomes[found.number] = found

    def add(self, outcome: Outcome) -> None:
        self.outcomes[outcome.number] = outcome
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a") as file:
            file.write(json.dumps(asdict(outcome), ensure_ascii=False) + "\n")


def run(world: World, seed: int, todo: Sequence[tuple[int, Kind]], book: Book, say: Callable[[Outcome], None]) -> None:
    """Do what is not in the book yet."""
    for number, kind in todo:
        if number in book.outcomes:
            continue
        outcome = one(world, seed, number, kind)
        book.add(outcome)
        say(outcome)
