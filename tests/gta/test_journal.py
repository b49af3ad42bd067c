"""The journal: appended to, never damaged by a kill, cheap to ask for its last line."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gta import journal
from gta.journal import Journal
from gta.jsonrecord import BrokenRecord


def test_what_is_written_is_read_back_in_order(tmp_path):
    path = tmp_path / "cell" / "journal.jsonl"
    before = time.time()
    with Journal(path) as log:
        log.event("started", ranks=2)
        log.metrics(20, {"loss/supervised": 0.75, "lr": 1})
        log.event("finished")
    records = journal.read(path)
    assert [r["kind"] for r in records] == ["event", "metrics", "event"]
    assert (records[0]["event"], records[0]["ranks"]) == ("started", 2)
    assert (records[1]["iteration"], records[1]["values"]) == (20, {"loss/supervised": 0.75, "lr": 1.0})
    assert all(before <= r["time"] <= time.time() for r in records)
    assert [r["time"] for r in records] == sorted(r["time"] for r in records)


def test_each_line_is_plain_json_also_with_nan(tmp_path):
    path = tmp_path / "journal.jsonl"
    with Journal(path) as log:
        log.metrics(0, {"a": float("nan"), "b": float("inf")})

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    for line in path.read_text().splitlines():
        json.loads(line, parse_constant=refuse)
    values = journal.read(path)[0]["values"]
    assert math.isnan(values["a"])
    assert values["b"] == math.inf


def test_a_torn_last_line_is_dropped_and_the_next_writer_starts_a_new_one(tmp_path):
    path = tmp_path / "journal.jsonl"
    with Journal(path) as log:
        log.metrics(1, {"a": 1})
        log.metrics(2, {"a": 2})
    path.write_bytes(path.read_bytes()[:-15])
    assert [r["iteration"] for r in journal.read(path)] == [1]
    with Journal(path) as log:
        log.event("resumed")
        log.metrics(2, {"a": 2})
    assert [r.get("iteration", r["kind"]) for r in journal.read(path)] == [1, "event", 2]


def test_a_full_disk_tears_one_line_and_no_later_one(tmp_path, monkeypatch):
    path = tmp_path / "journal.jsonl"
    write, room = os.write, [30]

    def full(descriptor: int, data: bytes) -> int:
        if room[0] <= 0:
            raise OSError(28, "No space left on device")
        written = write(descriptor, data[: room[0]])
        room[0] -= written
        return written

    with Journal(path) as log:
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space"):
            log.metrics(1, {"a": 1})
        room[0] = 10_000
        log.metrics(2, {"a": 2})
        log.metrics(3, {"a": 3})
    assert [r["iteration"] for r in journal.read(path)] == [2, 3]
    assert journal.last(path)["iteration"] == 3


def test_a_line_torn_at_any_byte_costs_that_line_only(tmp_path):
    path = tmp_path / "journal.jsonl"
    with Journal(path) as log:
        log.metrics(1, {"a": 1.5})
        whole = path.stat().st_size
        log.metrics(2, {"a": 2.5, "b": float("nan")})
    data = path.read_bytes()
    for end in range(whole, len(data)):
        path.write_bytes(data[:end])
        # at the last byte only the newline is missing: the line is whole
        expected = [1, 2] if end == len(data) - 1 else [1]
        assert [r["iteration"] for r in journal.read(path)] == expected
        with Journal(path) as log:
            log.metrics(3, {"a": 3.5})
        assert [r["iteration"] for r in journal.read(path)] == [*expected, 3]
        assert journal.last(path)["iteration"] == 3


def test_bytes_that_are_no_text_are_dropped(tmp_path):
    path = tmp_path / "journal.jsonl"
    with Journal(path) as log:
        log.metrics(1, {"a": 1})
    with open(path, "ab") as file:
        file.write(b"\x00\x00\xff\xfe\n[1, 2]\n7\n")
        file.write(b'{"time": 1, "kind": "metrics"}\n{"time": 1, "kind": "metrics", "iteration": 1, "values": 3}\n')
    with Journal(path) as log:
        log.metrics(2, {"a": 1})
    assert [r["iteration"] for r in journal.read(path)] == [1, 2]


def test_last_is_the_last_metrics_line_also_behind_events_and_a_torn_line(tmp_path):
    path = tmp_path / "journal.jsonl"
    assert journal.last(path) is None
    with Journal(path) as log:
        log.event("started")
        assert journal.last(path) is None
        for iteration in range(2000):
            log.metrics(iteration, {"a": iteration})
        for _ in range(500):  # more than one piece of the file
            log.event("stopped", signal="SIGUSR1")
    with open(path, "ab") as file:
        file.write(b'{"time": 1, "kind": "metr')
    assert journal.last(path)["iteration"] == 1999
    assert journal.last(path)["values"] == {"a": 1999.0}


def test_last_reads_the_end_only(tmp_path):
    path = tmp_path / "journal.jsonl"
    with Journal(path) as log:
        log.metrics(7, {"a": 1})
    line = path.read_bytes()
    path.write_bytes(line * 300_000)  # 25 MB
    before = bytes_read()
    assert journal.last(path)["iteration"] == 7
    assert bytes_read() - before < 1_000_000


def test_a_character_that_the_look_at_the_end_cuts_is_no_damage(tmp_path):
    path = tmp_path / "journal.jsonl"
    with Journal(path) as log:
        log.metrics(1, {"a": 1})
        log.event("broken checkpoint", what="ü" * 3000)
        whole = path.stat().st_size
        for number in range(whole, whole + 4):  # the piece begins at any byte of a character
            log.event("x" * (number % 2))
            log.metrics(2, {"a": 1})
            assert journal.look(path)["iteration"] == 2
        for _ in range(60):
            log.metrics(3, {"a": 1})
            assert journal.look(path)["iteration"] == 3
    with open(path, "ab") as file:
        file.write(b"\xff\xfe\n")
    with pytest.raises(BrokenRecord, match="has 1 line that no run writes"):
        journal.look(path)


def test_half_a_character_is_written_as_something_that_can_be_read(tmp_path):
    path = tmp_path / "journal.jsonl"
    with Journal(path) as log:
        log.event("no artifacts", error="bad name \udcff")
    assert journal.read(path)[0]["error"] == "bad name ?"


def bytes_read() -> int:
    """All that this process has read from files so far, as Linux counts it."""
    (line,) = [line for line in Path("/proc/self/io").read_text().splitlines() if line.startswith("rchar")]
    return int(line.split()[1])


def test_no_journal_reads_as_empty(tmp_path):
    assert journal.read(tmp_path / "none.jsonl") == []


def test_a_killed_writer_loses_nothing_that_it_had_written(tmp_path):
    path = tmp_path / "journal.jsonl"
    code = (
        "import os, signal, sys\nfrom gta.journal import Journal\nlog = Journal(sys.argv[1])\n"
        "for i in range(50): log.metrics(i, {'a': i})\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -9
    assert [r["iteration"] for r in journal.read(path)] == list(range(50))
