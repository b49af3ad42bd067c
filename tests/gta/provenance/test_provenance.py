"""What is recorded of code and machine: complete, quick, and never a reason to fail."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import torch

from gta.cli.version import described
from gta.provenance import code
from gta.provenance import environment as provenance
from gta.provenance.code import read_code


def test_the_record_of_an_attempt() -> None:
    found = provenance.environment()
    again = provenance.environment()
    assert again == json.loads(json.dumps(found)), "plain values, for a JSON file"
    assert "problems" not in found
    assert found["packages"]["torch"] == torch.__version__
    assert re.fullmatch(r"3\.\d+\.\d+.*", found["python"])
    assert re.fullmatch(r"[0-9a-f]{64}", found["tree"])
    assert found["cores"] >= 1
    assert len(found["gpus"]) == torch.cuda.device_count()
    assert found["host"]


def test_commit_says_whether_the_code_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    state = {"commit": "abc", "dirty": False, "tree": "0123456789", "snapshot": None}
    monkeypatch.setattr(code, "running", lambda: state)
    assert provenance.commit() == "abc"
    monkeypatch.setattr(code, "running", lambda: {**state, "dirty": True})
    assert provenance.commit() == "abc+01234567"
    monkeypatch.setattr(code, "running", lambda: {**state, "commit": None})
    assert provenance.commit() == "tree:01234567"
    assert provenance.commit_of({}) is None, "of a record that says nothing"


def test_code_that_git_tells_no_commit_of_goes_by_its_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Git is not there; a checkout of another user's ("dubious ownership") and a tarball answer as little."""
    monkeypatch.setenv("PATH", "")
    code.running.cache_clear()
    try:
        found = code.running()
        assert (found["commit"], found["dirty"]) == (None, None), "nobody knows whether there are changes"
        assert provenance.commit() == f"tree:{found['tree'][:8]}"
        assert described().endswith(f"(tree:{found['tree'][:8]})")
    finally:
        code.running.cache_clear()


def test_a_part_that_fails_costs_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> str:
        raise RuntimeError("no such thing")

    monkeypatch.setattr(provenance, "cpu_model", broken)
    found = provenance.environment()
    assert found["problems"] == ["machine: RuntimeError: no such thing"]
    assert found["packages"]
    assert found["tree"]


def test_the_driver_from_the_kernel_or_nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = tmp_path / "version"
    kernel.write_text(
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build\nGCC version: 12\n"
    )
    monkeypatch.setattr(provenance, "NVIDIA", kernel)
    assert provenance.driver_version() == "570.86.15"
    kernel.unlink()
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho 550.54.14\necho 550.54.14\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.driver_version() == "550.54.14"
    smi.unlink()
    assert provenance.driver_version() is None


def test_without_git_there_is_a_tree_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "project"
    (root / "gta").mkdir(parents=True)
    (root / "gta/a.py").write_text("a = 1\n")
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = read_code(root)
    assert (found.commit, list(found.files)) == (None, ["gta/a.py"])
    (root / "gta/a.py").write_text("a = 2\n")
    assert read_code(root).tree != found.tree
