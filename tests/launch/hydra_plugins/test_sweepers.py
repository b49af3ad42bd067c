"""A sweeper that learns from scores: it gets one return for each cell, and its cells are cells like any other."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from hydra.core.utils import JobStatus
from omegaconf import OmegaConf

from gta.cell import Cell
from gta.cellfolder import CellFolder
from gta.errors import UserError
from launch.state.ledger import Entry, State
from launch.submit.launcher import job_return
from tests.helpers.cells import config, finish, split
from tests.helpers.configs import changed
from tests.helpers.program import SMALL_SCHEDULE, SMALL_SHAPES, run_gta

SWEEPER = '''\
"""Narrows an interval to the half with the better score, a batch of two cells after the other."""

import json
from dataclasses import dataclass
from pathlib import Path

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.plugins.sweeper import Sweeper
from hydra.core.plugins import Plugins


class HalvingSweeper(Sweeper):
    def __init__(self, rounds, params=None):
        self.rounds = rounds

    def setup(self, *, hydra_context, task_function, config):
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments):
        parsed = OverridesParser.create().parse_overrides(arguments)
        swept = next(one for one in parsed if one.is_interval_sweep())
        fixed = [one.input_line for one in parsed if one is not swept]
        low, high = swept.value().start, swept.value().end
        seen = []
        for number in range(self.rounds):
            points = [low + (high - low) / 4, high - (high - low) / 4]
            jobs = [[f"{swept.key_or_group}={point}", *fixed] for point in points]
            returns = self.launcher.launch(jobs, initial_job_idx=2 * number)
            scores = [one.return_value for one in returns]
            seen += [
                {"lr": point, "score": score, "status": one.status.name, "folder": one.working_dir,
                 "words": one.overrides}
                for point, score, one in zip(points, scores, returns)
            ]
            middle = (low + high) / 2
            low, high = (low, middle) if scores[0] >= scores[1] else (middle, high)
        Path("seen.json").write_text(json.dumps(seen))


@dataclass
class HalvingConf:
    _target_: str = "hydra_plugins.halving_sweeper.HalvingSweeper"
    rounds: int = 2
    params: dict | None = None


ConfigStore.instance().store(group="hydra/sweeper", name="halving", node=HalvingConf, provider="tests")
'''
WORDS = ("method=supervised", "data=shapes", "data.split=1_4", *SMALL_SHAPES, *SMALL_SCHEDULE)


def plugin(folder: Path) -> str:
    """The sweeper as an installed plugin: the entry for PYTHONPATH."""
    file = folder / "site/hydra_plugins/halving_sweeper.py"
    file.parent.mkdir(parents=True)
    file.write_text(SWEEPER)
    return str(file.parents[1])


@pytest.mark.slow
def test_an_optimising_sweeper_learns_from_the_scores(tmp_path: Path) -> None:
    path = plugin(tmp_path)
    asked = ("multirun", "hydra/sweeper=halving", "schedule.lr=interval(0.01,0.09)", *WORDS)
    first = run_gta(*asked, cwd=tmp_path, PYTHONPATH=path)
    assert first.returncode == 0, first.stdout + first.stderr
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert [one["lr"] for one in seen[:2]] == pytest.approx([0.03, 0.07])
    better = seen[0]["score"] >= seen[1]["score"]
    assert [one["lr"] for one in seen[2:]] == pytest.approx([0.02, 0.04] if better else [0.06, 0.08])
    for one in seen:
        folder = CellFolder(Path(one["folder"]))
        result = folder.result()
        assert result is not None
        assert (one["status"], one["score"]) == ("COMPLETED", result.networks["student"].last.miou)
        identity = folder.identity()
        assert identity is not None
        assert float(identity.params["schedule.lr"]) == pytest.approx(one["lr"])
        assert one["words"][0] == f"schedule.lr={one['lr']}"
    rows = re.findall(r"^supervised lr=\S+", first.stdout, re.MULTILINE)
    assert len(set(rows)) == 4, "each of its cells has a row in one table at the end"

    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/cells/*/result.json")}
    again = run_gta(*asked, cwd=tmp_path, PYTHONPATH=path)
    assert again.returncode == 0
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/cells/*/result.json")} == before

    alone = run_gta("multirun", "--no-wait", *asked[1:], cwd=tmp_path, PYTHONPATH=path)
    assert (alone.returncode, alone.stderr.count("\n")) == (2, 1)


@pytest.mark.slow
def test_optunas_sweeper_finds_the_scores(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason="hydra-optuna-sweeper is not installed")
    asked = (
        "hydra/sweeper=optuna", "hydra.sweeper.direction=maximize", "hydra.sweeper.n_trials=2",
        "schedule.lr=interval(0.01,0.09)",
    )  # fmt: skip
    done: subprocess.CompletedProcess[str] = run_gta("multirun", *asked, *WORDS, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    scores = [CellFolder(path.parent).result() for path in tmp_path.glob("runs/cells/*/result.json")]
    best = max(one.networks["student"].last.miou for one in scores if one is not None)
    told = OmegaConf.load(next(tmp_path.glob("runs/sweeps/*/optimization_results.yaml")))
    assert told.best_value == pytest.approx(best)


def test_what_a_sweeper_is_told_of_each_state(tmp_path: Path) -> None:
    cell = Cell.of(changed(config(), {"paths.runs": str(tmp_path)}), split())
    cell.write()
    finish(cell, miou=61.5)
    master = OmegaConf.create()
    done = job_return(Entry(cell, State.DONE, miou=61.5), ["seed=0"], master)
    assert (done.status, done.return_value, done.overrides) == (JobStatus.COMPLETED, 61.5, ["seed=0"])
    assert done.working_dir == str(cell.folder.path)
    failed = job_return(Entry(cell, State.FAILED, detail="out of memory"), [], master)
    assert failed.status is JobStatus.FAILED
    with pytest.raises(UserError, match="seed 0: failed: out of memory"):
        _ = failed.return_value
    assert job_return(Entry(cell, State.RUNNING), [], master).status is JobStatus.UNKNOWN
