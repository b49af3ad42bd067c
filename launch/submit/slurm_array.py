"""Slurm: one job array for each shape of resources, chunked to what the cluster takes."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gta.cellfolder import BrokenRecord
from gta.compose import sbatch
from gta.config import SiteConfig
from gta.containerconfig import ContainerConfig
from gta.errors import UserError
from launch.slurm import cluster, submitting
from launch.slurm import commands as slurm
from launch.slurm.limits import submit_limits
from launch.slurm.reconcile import find
from launch.state import submission
from launch.state.jobs import HeldJob, Silent, Unknown
from launch.state.ledger import Entry, State, submitted_jobs
from launch.state.submission import Submission, ToSubmit, read_submission, write_submission
from launch.submit.after import After
from launch.submit.container import Container
from launch.submit.executor import JOB, ArrayExecutor
from launch.submit.fitting import DOUBT_SECONDS, Full, shares

if TYPE_CHECKING:
    from gta.cell import Cell

FAILURES = 2  # of a node, after which our jobs keep away from it
LOOKS = 3  # at the accounting after a job was put back: it hears of a node's failure a little later


def _excluding(params: Mapping[str, Any], nodes: Sequence[str]) -> dict[str, Any]:
    """The parameters with more nodes to keep away from than those of the site, whichever way it says them."""
    words = sbatch.words(params["additional_parameters"])
    text = _nodes(words.get("exclude", params.get("exclude")), nodes)
    return {**params, "additional_parameters": {**words, "exclude": text}}


def _depending(params: Mapping[str, Any], after: str) -> dict[str, Any]:
    """The parameters with a dependency more than the site's own, all of which must be met."""
    words = sbatch.words(params["additional_parameters"])
    given = words.get("dependency")
    return {**params, "additional_parameters": {**words, "dependency": f"{given},{after}" if given else after}}


def _in_hand(entries: Sequence[Entry]) -> frozenset[str]:
    """The jobs of cells that wait or run."""
    return frozenset(entry.job for entry in entries if entry.state in (State.QUEUED, State.RUNNING) and entry.job)


def _held() -> Mapping[str, HeldJob]:
    """All jobs of this user. Raises Silent where nobody knows."""
    found = slurm.queue()
    if isinstance(found, Unknown):
        raise Silent(found)
    return found


def _nodes(given: str | None, more: Sequence[str]) -> str:
    """A list of nodes as Slurm reads it: those of the site, and more."""
    return ",".join(dict.fromkeys([*([given] if given else []), *more]))


@dataclass(frozen=True)
class _Shape:
    """How cells of one shape of resources are sent."""

    params: dict[str, Any]  # of the launcher
    together: int  # cells on a GPU
    code: Path | None  # None: the installed
    cluster_name: str  # Slurm's

    @property
    def parallelism(self) -> int:
        """Most jobs of the sweep that run at the same time."""
        return int(self.params["array_parallelism"])


class SlurmCluster:
    """Cells as job arrays; `params_of` gives the launcher's parameters for the site of a cell, `module` is what a job
    runs, `after` what jobs of cells of these signatures wait for, in Slurm's words (`launch.submit.after`).
    """

    name = "slurm"
    at_once = 0

    def __init__(
        self,
        params_of: Callable[[SiteConfig], dict[str, Any]],
        sweep: Path,
        code: Callable[[], Path | None],
        module: str = JOB,
        after: After = lambda mine: "",
    ):
        self._params_of = params_of
        self._module = module
        self._sweep = sweep
        self._code = code
        self._after = after
        self._full = Full()
        self._said: set[str] = set()
        self._looks: Counter[tuple[str, int]] = Counter()  # (job, attempts at its cell) -> looks at the accounting
        self._avoided: list[str] = []

    def recover(self, runs: Path) -> Mapping[str, Unknown]:
        made = submission.recover(runs, self._find)
        if made.found:
            print(f"Found {made.found} submission(s) again whose jobs were not on record.", flush=True)
        return made.unknown

    def _find(self, made: Submission) -> str | Unknown | None:
        """As `find`; of one that was maybe given to sbatch, by whichever launcher, only time tells that it was not."""
        number = find(made)
        young = abs(time.time() - made.time) < submitting.SBATCH_SECONDS + DOUBT_SECONDS
        if number is None and young and (made.folder / "sbatch.sh").exists():
            return Unknown(f"sbatch did not answer, and job {made.name} is not seen yet")
        return number

    def ready(self, entries: Sequence[Entry]) -> bool:
        """Whether there may be room for more jobs than when the cluster took no more."""
        return self._full.again(_in_hand(entries))

    def submit(self, cells: Sequence[ToSubmit], entries: Sequence[Entry]) -> dict[str, str]:
        """The jobs of the cells that were sent, by signature; the others are to be sent later, when it is `ready`.

        Raises UserError where sbatch refuses (a wrong partition, account ...), now and later, and where what they wait
        for will never be; Silent where Slurm does not answer: what was sent before that is recorded.
        """
        jobs: dict[str, str] = {}
        here = slurm.this_cluster()
        self._full.clear()
        code = self._code()
        nodes = self._failing([one.cell for one in cells])
        after = self._after({one.cell.signature for one in cells})
        for params, together, group in self._shapes(cells):
            params = _excluding(params, nodes) if nodes else params
            shape = _Shape(_depending(params, after) if after else params, together, code, here)
            jobs |= self._send_what_fits(shape, group)
        if self._full:
            self._full.saw(_in_hand(entries) | frozenset(jobs.values()))
        return jobs

    def _send_what_fits(self, shape: _Shape, cells: list[ToSubmit]) -> dict[str, str]:
        """Send cells of one shape in as few arrays as the cluster takes, as long as it takes any."""
        jobs: dict[str, str] = {}
        size = max(1, cluster.max_array_size() - 1)  # tasks of an array
        room, left = self._parallel_room(shape), list(cells)
        while left and not self._full:
            tasks = -(-len(left) // shape.together)
            arrays = [size] * (tasks // size) + ([tasks % size] if tasks % size else [])
            if not (parallel := shares(room, arrays)[0]):
                self._wait(f"site.array_parallelism={shape.parallelism} jobs of the sweep are there")
                break
            chunk = left[: arrays[0] * shape.together]
            answer, made = self._send(shape, chunk, parallel)
            if isinstance(answer, submitting.Sent):
                jobs.update(zip((one.cell.signature for one in chunk), made.record(answer.number), strict=True))
                left, room = left[len(chunk) :], room - parallel
            elif isinstance(answer, submitting.Later) and arrays[0] > 1 and answer.why != submitting.MAX_JOB_COUNT:
                size = self._smaller(shape, arrays[0])
            elif isinstance(answer, submitting.Later) and (answer.sure or jobs or _held()):
                self._wait(answer.why)
            else:
                raise UserError(f"sbatch refused the jobs ({answer.why}): mend the settings of the site.")
        return jobs

    def _send(
        self, shape: _Shape, cells: list[ToSubmit], parallel: int
    ) -> tuple[submitting.Sent | submitting.Later | submitting.Refused, Submission]:
        """One array. Of what was certainly not sent nothing is left.

        Raises Silent where nobody knows: the submission's folder stays, and the next look at what is unrecorded
        (`recover`) finds the job by its name, or frees the cells.
        """
        runs = str(Path(cells[0].cell.config.paths.runs))
        name = str(shape.params["name"])
        container = Container.of([one.cell.config for one in cells])
        made = write_submission(
            self._sweep / "submissions", runs, name, shape.together, cells, shape.cluster_name, parallel
        )
        answer = ArrayExecutor(shape.params, made.folder, container).send(made, shape.code, self._module)
        if isinstance(answer, submitting.Doubt):
            found = slurm.find_job(made.name)
            if found is None and answer.full:
                shutil.rmtree(made.folder)
                return submitting.Later(submitting.MAX_JOB_COUNT), made
            if not isinstance(found, str):
                why = found.why if isinstance(found, Unknown) else f"Slurm does not answer ({answer.why})"
                raise Silent(Unknown(why, silent=True))
            answer = submitting.Sent(found)
        if not isinstance(answer, submitting.Sent):
            shutil.rmtree(made.folder)
        return answer, made

    def _wait(self, why: str) -> None:
        """The cluster takes no more now: said once for each reason."""
        self._full.saw(frozenset())
        if why not in self._said:
            self._said.add(why)
            print(
                f"Slurm takes no more of the jobs now ({why}): the rest is sent as jobs end, by this command while it "
                "watches, or else by the next multirun.", flush=True,
            )  # fmt: skip

    def _smaller(self, shape: _Shape, size: int) -> int:
        """How many tasks to try where `size` are too many: what the limits leave, as far as they are known, or half."""
        words = sbatch.words(shape.params["additional_parameters"])
        names = [words.get(name, shape.params.get(name)) for name in ("account", "qos", "partition")]
        limits = [limit for limit in submit_limits(*names) if limit.name != "MaxJobCount"]
        room = min((limit.most for limit in limits), default=0) - len(_held())
        return room if 0 < room < size else size // 2

    def _parallel_room(self, shape: _Shape) -> int:
        """Jobs of the sweep that may run beside those that Slurm holds of it already, each array with its share."""
        taken = 0
        for name, count in Counter(job.name for job in _held().values()).items():
            folder = self._sweep / "submissions" / "-".join(name.split("-")[-3:])
            with contextlib.suppress(BrokenRecord):  # of another sweep, or one that is named elsewhere
                taken += min(read_submission(folder).parallel or count, count)
        return shape.parallelism - taken

    def avoid_failing_nodes(self, entries: Sequence[Entry]) -> None:
        """Keep jobs that wait away from nodes that failed twice: what Slurm puts back, it could send there again."""
        held = [entry for entry in entries if entry.state is State.QUEUED and entry.cluster == self.name]
        waiting = {entry.job: entry for entry in held if entry.job and not entry.node}
        put_back = [(job, entry.attempts) for job, entry in waiting.items() if entry.attempts]
        if all(self._looks[job] >= LOOKS for job in put_back):
            return
        self._looks.update(put_back)
        nodes = self._failing([entry.cell for entry in entries])
        if not nodes:
            return
        lists: dict[str, list[str]] = {}
        for job, entry in waiting.items():
            site = entry.cell.config.site
            lists.setdefault(_nodes(sbatch.words(site.sbatch).get("exclude", site.exclude), nodes), []).append(job)
        for text, jobs in lists.items():
            slurm.exclude(jobs, text)
        if nodes != self._avoided:
            self._avoided = nodes
            print(f"{', '.join(nodes)}: failed {FAILURES} times or more; the jobs that wait keep away.", flush=True)

    def _failing(self, cells: Sequence[Cell]) -> list[str]:
        """Nodes that failed twice under the jobs of these cells."""
        return slurm.failing_nodes(submitted_jobs(cells, self.name), FAILURES)

    def _shapes(self, cells: Sequence[ToSubmit]) -> list[tuple[dict[str, Any], int, list[ToSubmit]]]:
        """The cells by what they ask of a node: parameters, cells together on a GPU, and the cells."""
        shapes: dict[str, tuple[dict[str, Any], int, list[ToSubmit]]] = {}
        known: dict[str, dict[str, Any]] = {}
        for one in cells:
            site = one.cell.config.site
            if (text := repr(site)) not in known:  # one for all cells of a site: Hydra's interpolations take a while
                known[text] = self._params_of(site)
            params = known[text]
            inside = [*(getattr(site, field.name) for field in fields(ContainerConfig)), site.stage, site.cache]
            key = json.dumps([params, site.cells_per_gpu, inside], sort_keys=True, default=str)
            shapes.setdefault(key, (params, site.cells_per_gpu, []))[2].append(one)
        return list(shapes.values())

    def held(self, jobs: Collection[str]) -> Mapping[str, HeldJob]:
        """None: Slurm holds the jobs, whatever becomes of this process."""
        return {}

    def cancel(self, jobs: Collection[str]) -> None:
        """None of the jobs is this process's to end: see `held`."""
