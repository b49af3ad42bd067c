"""Slurm: one job array for each shape of resources, chunked to what the cluster takes."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import submitit
from submitit.core.utils import FailedJobError, FailedSubmissionError

from gta.compose import sbatch
from gta.config import SiteConfig
from gta.errors import UserError
from launch.slurm import cluster
from launch.slurm import commands as slurm
from launch.slurm.reconcile import find
from launch.state import submission
from launch.state.jobs import HeldJob, Silent, Unknown
from launch.state.ledger import Entry, State, submitted_jobs
from launch.state.submission import Submission, ToSubmit, write_submission

if TYPE_CHECKING:
    from gta.cell import Cell

# in what sbatch says where it does not refuse, but gets no answer, or not in time
SILENCE = ("Unable to contact slurm controller", "timed out", "Connection refused", "Zero Bytes were transmitted")
FAILURES = 2  # of a node, after which our jobs keep away from it
LOOKS = 3  # at the accounting after a job was put back: it hears of a node's failure a little later


class ArrayExecutor(submitit.SlurmExecutor):
    """submitit's executor, sending jobs that read what to do from a submission instead of from pickles.

    A pickle gets its name only after sbatch has answered; a launcher that dies between the two would leave jobs that
    find nothing to do.
    """

    def __init__(self, params: Mapping[str, Any], folder: Path):
        """`params`: those of hydra-submitit-launcher's SlurmLauncher; `folder`: for the script and the logs."""
        given = {key: value for key, value in params.items() if value is not None}
        del given["submitit_folder"]  # of pickles
        super().__init__(folder, max_num_timeout=given.pop("max_num_timeout", 0))
        # put back into the queue after a preemption or the failure of a node, whatever the cluster's default
        words = sbatch.words({"requeue": "true", **given.pop("additional_parameters", {})})
        given = self._convert_parameters(given)  # name -> job_name, mem_gb -> mem ...
        given = {key: value for key, value in given.items() if key.replace("_", "-") not in sbatch.rivals(words)}
        # one dead rank ends the others at once; ranks get the job's environment under SBATCH_EXPORT=NONE as well, and
        # their share of its CPUs, which srun does not read from the job since Slurm 22.05
        given["srun_args"] = ["--kill-on-bad-exit=1", "--export=ALL"]
        if cpus := given.get("cpus_per_task", words.get("cpus-per-task")):
            given["srun_args"].append(f"--cpus-per-task={cpus}")
        given["stderr_to_stdout"] = True
        given["additional_parameters"] = sbatch.flags(words)
        # without submitit's own ideas: a key that clusters which check them refuse, and five minutes
        self.update_parameters(**{"wckey": None, "time": None, **given})

    def send(self, made: Submission, code: Path | None) -> str:
        """The number of the job (array) that runs a submission, with the code at `code` (None: as it is installed).

        Raises FailedJobError where sbatch refuses.
        """
        self.update_parameters(job_name=made.name, comment=made.name)
        if made.array:
            self.parameters["map_count"] = made.length
        if code is not None:
            path = f'export PYTHONPATH={shlex.quote(str(code))}"${{PYTHONPATH:+:$PYTHONPATH}}"'
            self.parameters["setup"] = [*(self.parameters.get("setup") or []), path]
        # -P: the folder where it was submitted from must not come before the code that was submitted
        command = f"{self.python} -P -u -m launch.job.start {shlex.quote(str(made.folder))}"
        return str(self._submit_command(command).job_id)

    def _make_submission_command(self, submission_file_path: Path) -> list[str]:
        return ["sbatch", "--parsable", str(submission_file_path)]

    @staticmethod
    def _get_job_id_from_submission_command(string: bytes | str) -> str:
        """The id in what sbatch printed: a line of its own, `57` or `57;cluster`; a site may print others around it."""
        text = string if isinstance(string, str) else string.decode(errors="replace")
        found = re.findall(r"^(\d+)(?:;\S*)?\s*$", text, re.MULTILINE)
        if len(found) != 1:
            raise FailedSubmissionError(f"sbatch answered without a job's id: {' '.join(text.split())}")
        return str(found[0])


def one_job(params: Mapping[str, Any]) -> str:
    """The script by which one cell is sent, but for what it runs: what doctor asks sbatch about."""
    return ArrayExecutor(params, Path(tempfile.gettempdir()))._make_submission_file_text("true", "")


def _excluding(params: Mapping[str, Any], nodes: Sequence[str]) -> dict[str, Any]:
    """The parameters with more nodes to keep away from than those of the site, whichever way it says them."""
    words = sbatch.words(params["additional_parameters"])
    text = _nodes(words.get("exclude", params.get("exclude")), nodes)
    return {**params, "additional_parameters": {**words, "exclude": text}}


def _nodes(given: str | None, more: Sequence[str]) -> str:
    """A list of nodes as Slurm reads it: those of the site, and more."""
    return ",".join(dict.fromkeys([*([given] if given else []), *more]))


class SlurmCluster:
    """Cells as job arrays; `params_of` gives the launcher's parameters for the site of a cell."""

    name = "slurm"
    at_once = 0

    def __init__(self, params_of: Callable[[SiteConfig], dict[str, Any]], sweep: Path, code: Callable[[], Path | None]):
        self._params_of = params_of
        self._sweep = sweep
        self._code = code
        self._looks: Counter[tuple[str, int]] = Counter()  # (job, attempts at its cell) -> looks at the accounting
        self._avoided: list[str] = []

    def recover(self, runs: Path) -> Mapping[str, Unknown]:
        made = submission.recover(runs, find)
        if made.found:
            print(f"Found {made.found} submission(s) again that a launcher had left unrecorded.", flush=True)
        return made.unknown

    def submit(self, cells: Sequence[ToSubmit]) -> list[str]:
        """Raises UserError where sbatch refuses (a wrong partition, account, limit ...), Silent where Slurm does not
        answer: what was sent before that is recorded.
        """
        jobs: dict[str, str] = {}
        if (here := cluster.name()) is None:
            raise Silent(Unknown("Slurm does not answer (scontrol)", silent=True))
        code = self._code()
        nodes = self._failing([one.cell for one in cells])
        for params, together, group in self._shapes(cells):
            if nodes:
                params = _excluding(params, nodes)
            most = max(1, cluster.max_array_size() - 1) * together
            for start in range(0, len(group), most):
                chunk = group[start : start + most]
                made = self._send(params, together, chunk, code, here)
                jobs.update(zip((one.cell.signature for one in chunk), made, strict=True))
        return [jobs[one.cell.signature] for one in cells]

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
            key = json.dumps([params, site.cells_per_gpu], sort_keys=True, default=str)
            shapes.setdefault(key, (params, site.cells_per_gpu, []))[2].append(one)
        return list(shapes.values())

    def _send(
        self, params: dict[str, Any], together: int, cells: list[ToSubmit], code: Path | None, here: str
    ) -> list[str]:
        runs = str(Path(cells[0].cell.config.paths.runs))
        made = write_submission(self._sweep / "submissions", runs, str(params["name"]), together, cells, here)
        executor = ArrayExecutor(params, made.folder)
        try:
            with slurm.outside_of_jobs():
                number = executor.send(made, code)
        except (FailedJobError, FailedSubmissionError) as error:
            number = _sent_all_the_same(made, " ".join(str(error).replace("sbatch: error: ", "").split()))
        return made.record(number)

    def held(self, jobs: Collection[str]) -> Mapping[str, HeldJob]:
        """None: Slurm holds the jobs, whatever becomes of this process."""
        return {}

    def cancel(self, jobs: Collection[str]) -> None:
        """None of the jobs is this process's to end: see `held`."""


def _sent_all_the_same(made: Submission, reason: str) -> str:
    """The number of a job that Slurm has though sbatch failed: its answer may have been lost.

    Raises UserError where sbatch refused; Silent where nobody knows: the submission's folder stays, and the next look
    at what is unrecorded (`recover`) finds the job or frees the cells.
    """
    number = slurm.find_job(made.name)
    if isinstance(number, str):
        return number
    if isinstance(number, Unknown):
        raise Silent(number)
    if any(word in reason for word in SILENCE):
        raise Silent(Unknown(f"Slurm does not answer ({reason})", silent=True))
    shutil.rmtree(made.folder)  # it was never sent
    raise UserError(f"sbatch refused the jobs ({reason}): mend the settings of the site.") from None
