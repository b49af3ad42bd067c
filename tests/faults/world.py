"""Where a fault happens: a folder of runs as a user has it; the grids, and what they come to undisturbed."""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults import inject, process
from tests.faults.expected import Expected, read_expected

SWEEP = """# gta multirun sweep=faults
# Four cells of some seconds in all, on generated pictures.
defaults:
  - override /data: shapes
  - override /model: tiny
  - override /schedule: shapes
num_threads: 1
schedule: {{iterations: 8, warm_up: 3, eval_every: 4, checkpoint_every: 2, log_every: 1}}
data: {{generator: {{train: 40, val: 6}}}}
paths: {{data: {data}}}
hydra:
  sweeper:
    params:
      method: supervised,gta
      data.split: 1/5
      seed: 0,1
"""
GRIDS = {
    "one": ("method=gta", "seed=0"),
    "two": ("seed=0",),
    "four": (),
    "ranks": ("method=supervised", "seed=0", "site.ranks=2", "schedule.group_size=4"),
}


@dataclass
class World:
    """The folder in which commands run, always the same one, and what it can be set to.

    States: `bare`: nothing was ever run; `fresh`: an empty store; `half`: one cell stopped at iteration 4 after a
    checkpoint, of two or four another one done; `done`: all is done, and the table is written.
    """

    root: Path
    expected: dict[str, Expected] = field(default_factory=dict)
    grid: str = "one"
    ready: bool = False  # what a grid comes to can be found out
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    said: list[process.Running] = field(default_factory=list)

    @property
    def path(self) -> Path:
        return self.root / "world"

    @property
    def runs(self) -> Path:
        return self.path / "runs"

    @property
    def words(self) -> tuple[str, ...]:
        """The grid, as a user names it."""
        return ("sweep=faults", *GRIDS[self.grid])

    @property
    def wanted(self) -> Expected:
        return self.expected[self.grid]

    def start(self, command: str, *options: str, plan: inject.Plan | None = None) -> process.Running:
        """`gta COMMAND` on the grid, without waiting."""
        printed = self.root / "printed" / f"{next(self._numbers):03d}-{command}"
        made = process.start((command, *self.words, *options), self.path, printed, plan)
        self.said.append(made)
        return made

    def gta(self, command: str, *options: str, plan: inject.Plan | None = None) -> process.Running:
        """`gta COMMAND` on the grid, to its end."""
        made = self.start(command, *options, plan=plan)
        made.wait()
        return made

    def set(self, grid: str, state: str) -> None:
        """Make the world anew: that grid in that state."""
        if grid not in self.expected and self.ready:
            _make_states(self, grid)
        self._set(grid, state)

    def _set(self, grid: str, state: str) -> None:
        self.grid = grid
        process.end_others()
        for folder in (self.path, self.root / "printed", self.root / "tokens"):
            shutil.rmtree(folder, ignore_errors=True)
        self.said.clear()
        self._numbers = itertools.count()
        (self.root / "tokens").mkdir(parents=True)
        source = self.root / "states" / (state if state in ("bare", "fresh") else f"{grid}-{state}")
        shutil.copytree(source, self.path, symlinks=True)

    def plan(self, **fields: object) -> inject.Plan:
        token = str(self.root / "tokens" / "fault")
        return inject.Plan(root=f"{self.path}/", token=token, **fields)  # type: ignore[arg-type]

    @property
    def token(self) -> dict[str, object] | None:
        """What the fault said when it happened; None where it did not."""
        with contextlib.suppress(OSError, ValueError):
            return dict(json.loads((self.root / "tokens" / "fault").read_text()))
        return None

    def keep(self, name: str) -> None:
        """The world as it is now, as a state."""
        target = self.root / "states" / name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.path, target, symlinks=True)


def prepare(root: Path) -> World:
    """A world in which nothing was run yet; grids are run undisturbed when they are first asked for. Warms this process
    up.
    """
    world = World(root)
    if world.runs.is_mount():  # a drill that was killed left its full disk there
        subprocess.run(["umount", "-l", str(world.runs)], check=False)
    shutil.rmtree(root, ignore_errors=True)
    process.stacks_file = root / "stacks"
    bare = root / "states" / "bare"
    (bare / "sweeps").mkdir(parents=True)
    (bare / "sweeps" / "faults.yaml").write_text(SWEEP.format(data=root / "data"))
    _warm(world)
    from gta.tracking import store

    world._set("one", "bare")
    pid = process.fork(lambda: store.create(f"sqlite:///{world.runs / 'mlflow.db'}"))
    process.Running(("create",), pid, root).wait()
    world.keep("fresh")
    world.ready = True
    return world


def _warm(world: World) -> None:
    """Import once what a multirun and its ranks import, as they say themselves; the data set is made by the way."""
    world._set("one", "bare")
    options = ("data.generator.train=40", "data.generator.val=6", f"paths.data={world.root / 'data'}")
    made = process.start(("data", "make-shapes", *options), world.path, world.root / "printed" / "data")
    assert made.wait() == 0, made.output
    first = world.gta("multirun", plan=world.plan(what="count"))
    assert first.code == 0, first.output
    process.warm_up((world.root / "tokens" / "fault.modules").read_text().split())


def _make_states(world: World, grid: str) -> None:
    """`done` and `half` of a grid; what it comes to undisturbed."""
    world._set(grid, "fresh")
    first = world.gta("multirun", plan=world.plan(what="count"))
    assert first.code == 0, first.output
    world.keep(f"{grid}-done")
    (world.runs / "mlflow.db").unlink()
    world.gta("sync", plan=world.plan(what="count"))
    moments: dict[str, int] = {}
    for line in (world.root / "tokens" / "fault.counts").read_text().splitlines():
        said = json.loads(line)
        moments[said["role"]] = max(moments.get(said["role"], 0), said["count"])
    world.expected[grid] = read_expected(world.path, moments)
    world._set(grid, "fresh")
    if grid in ("two", "four"):
        done = world.gta("multirun", "--method", "supervised")
        assert done.code in (0, 1), done.output
    # the launcher is interrupted when a cell of gta (the only one, if there is one) writes its fifth iteration
    cell = world.wanted.last
    world.gta("multirun", plan=world.plan(what="launcher-int", role="rank0", cell=cell, path="journal.jsonl", at=7))
    process.await_others(60)
    assert world.token, "the cell was not interrupted"
    assert not (world.runs / "cells" / cell / "result.json").exists(), "the cell was not interrupted in time"
    world.keep(f"{grid}-half")
