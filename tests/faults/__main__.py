"""Seeded faults over small grids of tiny cells, each followed by the question whether all came right.

usage: make drill [SEED=1] [FAULTS=1000]
       python -m tests.faults [--seed 1] [--faults 1000] [--only NUMBER] [--kind WORDS ...]
              [--each] [--jobs 2] [--folder FOLDER] [--json] [--fresh]

After each fault the grid is finished by the commands that a user would type, and then: each cell has one result, that
of the undisturbed run; its journal and its last checkpoint hold the same numbers; no two attempts overlapped; MLflow
has one finished run of it, each point once; table.json and table.csv are the same bytes; and (after every fourth fault)
another multirun runs nothing.

Ctrl-C ends it after the faults that are under way; the same command goes on. --only repeats one fault by its number.
The exit code is 1 where a fault did not come right, 130 where some are still to be done.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from types import FrameType

from tests.faults import drill, process, world
from tests.faults.drill import Book, Outcome
from tests.faults.kinds import KINDS


def main(arguments: list[str]) -> int:
    asked = _parsed(arguments)
    kinds = [kind for kind in KINDS if not asked.kind or any(words in kind.name for words in asked.kind)]
    if not kinds:
        print(
            f"error: no kind has {asked.kind!r} in its name: {', '.join(kind.name for kind in KINDS)}", file=sys.stderr
        )
        return 2
    count = asked.faults if asked.only is None else asked.only + 1
    todo = [one for one in drill.planned(asked.seed, count) if one[1] in kinds]
    folder = Path(asked.folder or Path(tempfile.gettempdir()) / f"gta-faults-{os.getuid()}")
    path = folder / f"seed{asked.seed}.jsonl"
    if asked.each:  # the first of each kind
        todo = list({kind: (number, kind) for number, kind in reversed(todo)}.values())[::-1]
    if asked.only is not None:
        todo, path = todo[-1:], folder / "only.jsonl"
    if asked.fresh or asked.only is not None:
        path.unlink(missing_ok=True)
    book = Book(path)
    left = [one for one in todo if one[0] not in book.outcomes]
    say = print if not asked.json else lambda *words, **more: print(*words, file=sys.stderr, **more)
    say(f"{len(todo)} faults of {len({kind.name for _, kind in todo})} kinds by seed {asked.seed}, "
        f"{len(todo) - len(left)} of them done before; outcomes: {path}", flush=True)  # fmt: skip
    if left:
        _in_parallel(asked, folder, left, path, say)
    outcomes = [found for number, _ in todo if (found := Book(path).outcomes.get(number))]
    if asked.json:
        print(
            json.dumps(
                {"seed": asked.seed, "wanted": len(todo), "outcomes": [asdict(one) for one in outcomes]}, indent=1
            )
        )
    else:
        print(summary(outcomes, len(todo)))
    return int(any(one.outcome == "failed" for one in outcomes)) if len(outcomes) == len(todo) else 130


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults", usage=(__doc__ or "").split("usage: ")[1].split("\n\n")[0]
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", type=int, default=1000)
    parser.add_argument("--only", type=int)
    parser.add_argument("--kind", action="append", default=[], help="words of a kind's name; may be said again")
    parser.add_argument("--each", action="store_true", help="one fault of each kind")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--folder", default="", help="for worlds and outcomes; a temporary one, if nothing is said")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--fresh", action="store_true", help="forget the outcomes of before")
    return parser.parse_args(arguments)


def _in_parallel(asked: argparse.Namespace, folder: Path, left: list, path: Path, say) -> None:  # type: ignore[no-untyped-def, type-arg]
    """Workers, each with worlds of its own and its share of the faults; this process tells how far they are."""
    jobs = max(1, min(asked.jobs, len(left)))
    workers = {
        process.fork(lambda j=j: _work(asked.seed, folder / f"work{j}", left[j::jobs], path)) for j in range(jobs)
    }  # type: ignore[misc]
    interrupted = False

    def hear(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        if not interrupted:
            say("\nended after the faults that are under way; the same command goes on.", flush=True)
        interrupted = True
        for worker in workers:
            os.kill(worker, signal.SIGTERM)

    for kind in (signal.SIGINT, signal.SIGTERM):
        signal.signal(kind, hear)
    shown: set[int] = set()
    numbers = {number for number, _ in left}
    began = time.monotonic()
    while workers:
        for worker in list(workers):
            if os.waitpid(worker, os.WNOHANG)[0]:
                workers.discard(worker)
        new = [one for one in Book(path).outcomes.values() if one.number in numbers - shown]
        for one in new:
            shown.add(one.number)
            _progress(one, len(shown), len(left), time.monotonic() - began, say)
        time.sleep(0.5)


def _work(seed: int, root: Path, todo: list, path: Path) -> None:  # type: ignore[type-arg]
    """In a process of its own: make the worlds, then fault after fault, until SIGTERM says that it is enough."""
    over = False

    def hear(number: int, frame: FrameType | None) -> None:
        nonlocal over
        over = True

    signal.signal(signal.SIGTERM, hear)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.setsid()
    process.adopt_orphans()
    made = world.prepare(root)
    book = Book(path)
    for number, kind in todo:
        if over:
            return
        drill.run(made, seed, [(number, kind)], book, lambda outcome: None)


def _progress(one: Outcome, done: int, count: int, seconds: float, say) -> None:  # type: ignore[no-untyped-def]
    left = seconds / done * (count - done) / 60
    took = f"{one.seconds:.0f} s; {left:.0f} min left"
    say(f"{done}/{count}  {one.outcome:8}  {one.kind} (fault {one.number}): {one.what}  [{took}]", flush=True)
    if one.outcome == "failed":
        say(
            f"    {one.why[:2000]}\n    again: python -m tests.faults --seed {one.seed} --only {one.number}", flush=True
        )


def summary(outcomes: list[Outcome], wanted: int) -> str:
    """A line for each kind, and the commands that repeat what failed."""
    counts: dict[str, Counter[str]] = {}
    for one in outcomes:
        counts.setdefault(one.kind, Counter())[one.outcome] += 1
    about = {kind.name: kind.about for kind in KINDS}
    rows = [f"{'kind':45} {'faults':>6} {'well':>6} {'failed':>6} {'not here':>8}  what is done"]
    for name in sorted(counts, key=[kind.name for kind in KINDS].index):
        count = counts[name]
        numbers = f"{sum(count.values()):6} {count['well']:6} {count['failed']:6} {count['not here']:8}"
        rows.append(f"{name:45} {numbers}  {about[name]}")
    total = sum(counts.values(), Counter())
    rows.append(f"{'all':45} {len(outcomes):6} {total['well']:6} {total['failed']:6} {total['not here']:8}")
    missed = sum(not one.happened for one in outcomes)
    rows.append(f"{missed} of them did not happen: the process was over before the drawn moment came.")
    left = Counter(name for one in outcomes for name in set(one.leftovers))
    rows.append(
        f"After {sum(bool(one.leftovers) for one in outcomes)} of them a temporary file was left in a cell's folder, "
        f"for `gta gc` to remove ({', '.join(f'{name} {count}' for name, count in left.most_common()) or 'none'})."
    )
    if len(outcomes) < wanted:
        rows.append(f"{wanted - len(outcomes)} of {wanted} are still to be done: the same command goes on.")
    failed = [one for one in outcomes if one.outcome == "failed"]
    rows += [f"again: python -m tests.faults --seed {one.seed} --only {one.number}   # {one.kind}" for one in failed]
    return "\n".join(["", *rows])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
