"""`gc`: what goes, what stays, and that nothing goes by itself."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from gta import locks
from gta.cell import Cell
from gta.cellfolder import DEAD_SECONDS, BrokenRecord, CellFolder, Submitted
from gta.cellpaths import CellPaths
from gta.config import Config, SiteConfig
from gta.data.cache import decoded_pictures
from gta.data.private import COMPILED, private_folder
from gta.files import write_json
from launch.show import drills
from launch.show import gc as garbage
from launch.state.jobs import HeldJob
from launch.state.ledger import ledger
from tests.helpers.cells import attempt, config, of_seeds, submitted
from tests.helpers.configs import changed
from tests.helpers.fake_slurm import FakeSlurm


@pytest.fixture
def grid(cells: list[Cell]) -> list[Cell]:
    """A cell that is done, one that was stopped, one that runs; each with checkpoint and best model."""
    for cell, job, ended in zip(cells, ("9000101", "9000102", "9000103"), ("done", "interrupted", None), strict=True):
        attempt(cell, job, ended)
        cell.folder.checkpoint_file.write_bytes(b"0" * 1000)
        cell.folder.previous_checkpoint_file.write_bytes(b"0" * 900)
        cell.folder.best_file.write_bytes(b"0" * 500)
        (cell.folder.path / f".checkpoint.pt.{job}.tmp").write_bytes(b"0" * 10)
    return cells


def names(pieces: list[garbage.Removable]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for piece in pieces:
        found.setdefault(piece.kind, []).append(piece.path.name)
    return found


def test_what_can_go(grid: list[Cell]) -> None:
    made = garbage.plan(ledger(grid), "toy")
    assert names(made.pieces) == {
        garbage.CHECKPOINT: ["checkpoint.pt", "checkpoint.previous.pt"],
        garbage.TEMPORARY: [".checkpoint.pt.9000101.tmp", ".checkpoint.pt.9000102.tmp"],
    }
    assert made.size(garbage.CHECKPOINT) == 1900
    assert [len(kept) for kept in made.kept.values()] == [1, 1], "one goes on from its checkpoint, one runs"
    assert names(garbage.plan(ledger(grid), "toy", best=True).pieces)[garbage.BEST] == ["best.pt"]


def test_what_an_eval_or_a_sync_is_writing_stays_until_it_is_old(grid: list[Cell]) -> None:
    done = grid[0].folder
    written = [done.evaluations_folder / ".a.npz.17-0123abcd.tmp", done.path / ".mlflow.json.17-0123abcd.tmp"]
    done.evaluations_folder.mkdir()
    for path in written:
        path.write_bytes(b"0")
    found = [piece.path for piece in garbage.plan(ledger(grid), "toy").pieces]
    assert not set(written) & set(found)
    before = time.time() - DEAD_SECONDS - 1
    for path in written:
        os.utime(path, (before, before))
    found = [piece.path for piece in garbage.plan(ledger(grid), "toy").pieces]
    assert set(written) <= set(found)


def test_what_a_kill_left_of_any_file_of_a_cell_goes(grid: list[Cell]) -> None:
    done = grid[0].folder
    named = [name for name, made in vars(CellPaths).items() if name.endswith("_file") and isinstance(made, property)]
    made = [getattr(done, name) for name in named]
    made += [done.attempt_file(1), done.silence_file(1, 0), done.evaluation_file("a"), done.by_image_file("a")]
    made += [done.artifacts_folder / "images/0.png", done.artifacts_folder / "confusion.json"]
    left = [path.with_name(f".{path.name}.17-0123abcd.tmp") for path in made]
    for path in [*left, claim := done.attempts_folder / ".claim-17-0123abcd"]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"0")
        os.utime(path, (0, 0))
    assert len(left) > 15
    found = {piece.path for piece in garbage.plan(ledger(grid), "toy").pieces if piece.kind == garbage.TEMPORARY}
    assert {*left, claim} <= found


def test_what_another_sweep_has_stays_unless_it_is_named(grid: list[Cell]) -> None:
    write_json(grid[0].folder.sync_cache_file, {"sqlite:///x": {"sweeps": ["other", "toy"], "run_id": "1"}})
    made = garbage.plan(ledger(grid), "toy")
    assert garbage.CHECKPOINT not in names(made.pieces)
    assert any("the sweep other" in reason for reason in made.kept)
    assert garbage.CHECKPOINT in names(garbage.plan(ledger(grid), "toy", named=True).pieces)


def test_folders_of_jobs(grid: list[Cell], tmp_path: Path, fake_slurm: FakeSlurm) -> None:
    sweep = tmp_path / "runs/sweeps/toy"
    for job in ("57_0", "57_1", "9000099", "%j"):
        (sweep / "jobs" / job).mkdir()
        (sweep / "jobs" / job / "log.out").write_text("old")
    for token, job, name in (("a", "57", ""), ("b", "58", "test"), ("c", "59", "other"), ("d", "60", "")):
        write_json(sweep / "submissions" / token / "job.json", {"job": job, "cluster_name": name})
        write_json(sweep / "submissions" / token / "recorded.json", {"time": 0.0})
    submitted(grid[2], "60", log=str(sweep / "submissions/d/60_0_log.out"))
    folders = [cell.folder for cell in grid]
    held = {"57_1": HeldJob("57_1", "RUNNING")}
    found = names(list(garbage.of_jobs(sweep, folders, held)))  # no process of this machine has a number so high
    assert found[garbage.JOBS] == ["57_0", "9000099"], "57_1 runs; the others hold the last logs of cells"
    assert sorted(found[garbage.PICKLES]) == [f"900010{i}_submitted.pkl" for i in (1, 2, 3)]
    assert found[garbage.SUBMISSIONS] == ["b"], "57 is held, 59 another cluster's, and the last log of a cell is in d"
    assert list(garbage.of_jobs(sweep, folders, None)) == [], "nobody knows what is over"


def test_removing(grid: list[Cell]) -> None:
    pieces = garbage.plan(ledger(grid), "toy").pieces
    begun = garbage.Removable(grid[2].folder.checkpoint_file, 1000, garbage.CHECKPOINT, grid[2].folder)
    gone, problems = garbage.remove([*pieces, begun])
    assert gone == 1920
    assert len(problems) == 1, "a cell that was begun meanwhile is left alone"
    assert [cell.folder.checkpoint_file.exists() for cell in grid] == [False, True, True]
    assert all(cell.folder.best_file.exists() for cell in grid)
    assert garbage.plan(ledger(grid), "toy").pieces == []


def test_the_cache_of_decoded_pictures_goes_where_it_is_on_this_machine(tmp_path: Path) -> None:
    there, unsafe = SiteConfig(cache=str(tmp_path / "node")), SiteConfig(cache=str(tmp_path / "unsafe"))
    sites = [
        there,
        there,
        unsafe,
        SiteConfig(cache=str(tmp_path / "absent")),
        SiteConfig(cache="$NOWHERE"),
        SiteConfig(),
    ]
    for site in (there, unsafe):
        decoded_pictures(site)
    (tmp_path / "unsafe").chmod(0o777)
    (piece,) = garbage.of_caches(sites)
    assert piece.path.parent.parent == tmp_path / "node"
    (piece.path / ("0" * 32)).write_bytes(b"0" * 1000)
    (piece,) = garbage.of_caches(sites)
    assert garbage.remove([piece]) == (1000, [])
    assert list(garbage.of_caches(sites)) == []
    assert not (tmp_path / "absent").exists()


def test_what_was_compiled_goes_where_it_is_ones_own(tmp_path: Path) -> None:
    def kept_in(runs: str, stage: str | None) -> Config:
        return changed(config(), {"paths.runs": str(tmp_path / runs), "site.stage": stage})

    asked = [kept_in("runs", None), kept_in("runs", str(tmp_path / "node")), kept_in("open", "$NOWHERE")]
    kept = [private_folder(tmp_path / name) / COMPILED for name in ("node", "runs", "open")]
    for folder in kept:
        folder.mkdir()
        (folder / "code").write_bytes(b"0" * 1000)
    kept[-1].parent.chmod(0o770)
    pieces = list(garbage.of_compiled(asked))
    assert {piece.path for piece in pieces} == set(kept[:2])
    assert garbage.remove(pieces) == (2000, [])
    assert list(garbage.of_compiled(asked)) == []


def drilled(cell: Cell, runs: Path) -> Path:
    """The folder of a drill of a cell, with a run in it."""
    folder = runs / "drills" / cell.signature
    (run,) = of_seeds(1, folder / "interrupted")
    run.write()
    (folder / "interrupted/drill.json").write_bytes(b"0" * 3000)
    return folder


def test_runs_that_drills_left(cells: list[Cell], tmp_path: Path, fake_slurm: FakeSlurm) -> None:
    runs = tmp_path / "runs"
    over, under_way, sent, elsewhere = [drilled(cell, runs) for cell in [*cells, *of_seeds(4, tmp_path)[3:]]]
    left = CellFolder(next((sent / "interrupted/cells").iterdir()))
    Submitted(job="57", cluster="slurm", log="/log", time=1.0).write(left.submitted_file)
    held = {"57": HeldJob("57", "RUNNING")}

    def found(held: dict[str, HeldJob] | None) -> garbage.Removal:
        made = garbage.Removal()
        garbage.of_drills(runs, {cell.signature for cell in cells}, held, made)
        return made

    with locks.lock_within(drills.lock_file(under_way), 0) as mine:
        assert mine
        for known in (held, None):
            made = found(known)
            assert [(piece.path, piece.kind) for piece in made.pieces] == [(over, garbage.DRILLS)], known
            assert made.size() > 3000
            assert made.pieces[0].age.startswith("untouched for ")
            assert sorted(made.kept.items()) == [
                ("have a drill: it is under way, or its lock cannot be had", [under_way.name]),
                ("have a drill: jobs of it may still run", [sent.name]),
            ]
    made = found({})
    assert {piece.path for piece in made.pieces} == {over, under_way, sent}, "another grid's stays"
    with locks.lock_within(drills.lock_file(under_way), 0):  # it began meanwhile
        gone, problems = garbage.remove(made.pieces, held)
    assert {problem.partition(": ")[0] for problem in problems} == {str(under_way), str(sent)}
    assert gone > 3000
    assert [folder.exists() for folder in (over, under_way, sent, elsewhere)] == [False, True, True, True]


def test_what_cannot_be_read_is_kept(grid: list[Cell], tmp_path: Path) -> None:
    done, stopped, _ = grid
    done.folder.sync_cache_file.write_text("{")
    stopped.folder.submitted_file.write_text("{")
    made = garbage.plan(ledger(grid), "toy")
    assert made.pieces == []
    assert [reason.partition(":")[0] for reason in made.kept][:2] == ["may belong to another sweep", "are damaged"]
    with pytest.raises(BrokenRecord, match=r"submitted\.json"):  # whose log may be in any of the folders
        list(garbage.of_jobs(tmp_path / "runs/sweeps/toy", [cell.folder for cell in grid], {}))
