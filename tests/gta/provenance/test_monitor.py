"""What the machine does is in the journal, beside the losses of the same iteration."""

from __future__ import annotations

import mmap
import time
from pathlib import Path

import pytest
import torch

from gta import journal
from gta.provenance.monitor import SystemMonitor
from tests.helpers.training import make, train_in

CPU = torch.device("cpu")


def test_a_busy_process_is_seen_busy_and_a_sleeping_one_idle() -> None:
    monitor = SystemMonitor(CPU)
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass
    busy = monitor.sample()
    time.sleep(0.2)
    idle = monitor.sample()
    assert busy["system/process_cpu_percent"] > 2 * idle["system/process_cpu_percent"]
    assert 0 <= idle["system/cpu_percent"] <= 100
    assert 0 < busy["system/memory_percent"] < 100
    assert "system/gpu_memory_mib" not in busy


def test_memory_that_is_taken_shows() -> None:
    monitor = SystemMonitor(CPU)
    before = monitor.sample()["system/memory_mib"]
    with mmap.mmap(-1, 64 * 2**20) as taken:  # new memory, whatever this process has let go of before
        taken.write(b"x" * len(taken))
        assert 50 < monitor.sample()["system/memory_mib"] - before < 150


def test_a_gpus_memory_is_told_with_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (60 * 2**30, 80 * 2**30))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: 2**30)
    told = SystemMonitor(torch.device("cuda")).sample()
    assert (told["system/gpu_memory_mib"], told["system/gpu_memory_total_mib"]) == (20 * 1024, 80 * 1024)


def test_every_logged_iteration_has_them(tmp_path: Path) -> None:
    train_in(tmp_path, make(tmp_path, "supervised", log_every=5))
    lines = [r for r in journal.read(tmp_path / "journal.jsonl") if "loss/supervised" in r.get("values", {})]
    assert [line["iteration"] for line in lines] == [5, 10]
    assert all({"system/cpu_percent", "system/memory_mib"} <= line["values"].keys() for line in lines)
    assert all(0 < line["values"]["system/data_wait_percent"] < 100 for line in lines)
