"""sbatch, and what became of a script that it was given. A queue that is full, or silence, is no refusal."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from launch.slurm.commands import SILENCE, outside_of_jobs

SBATCH_SECONDS = 60.0  # where the controller holds MaxJobCount jobs, it tries for two minutes by itself

# how many jobs may be held at all, of a user, an account, a QOS; other limits are of a job's shape
_TOO_MANY = re.compile(r"\b(?:QOS|Assoc)?(?:Max|Grp)SubmitJob\w*")
MAX_JOB_COUNT = "MaxJobCount"
_FULL = ("temporarily unable to accept job", "job queue full", "creation temporarily disabled", "MaxJobCount")
_UNSAID = "violates accounting/QOS policy"  # old versions do not say which limit
_LIMIT = re.compile(r"\b(?:QOS|Assoc)\w*(?:Limit|Per\w+)\b")


@dataclass(frozen=True)
class Sent:
    """The number of the job (array); `cluster`: where sbatch named one, on a federation."""

    number: str
    cluster: str = ""


@dataclass(frozen=True)
class Later:
    """No more of these jobs are taken now: `why` is the limit's name. Not `sure`: time may not mend it."""

    why: str
    sure: bool = True


@dataclass(frozen=True)
class Doubt:
    """No answer: the job may have been taken, or not. `full`: what was said last is that there are too many jobs."""

    why: str
    full: bool = False


@dataclass(frozen=True)
class Refused:
    """These jobs are not taken, now or later: a wrong partition, account, size ..."""

    why: str


Answer = Sent | Later | Doubt | Refused


def send(script: Path) -> Answer:
    """Submit a script by sbatch."""
    try:
        with outside_of_jobs():
            answer = subprocess.run(
                ["sbatch", "--parsable", str(script)], capture_output=True, errors="replace", timeout=SBATCH_SECONDS
            )
    except subprocess.TimeoutExpired as error:
        said = error.stderr.decode(errors="replace") if isinstance(error.stderr, bytes) else error.stderr or ""
        return Doubt(_sentence(said) or f"sbatch said nothing for {SBATCH_SECONDS:.0f} s", any(map(said.count, _FULL)))
    except OSError as error:
        return Refused(f"sbatch cannot be run: {error.strerror}")
    if answer.returncode:
        return refusal(answer.stderr)
    # a site's own words may stand before it
    found = re.findall(r"^(\d+)(?:;(\S+))?$", answer.stdout, re.MULTILINE)
    return Sent(*found[-1]) if found else Doubt(f"sbatch said {_sentence(answer.stdout + answer.stderr)!r}")


def refusal(said: str) -> Answer:
    """What sbatch's words mean where it did not take a job."""
    if found := _TOO_MANY.search(said):
        return Later(found[0])
    if any(words in said for words in _FULL):
        return Later(MAX_JOB_COUNT)
    if SILENCE.search(said):
        return Doubt(_sentence(said))
    if _UNSAID in said and not _LIMIT.search(said):
        return Later(_sentence(said), sure=False)
    return Refused(_sentence(said))


def _sentence(said: str) -> str:
    return " ".join(re.sub(r"sbatch: (error: )?", "", said).split())
