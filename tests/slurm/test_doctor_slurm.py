"""`gta doctor` on a real Slurm: what it reads of the cluster, and what sbatch says to the site's jobs."""

from __future__ import annotations

import contextlib
import re

import pytest

from tests.helpers.program import Run
from tests.helpers.slurm import Slurm

pytestmark = pytest.mark.slurm

SITE = ("hydra/launcher=slurm", "site=slurm", "site.device=cpu", "site.gpus_per_node=null", "site.cpus_per_rank=1")


def test_a_site_is_held_against_the_cluster(say: Run, slurm: Slurm, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in slurm.environment.items():
        monkeypatch.setenv(name, value)
    before = slurm.jobs()
    with slurm.limit(MaxSubmitJobsPerUser=3) if slurm.accounting else contextlib.nullcontext():
        fits = say("doctor", *SITE, "site.partition=main")
    assert fits.returncode == 0, fits.stdout
    for line in (
        r"ok +Slurm +\d+\.\d+",
        r"ok +Slurm +MaxArraySize \d+",
        r"ok +Slurm partition main +has what the site asks for",
        r"ok +sbatch +takes a job of this site",
        r"ok +submit limits +MaxSubmitJobsPerUser 3 \(QOS normal\), .*MaxJobCount" if slurm.accounting else "",
    ):
        assert re.search(line, fits.stdout), f"{line}\n{fits.stdout}"
    refused = say("doctor", *SITE, "site.partition=main", "site.cpus_per_rank=99", "site.sbatch.constraint=none_such")
    assert refused.returncode == 2
    assert "site.cpus_per_rank=99, and it gives at most" in refused.stdout
    assert re.search(r"problem +sbatch +refuses a job of this site \(", refused.stdout), refused.stdout
    assert slurm.jobs().keys() <= before.keys(), "nothing was submitted (and Slurm forgets old jobs by and by)"
