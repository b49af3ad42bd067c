"""submitit's Slurm executor, sending jobs that read what to do from a submission."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import submitit

from gta.compose import sbatch
from launch.slurm import submitting
from launch.state.submission import Submission
from launch.submit.container import Container

JOB = "launch.job.start"  # what a job runs


class ArrayExecutor(submitit.SlurmExecutor):
    """submitit's executor, sending jobs that read what to do from a submission instead of from pickles.

    A pickle gets its name only after sbatch has answered; a launcher that dies between the two would leave jobs that
    find nothing to do.
    """

    def __init__(self, params: Mapping[str, Any], folder: Path, container: Container | None = None):
        """`params`: those of hydra-submitit-launcher's SlurmLauncher; `folder`: for the script and the logs;
        `container`: that the ranks run in. Raises UserError for a text that would become lines of the script.
        """
        self._container = container
        sbatch.check_lines({**params, "folder": folder})
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
        given["srun_args"] += container.srun() if container else []
        given["stderr_to_stdout"] = True
        given["additional_parameters"] = sbatch.flags(words)
        # without submitit's own ideas: a key that clusters which check them refuse, and five minutes
        self.update_parameters(**{"wckey": None, "time": None, **given})

    def send(self, made: Submission, code: Path | None, module: str = JOB) -> submitting.Answer:
        """What sbatch says to the job (array) that runs a submission by `python -m MODULE FOLDER`, with the code at
        `code` (None: the installed).
        """
        self.update_parameters(job_name=made.name, comment=made.name)
        if made.array:
            self.parameters.update(map_count=made.length, array_parallelism=made.parallel or made.length)
        if code is not None:
            path = f'export PYTHONPATH={shlex.quote(str(code))}"${{PYTHONPATH:+:$PYTHONPATH}}"'
            self.parameters["setup"] = [*(self.parameters.get("setup") or []), path]
        # -P: the folder where it was submitted from must not come before the code that was submitted
        words = ["-P", "-u", "-m", module, str(made.folder)]
        command = f"{self.python} {shlex.join(words)}"
        if self._container is not None:
            command = self._container.command(words)
            self.parameters["setup"] = [*(self.parameters.get("setup") or []), *self._container.setup(made.folder)]
            self.parameters["teardown"] = self._container.teardown(self.parameters.get("teardown") or [])
        script = made.folder / "sbatch.sh"
        script.write_text(self._make_submission_file_text(command, ""))
        return submitting.send(script)


def one_job(params: Mapping[str, Any]) -> str:
    """The script by which one cell is sent, but for what it runs: what doctor asks sbatch about."""
    return ArrayExecutor(params, Path(tempfile.gettempdir()))._make_submission_file_text("true", "")
