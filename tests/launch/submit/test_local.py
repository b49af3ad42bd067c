"""Cells on this machine: which GPUs each is given. The processes are real; what CUDA would say is not asked."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from launch.state.submission import ToSubmit
from launch.submit.local import LocalCluster, visible_gpus
from tests.helpers.cells import of_seeds

UUIDS = ("GPU-8932f937-d72c-4106-c12f-20bd9faed9f6", "MIG-41b35d5a-0000-0000-0000-000000000000")


def given_to(tmp_path: Path, cells: int, gpus: int, ranks: int = 1) -> list[str]:
    """CUDA_VISIBLE_DEVICES of the processes of that many cells, all started at once."""
    params = {"submitit_folder": f"{tmp_path}/jobs/%j", "tasks_per_node": ranks, "timeout_min": 10, "name": "toy"}
    cluster = LocalCluster(params, 0, 1, gpus)
    assert cluster.at_once == max(1, cluster.gpus // ranks)
    jobs = list(cluster.submit([ToSubmit(cell) for cell in of_seeds(cells, tmp_path / "runs")], []).values())
    found = [environment(job) for job in jobs]  # a job is its controller's pid
    cluster.cancel(jobs)
    return [line.partition("=")[2] for lines in found for line in lines if line.startswith("CUDA_VISIBLE_DEVICES=")]


def environment(pid: str) -> list[str]:
    """A process that is just being made has none for a moment."""
    until = time.monotonic() + 60
    while not (text := Path(f"/proc/{pid}/environ").read_text()) and time.monotonic() < until:
        time.sleep(0.01)
    return text.split("\0")


@pytest.mark.slow
def test_cells_get_the_gpus_that_were_allowed_by_the_names_they_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", ",".join(UUIDS))
    assert given_to(tmp_path, cells=2, gpus=1) == list(UUIDS), "CUDA counts one MIG instance; two may be used"
    assert given_to(tmp_path, cells=1, gpus=2, ranks=2) == [",".join(UUIDS)]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, 1")
    assert given_to(tmp_path, cells=2, gpus=2) == ["3", "1"]


def test_names_of_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_gpus(2) == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-8932,-1,GPU-41b3")
    assert visible_gpus(1) == ["GPU-8932"], "CUDA stops at the first that is not there"
