"""The stand-ins answer as Slurm does, in the forms that were seen on a real one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from launch.slurm import commands as slurm
from tests.helpers.fake_slurm import FakeSlurm


def ask(*command: str) -> str:
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


@pytest.fixture
def script(tmp_path: Path) -> str:
    text = "#!/bin/bash\n#SBATCH --array=0-2%2\n#SBATCH --job-name=gta-shapes\n#SBATCH --gpus-per-node=1\nsrun true\n"
    (tmp_path / "job.sh").write_text(text)
    return str(tmp_path / "job.sh")


def test_the_life_of_an_array(fake_slurm: FakeSlurm, script: str) -> None:
    assert slurm.available()
    assert ask("sbatch", script) == "Submitted batch job 57\n"
    assert slurm.live(["57_0", "57_2", "56"]) == {"57_0", "57_2"}
    fake_slurm.set("57_0", state="RUNNING", reason="None", node="n1")
    fake_slurm.set("57_1", state="FAILED", exit="1:0", elapsed=61, node="n2")
    assert ask("squeue", "-h", "-r", "--me", "-o", "%i|%T|%r|%N") == "57_0|RUNNING|None|n1\n57_2|PENDING|Priority|\n"
    assert ask("squeue", "--noheader", "--Format=JobArrayID:10|,RestartCnt:5") == "57_0      |0    \n57_2      |0    \n"
    columns = "--format=JobID,State,ExitCode,ElapsedRaw,NodeList"
    assert ask("sacct", "-XnP", "-j", "57_1", columns) == "57_1|FAILED|1:0|61|n2\n"
    ask("scontrol", "requeue", "57_0")
    assert fake_slurm.jobs()["57_0"]["restarts"] == 1
    assert slurm.cancel({"57_0": "gta-shapes", "57_1": "gta-shapes", "57_2": "other"}) == {"57_0"}
    assert [job["state"] for job in fake_slurm.jobs().values()] == ["CANCELLED", "FAILED", "PENDING"]
    assert slurm.live(["57_0", "57_2"]) == {"57_2"}
    assert fake_slurm.calls("scancel") == [["57_0"]]


def test_what_does_not_answer(fake_slurm: FakeSlurm, script: str) -> None:
    fake_slurm.switch(accounting=False, config={"MaxArraySize": "2"})
    answer = subprocess.run(["sacct", "-X"], capture_output=True, text=True)
    assert (answer.returncode, answer.stderr) == (1, "Slurm accounting storage is disabled\n")
    answer = subprocess.run(["sbatch", script], capture_output=True, text=True)
    assert "Invalid job array specification" in answer.stderr
    fake_slurm.switch(up=False)
    assert not slurm.available()
