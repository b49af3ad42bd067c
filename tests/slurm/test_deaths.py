"""Every way in which a job can die, on a real Slurm: the cell is done exactly once, with the undisturbed numbers."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import signal
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gta import journal
from gta.cellfolder import Attempt, CellFolder, cell_folders
from tests.helpers.program import SMALL_SHAPES, Run, run_gta
from tests.helpers.slurm import (
    PATIENCE,
    RANKS,
    SCRIPT,
    SITE,
    Slurm,
    attempts,
    launcher,
    numbers,
    paths,
    started,
    submitted,
    until,
)  # fmt: skip

pytestmark = pytest.mark.slurm

# a cell that trains for some seconds, and saves often
LONG = (
    "schedule.iterations=150", "schedule.warm_up=3", "schedule.eval_every=150", "schedule.checkpoint_every=10",
    "schedule.log_every=10", "data.split=1/5", "method=supervised", *RANKS,
)  # fmt: skip


@pytest.fixture(scope="module")
def truth(generated: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The numbers of seeds 0 and 1, trained undisturbed on this machine."""
    folder = tmp_path_factory.mktemp("truth")
    said = run_gta("multirun", "sweep=shapes", *SMALL_SHAPES, *LONG, "seed=0,1", *paths(folder, generated), cwd=folder)
    assert said.returncode == 0, said.stdout + said.stderr
    return numbers(folder / "runs")


@pytest.fixture
def grid(generated: Path, tmp_path: Path) -> list[str]:
    """The words of a long cell on Slurm, its folders below tmp_path."""
    return ["multirun", "sweep=shapes", *SMALL_SHAPES, *LONG, "seed=0", *SITE, *paths(tmp_path, generated)]


def saved(runs: Path, cells: int = 1) -> bool:
    """Whether so many cells have trained for a while and saved it."""
    return sum((attempt.saved or 0) > 0 for attempt in attempts(runs)) >= cells


def finished(process: subprocess.Popen[str], folder: Path) -> None:
    """Waits for the launcher, which must find everything done."""
    code = process.wait(PATIENCE)
    assert code == 0, "\n".join(log.read_text() for log in sorted(folder.glob("launcher-*.log")))


def same(runs: Path, truth: dict[str, Any], cells: int = 1) -> None:
    """Each cell was finished by exactly one attempt, and its numbers are the undisturbed ones, all digits."""
    found = numbers(runs)
    assert len(found) == cells
    assert {name: truth[name] for name in found} == found
    for folder in cell_folders(runs):
        ends = [attempt.ended for attempt in folder.attempts()]
        assert ends.count("done") == 1 == len([end for end in ends if end == "done"]), ends
        assert ends[-1] == "done", ends


def job_of(runs: Path) -> str:
    (job,) = submitted(runs)
    return job


def test_suspended_and_requeued_by_an_operator(
    grid: list[str], gta: Run, tmp_path: Path, slurm: Slurm, truth: dict[str, Any]
) -> None:
    runs = tmp_path / "runs"
    with launcher(grid, tmp_path, slurm) as watching:
        until(lambda: saved(runs))
        slurm.ask("scontrol", "suspend", job_of(runs))
        told = r"1 suspended .*; suspended by Slurm"  # until squeue's answer is newer than that of the launcher's
        until(lambda: re.search(told, gta("status", *grid[1:], **slurm.environment).stdout))
        slurm.ask("scontrol", "resume", job_of(runs))
        slurm.ask("scontrol", "requeue", job_of(runs))
        finished(watching, tmp_path)
    same(runs, truth)
    first, second = attempts(runs)
    assert first.job == second.job, "the same job, started twice"
    assert second.restart == 1
    assert second.began >= first.saved > 0, "it went on from its last checkpoint"


@pytest.mark.parametrize("partition", ["scav", "scavgrace", "scavcancel"])
def test_preempted(grid: list[str], tmp_path: Path, slurm: Slurm, truth: dict[str, Any], partition: str) -> None:
    runs = tmp_path / "runs"
    with launcher([*grid, f"site.partition={partition}"], tmp_path, slurm) as watching:
        until(lambda: saved(runs))
        slurm.ask("sbatch", "--partition=main", "--nodes=3", "--exclusive", "--output=/dev/null", "--wrap=sleep 5")
        finished(watching, tmp_path)
    same(runs, truth)
    made = attempts(runs)
    if partition == "scavgrace" and len(made) == 1:
        return  # the grace was long enough to finish
    first, second = made
    assert (first.job == second.job) == (partition != "scavcancel"), "cancelled jobs are submitted again"
    assert second.began > 0


def test_a_killed_rank_ends_the_job_and_the_cell_goes_on(
    grid: list[str], tmp_path: Path, slurm: Slurm, truth: dict[str, Any]
) -> None:
    runs = tmp_path / "runs"
    with launcher(grid, tmp_path, slurm) as watching:
        until(lambda: saved(runs))
        first = job_of(runs)
        os.kill(rank_process(first, 1), signal.SIGKILL)
        began = time.monotonic()
        until(lambda: slurm.jobs()[first] == "FAILED", 30)  # alone, the other rank would wait for half an hour
        assert time.monotonic() - began < 15, "the other rank died at once"
        finished(watching, tmp_path)
    same(runs, truth)
    assert job_of(runs) != first


def test_a_stopped_rank_ends_the_job_and_the_cell_goes_on(
    grid: list[str], tmp_path: Path, slurm: Slurm, truth: dict[str, Any]
) -> None:
    """Slurm sees nothing wrong, and the other rank would wait for half an hour."""
    runs = tmp_path / "runs"
    with launcher([*grid, "site.stuck_minutes=0.4"], tmp_path, slurm) as watching:
        until(lambda: saved(runs))
        first = job_of(runs)
        stopped = rank_process(first, 1)
        os.kill(stopped, signal.SIGSTOP)
        until(lambda: slurm.jobs()[first] == "FAILED")
        finished(watching, tmp_path)
    same(runs, truth)
    (lost,) = [one for one in attempts(runs) if one.job == first]
    assert (lost.ended, lost.why) == ("lost", "stuck")
    assert f"(process {stopped}) is stopped (SIGSTOP)" in str(lost.error)
    logs = "".join(log.read_text() for log in runs.glob(f"sweeps/**/{first}_*_log.out"))
    assert "Rank 0 (process " in logs
    assert "most recent call first" in logs, "where the other one waits"
    assert "a process that is stopped can show none" in logs


def rank_process(job: str, rank: int) -> int:
    """The process that trains as this rank of a job."""
    wanted = {f"SLURM_JOB_ID={job}".encode(), f"SLURM_PROCID={rank}".encode()}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (folder / "cmdline").read_bytes()
            if b"launch.job.start" in command and wanted <= set((folder / "environ").read_bytes().split(b"\0")):
                return int(folder.name)
    raise AssertionError(f"no rank {rank} of job {job}")


def test_a_node_that_dies_twice_with_its_processes(
    grid: list[str], tmp_path: Path, slurm: Slurm, truth: dict[str, Any]
) -> None:
    """The other nodes are closed, so that Slurm sends the job to the same one again; until we keep it away."""
    if not slurm.accounting:
        pytest.skip(
            "which nodes failed is known by the accounting (Debian, Ubuntu: apt-get install slurmdbd mariadb-server)"
        )
    runs = tmp_path / "runs"
    with contextlib.ExitStack() as others:
        slurm.ask("scontrol", "update", "NodeName=n2,n3", "State=DRAIN", "Reason=test")
        others.callback(slurm.ask, "scontrol", "update", "NodeName=n2,n3", "State=RESUME")
        others.callback(slurm.ask, str(SCRIPT), "revive", "1")
        with launcher(grid, tmp_path, slurm) as watching:
            for deaths in (1, 2):
                until(partial(saved, runs, deaths))
                slurm.ask(str(SCRIPT), "kill", "1")
                until(lambda: slurm.jobs()[job_of(runs)] == "PENDING")
                if deaths == 2:
                    until(lambda: "ExcNodeList=n1 " in slurm.ask("scontrol", "-o", "show", "job", job_of(runs)))
                slurm.ask(str(SCRIPT), "revive", "1")
            others.close()
            finished(watching, tmp_path)
    same(runs, truth)
    made = attempts(runs)
    assert [attempt.node for attempt in made[:2]] == ["n1", "n1"]
    assert made[2].node in ("n2", "n3")
    assert made[1].began > 0
    assert made[2].began > made[1].began
    assert len({attempt.job for attempt in made}) == 1, "put back by Slurm, not submitted anew"


def test_the_launcher_is_killed_and_started_again(
    grid: list[str], tmp_path: Path, slurm: Slurm, truth: dict[str, Any]
) -> None:
    runs = tmp_path / "runs"
    with launcher(grid, tmp_path, slurm):
        until(lambda: submitted(runs))
    job = job_of(runs)
    with launcher(grid, tmp_path, slurm) as one, launcher(grid, tmp_path, slurm) as other:  # and two at once
        finished(one, tmp_path)
        finished(other, tmp_path)
    same(runs, truth)
    assert len(attempts(runs)) == 1
    assert job_of(runs) == job, "submitted once"


def test_the_launcher_dies_right_after_sbatch(
    grid: list[str], gta: Run, tmp_path: Path, slurm: Slurm, truth: dict[str, Any]
) -> None:
    """A program named sbatch hands on to the real one, and then kills who called it, before it can write anything."""
    runs = tmp_path / "runs"
    (tmp_path / "bin").mkdir()
    wrapper = tmp_path / "bin" / "sbatch"
    real = next(path for path in ("/usr/bin/sbatch", "/usr/local/bin/sbatch") if Path(path).exists())
    wrapper.write_text(f'#!/bin/sh\n{real} "$@" >/dev/null\nkill -9 $PPID\n')
    wrapper.chmod(0o755)
    with launcher(grid, tmp_path, slurm, PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}") as dying:
        assert dying.wait(PATIENCE) == -signal.SIGKILL
    before = slurm.jobs()
    assert not submitted(runs)

    again = gta(*grid, **slurm.environment)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "Found 1 submission(s) again" in again.stdout
    same(runs, truth)
    assert slurm.jobs().keys() <= before.keys(), "not submitted twice"


def test_the_time_limit_twice(grid: list[str], tmp_path: Path, slurm: Slurm, truth: dict[str, Any]) -> None:
    """A limit of a minute, hit twice: a stopped rank goes on with the warning, so speed does not matter.

    Slurm warns about half a minute before the limit, whatever smaller time is asked for.
    """
    runs = tmp_path / "runs"
    words = [*grid, "schedule.checkpoint_every=150", "site.time_limit=1", "site.warning_seconds=1"]
    with launcher(words, tmp_path, slurm) as watching:
        for limits in (1, 2):
            attempt = until(partial(trained, runs, limits))
            os.kill(attempt.pid, signal.SIGSTOP)  # with its warning, Slurm itself lets a stopped process go on
            until(partial(ended, runs, limits))
        finished(watching, tmp_path)
    made = attempts(runs)
    limited = [attempt for attempt in made if attempt.ended == "interrupted"]
    assert len(limited) >= 2, made
    assert {attempt.why for attempt in limited} == {"time limit"}
    assert len({attempt.job for attempt in made}) == 1, "requeued, not submitted anew"
    for before, after in itertools.pairwise(made):
        assert after.began == before.saved, "not a step was lost"
    same(runs, truth)


def test_the_last_task_of_an_array_is_put_back_alone_while_the_controller_is_away(
    grid: list[str], gta: Run, tmp_path: Path, slurm: Slurm
) -> None:
    """Of four cells one fails, one is cancelled, one is done; the last alone nears its time limit, and runs again."""
    runs = tmp_path / "runs"
    # a cancelled cell trains on until Slurm kills it (KillWait): it must not be done by then
    longer = [word.replace("=150", "=1000") for word in grid[1:]]
    words = [*longer, "seed=0,1,2,3", "site.ranks=1"]
    listed = json.loads(gta("status", *[word for word in words if word not in SITE], "--json").stdout)["cells"]
    failing, ended, other, last = (CellFolder(runs / "cells" / cell["signature"]) for cell in listed)
    failing.path.mkdir(parents=True)
    failing.checkpoint_file.write_bytes(b"no checkpoint")
    with launcher(["multirun", *words], tmp_path, slurm) as watching:
        (log,) = tmp_path.glob("launcher-*.log")
        # each is met while it has most of its steps before it, whichever begins first
        for folder, signal in ((ended, ()), (last, ("--signal=USR2",))):
            until(lambda folder=folder: (found := folder.latest_attempt()) and found.began is not None)
            slurm.ask("scancel", *signal, folder.submitted().job)
        jobs = {folder.path.name: record.job for folder in cell_folders(runs) if (record := folder.submitted())}
        array = {job.partition("_")[0] for job in jobs.values()}
        assert jobs[last.signature] == f"{array.pop()}_3"
        until(lambda: failing.failure() and last.attempts()[0].ended)
        until(lambda: slurm.jobs()[jobs[last.signature]] == "PENDING")
        with slurm.silent():
            until(lambda: "Slurm does not answer" in log.read_text())
            assert watching.poll() is None
            shown = gta("status", *words, **slurm.environment)
            assert "state as of the cells' folders" in shown.stdout
            assert " lost" not in shown.stdout
        assert watching.wait(PATIENCE) == 1, "one failed and one was cancelled"
    assert "4 cells: 2 done, 1 failed, 1 cancelled" in log.read_text()
    first, second = last.attempts()
    assert (first.ended, first.why, second.ended, second.restart) == ("interrupted", "time limit", "done", 1)
    assert (first.job, second.began) == (second.job, first.saved)
    assert [len(folder.attempts()) for folder in (failing, ended, other)] == [1, 1, 1], "no other ran again"


def trained(runs: Path, number: int) -> Attempt | None:
    """The cell's attempt of that number, once it has trained for some steps."""
    made = attempts(runs)
    if len(made) < number or (began := made[number - 1].began) is None:
        return None
    (folder,) = cell_folders(runs)
    reached = max((record.get("iteration", 0) for record in journal.read(folder.journal_file)), default=0)
    return made[number - 1] if reached > began else None


def ended(runs: Path, number: int) -> bool:
    """Whether the cell's attempt of that number is over."""
    return attempts(runs)[number - 1].ended is not None


def test_a_cell_that_never_gets_on_is_given_up(grid: list[str], gta: Run, tmp_path: Path, slurm: Slurm) -> None:
    """Each job is killed before it can save: after three such attempts nothing more is submitted."""
    runs = tmp_path / "runs"
    words = [*grid, "schedule.checkpoint_every=150", "site.max_idle_attempts=3"]
    with launcher(words, tmp_path, slurm) as watching:
        killed: set[str | None] = set()
        while watching.poll() is None:
            for attempt in attempts(runs):
                if attempt.began == 0 and attempt.ended is None and attempt.job not in killed:
                    killed.add(attempt.job)
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(attempt.pid, signal.SIGKILL)
            time.sleep(0.1)
        assert watching.returncode == 1
    assert len(killed) == 3
    (log,) = tmp_path.glob("launcher-*.log")
    assert "gave up: 3 attempts without progress" in log.read_text()
    retried = gta(*words, "--retry", "failed", **slurm.environment)
    assert retried.returncode == 0, retried.stdout + retried.stderr


def test_without_accounting(grid: list[str], tmp_path: Path, truth: dict[str, Any]) -> None:
    """One cell's rank is killed, another is cancelled by its user: the controller's memory and the folders tell."""
    runs = tmp_path / "runs"
    with started(accounting=False) as plain, launcher([*grid, "seed=0,1"], tmp_path, plain) as watching:
        until(lambda: saved(runs, cells=2))
        jobs = {folder.signature: one.job for folder in cell_folders(runs) if (one := folder.submitted())}
        killed, cancelled = sorted(jobs)
        (mine,) = (a for a in attempts(runs) if a.job == jobs[killed])
        os.kill(mine.pid, signal.SIGKILL)
        plain.ask("scancel", jobs[cancelled])
        assert watching.wait(PATIENCE) == 1, "one is missing"
        (log,) = tmp_path.glob("launcher-*.log")
        assert "1 done, 1 cancelled" in log.read_text()
    assert numbers(runs) == {killed: truth[killed]}
