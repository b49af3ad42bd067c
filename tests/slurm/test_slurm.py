"""`gta multirun hydra/launcher=slurm` on a real Slurm: the same numbers as here, and failures that show."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.helpers.notified import script, told
from tests.helpers.program import Run
from tests.helpers.slurm import GRID, RANKS, SCRIPT, SITE, Slurm, attempts, numbers, submitted, until

pytestmark = pytest.mark.slurm


def test_cells_of_two_ranks_give_the_local_numbers(gta: Run, small: list[str], tmp_path: Path, slurm: Slurm) -> None:
    words = [*GRID, "method=supervised,gta", *small, *RANKS]
    runtime = tmp_path / "bin/apptainer"  # a stand-in, which runs what it is told to run in the image
    runtime.parent.mkdir()
    runtime.write_text(
        f'#!/bin/bash\necho "$@" >> {tmp_path}/called\nwhile [ "$1" != docker://image ]; do shift; done; shift\n"$@"\n'
    )
    runtime.chmod(0o755)
    inside = [
        "site.container=docker://image",
        f"site.container_python={sys.executable}",
        f"site.stage={tmp_path}/stage",
        f"site.cache={tmp_path}/cache",
    ]
    inside += [f"site.setup=['PATH={runtime.parent}:$PATH']"]
    # SBATCH_EXPORT=NONE: some clusters set it, and srun would then start the ranks without submitit's environment
    remote = gta(*words, *SITE, *inside, SBATCH_EXPORT="NONE", **slurm.environment)
    assert remote.returncode == 0, remote.stdout + remote.stderr
    assert "2 cells: 2 done" in remote.stdout

    made = attempts(tmp_path / "runs")
    assert [attempt.ended for attempt in made] == ["done", "done"], "exactly one attempt each"
    jobs = submitted(tmp_path / "runs")
    assert len(jobs) == 2
    assert {job.partition("_")[2] for job in jobs} == {"0", "1"}, "one array"
    assert {attempt.job for attempt in made} == jobs
    assert {slurm.jobs()[job] for job in jobs} == {"COMPLETED"}
    assert f"--bind {tmp_path / 'stage'}" in (tmp_path / "called").read_text()
    assert list((tmp_path / "stage").iterdir()), "a folder that the job's script made, and the cells copied to"
    assert list((tmp_path / "cache").glob("gta-*/decoded/" + "?" * 32)), "what all ranks of both cells read"
    used = gta("usage", *words[1:], *SITE, **slurm.environment)
    assert used.returncode == 0, used.stderr
    for line in (
        "gta: 1 cell looked at, 1 done" + ("; 1 start of a job in the accounting" if slurm.accounting else ""),
        r"time +\d+ s the longest cell; \S+ s an iteration, \d+ s for all; 1440 min asked for a job",
        "time_limit: 5  # minutes, for a whole cell",
        r"memory +\d.* GB a node" if slurm.accounting else "This cluster keeps no accounting",
    ):
        assert re.search(line, used.stdout), f"{line}\n{used.stdout}"
    assert "NumCPUs=2 NumTasks=2" in slurm.ask("scontrol", "show", "job", min(jobs))

    local = gta(*words, f"paths.runs={tmp_path / 'local'}")
    assert local.returncode == 0, local.stdout + local.stderr
    here, there = numbers(tmp_path / "local"), numbers(tmp_path / "runs")
    assert len(here) == 2
    assert here == there


def test_a_cell_that_fails_is_failed_in_slurm_too(
    gta: Run, small: list[str], generated: Path, tmp_path: Path, slurm: Slurm
) -> None:
    shutil.copytree(generated, tmp_path / "data")
    words = [*GRID, "method=supervised", *small, f"paths.data={tmp_path / 'data'}", "data.split=1/5,1/10", *RANKS]
    assert gta("plan", *words[1:]).returncode == 0  # draws the lists
    lists = [(tmp_path / f"splits/shapes/seed0/{name}/labeled.txt").read_text().split() for name in ("1_5", "1_10")]
    broken = max(set(lists[0]) - set(lists[1]))  # one cell trains on it (its rank 1 first), the other does not
    with open(tmp_path / f"data/shapes/JPEGImages/{broken}.jpg", "r+b") as picture:
        picture.truncate(600)

    remote = [*words, *SITE, f"site.notify={script(tmp_path)!r}"]
    assert gta(*remote, "--no-wait", **slurm.environment).returncode == 0
    until(lambda: len(told(tmp_path)) == 2)  # no launcher watches: the jobs tell
    facts = {fact["event"]: fact for fact in told(tmp_path)}
    assert broken in facts["failure"]["title"]
    assert "is over: 1 of 2 cells done, 1 failed" in facts["end"]["title"]

    first = gta(*remote, **slurm.environment)
    assert first.returncode == 1, first.stdout + first.stderr
    assert "2 cells: 1 done, 1 failed" in first.stdout
    assert len(told(tmp_path)) == 2, "a launcher that comes later has no news"
    until(lambda: not {"RUNNING", "COMPLETING"} & set(slurm.jobs().values()))
    (failed,) = [attempt for attempt in attempts(tmp_path / "runs") if attempt.ended == "failed"]
    (done,) = [attempt for attempt in attempts(tmp_path / "runs") if attempt.ended == "done"]
    assert broken in (failed.error or "")
    jobs = slurm.jobs()
    assert (jobs[failed.job], jobs[done.job]) == ("FAILED", "COMPLETED")
    assert "ExitCode=0:0" not in slurm.ask("scontrol", "show", "job", failed.job)
    shown = [line for line in first.stdout.splitlines() if line.startswith("  | ")]
    assert any(broken in line for line in shown), "the end of the log of the rank that met the picture"

    again = gta(*words, *SITE, **slurm.environment)
    assert again.returncode == 1
    assert set(slurm.jobs()) <= set(jobs), "nothing was submitted again"
    assert len(attempts(tmp_path / "runs")) == 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_what_would_pass_in_silence_fails_with_a_sentence(
    gta: Run, small: list[str], tmp_path: Path, slurm: Slurm
) -> None:
    """A GPU (the cluster's are fake) that PyTorch does not see; a setup line that fails."""
    words = [*GRID, "method=supervised", *small, *SITE]
    unused = gta(*words, "site.gpus_per_node=1", **slurm.environment)
    assert unused.returncode == 1, unused.stdout + unused.stderr
    assert "This job asks for a GPU, and PyTorch" in unused.stdout
    (attempt,) = attempts(tmp_path / "runs")
    assert slurm.jobs()[attempt.job] == "FAILED"

    lines = "site.setup=['export LANG=C','cd /nowhere','export A=1']"
    failed = gta(*words, lines, "--retry", "failed", **slurm.environment)
    assert failed.returncode == 1, failed.stdout + failed.stderr
    assert "setup failed with exit code 1: cd /nowhere" in failed.stdout
    assert len(attempts(tmp_path / "runs")) == 1, "the cell did not begin"
    (job,) = submitted(tmp_path / "runs")
    assert slurm.jobs()[job] == "FAILED"

    words += [lines, "site.setup_must_succeed=false", "--retry", "failed"]
    assert gta(*words, **slurm.environment).returncode == 0


def test_a_job_can_submit_jobs(small: list[str], tmp_path: Path, slurm: Slurm) -> None:
    command = [sys.executable, "-m", "gta", *GRID, "method=supervised", *small, *SITE]
    # its memory a node would contradict the new job's memory a CPU
    said = slurm.ask("sbatch", "--mem=500", f"--chdir={tmp_path}", f"--wrap={shlex.join(command)}")
    outer = said.split()[-1]
    deadline = time.monotonic() + 120
    while slurm.jobs()[outer] in ("PENDING", "RUNNING", "COMPLETING"):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert "1 cell: 1 done" in (tmp_path / f"slurm-{outer}.out").read_text()
    assert [attempt.ended for attempt in attempts(tmp_path / "runs")] == ["done"]
    (job,) = submitted(tmp_path / "runs")
    assert "_" not in job, "a single cell is no array"
    assert slurm.jobs()[job] == "COMPLETED"


def test_what_sbatch_refuses_is_one_sentence(gta: Run, small: list[str], tmp_path: Path, slurm: Slurm) -> None:
    said = gta(*GRID, "method=supervised", *small, *SITE, "site.partition=nowhere", **slurm.environment)
    assert said.returncode == 2
    assert "sbatch refused the jobs" in said.stderr
    assert "invalid partition specified: nowhere" in said.stderr
    assert "Traceback" not in said.stderr
    assert not attempts(tmp_path / "runs")


def test_the_cluster_leaves_nothing_running(tmp_path: Path, slurm: Slurm) -> None:
    other = Slurm(str(tmp_path / "c"), accounting=False)
    other.ask(str(SCRIPT), "start")
    other.ask("sbatch", "--output=/dev/null", "--wrap=trap '' TERM; srun sleep 1000 & sleep 1000")
    other.ask(str(SCRIPT), "stop")
    environments = [path for path in Path("/proc").glob("[0-9]*/environ") if _mentions(path, str(tmp_path / "c"))]
    assert not environments
    with pytest.raises(AssertionError):
        other.ask(str(SCRIPT), "status")
    assert "n1" in slurm.ask(str(SCRIPT), "status"), "the other cluster on this machine is left alone"


def _mentions(path: Path, text: str) -> bool:
    try:
        return text.encode() in path.read_bytes()
    except OSError:  # gone, or another user's
        return False
