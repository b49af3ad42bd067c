"""What `deterministic`, `tf32` and `compile` set, for the process and within a step."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch.backends import cuda, cudnn

from gta.cell import signature
from gta.config import Config
from gta.errors import UserError
from gta.train import kernels
from tests.helpers.cells import config
from tests.helpers.configs import changed

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    kept = (cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32, cuda.matmul.allow_tf32)
    yield
    cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32, cuda.matmul.allow_tf32 = kept


def flags() -> tuple[bool, bool, bool, bool]:
    return cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, cuda.matmul.allow_tf32


def test_the_defaults_are_pytorchs_and_deterministic_kernels() -> None:
    kernels.choose(config())
    assert flags() == (True, False, True, False)
    with kernels.in_a_step(config(), CPU):
        assert flags() == (True, False, True, False)


def test_kernels_are_tried_out_within_a_step_alone() -> None:
    free = changed(config(), {"deterministic": False})
    kernels.choose(free)
    assert flags()[:2] == (False, False)
    with kernels.in_a_step(free, CPU):
        assert flags()[:2] == (False, True)
    assert flags()[:2] == (False, False), "images that are scored have many sizes"


def test_other_operations_are_deterministic_within_a_step_on_a_gpu_alone() -> None:
    def now() -> tuple[bool, bool, bool]:
        filled = torch.utils.deterministic.fill_uninitialized_memory
        return (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
            filled,
        )

    before, gpu = now(), torch.device("cuda")
    with kernels.in_a_step(config(), gpu):
        assert now() == (True, True, False)
    assert now() == before
    for asked, device in ((config(), CPU), (changed(config(), {"deterministic": False}), gpu)):
        with kernels.in_a_step(asked, device):
            assert now() == before


def test_a_gpu_without_bfloat16_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    capability = [(7, 5)]
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability[0])
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla T4")
    asked, gpu = changed(config(), {"precision": "bf16"}), torch.device("cuda")
    said = kernels.emulated(asked, gpu)
    assert said is not None
    assert said.startswith("precision=bf16: Tesla T4 (compute capability 7.5) has no bfloat16")
    assert kernels.emulated(config(), gpu) is None
    assert kernels.emulated(asked, CPU) is None
    capability[0] = (9, 0)
    assert kernels.emulated(asked, gpu) is None


@pytest.mark.parametrize(("tf32", "found"), [("none", (False, False)), ("all", (True, True))])
def test_tf32(tf32: str, found: tuple[bool, bool]) -> None:
    kernels.choose(changed(config(), {"tf32": tf32}))
    assert flags()[2:] == found


def test_what_can_change_a_result_is_in_the_signature() -> None:
    others = {"deterministic": [False], "tf32": ["none", "all"], "compile": [True]}
    made: list[Config] = [config()]
    made += [changed(config(), {name: value}) for name, values in others.items() for value in values]
    assert len({signature(one, {}, {}) for one in made}) == len(made)
    assert signature(
        changed(config(), {"deterministic": True, "tf32": "convolutions", "compile": False}), {}, {}
    ) == signature(config(), {}, {})


def test_compiling_without_a_compiler_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UserError, match=r"compile=true needs a compiler \(no-such-compiler\)"):
        kernels.compiling(changed(config(), {"compile": True}), CPU)
    kernels.compiling(config(), CPU)


def test_nobody_else_writes_where_compiled_code_is_loaded_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "true")
    monkeypatch.setenv(kernels.CACHE, "")
    asked = changed(config(), {"compile": True, "site.stage": None, "paths.runs": str(tmp_path)})
    mine = tmp_path / f"gta-{os.getuid()}"
    mine.mkdir()
    mine.chmod(0o770)
    with pytest.raises(UserError, match=r"paths.runs: .* may be written to by others"):
        kernels.compiling(asked, CPU)
    mine.rmdir()
    mine.parent.joinpath("file").touch()
    with pytest.raises(UserError, match="cannot be kept"):
        kernels.compiling(changed(asked, {"paths.runs": str(tmp_path / "file")}), CPU)


@pytest.mark.slow
def test_what_is_compiled_is_kept_for_all_cells_and_runs_in_steps_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(kernels.CACHE, "")
    monkeypatch.setenv("NODES_DISK", str(tmp_path))
    monkeypatch.setenv("CXX", "true")
    asked = changed(config(), {"compile": True, "site.stage": "$NODES_DISK"})
    try:
        kernels.compiling(asked, CPU)
        double = torch.compile(lambda x: 2 * x, backend=lambda graph, inputs: lambda x: (torch.full_like(x, 7.0),))
        assert os.environ[kernels.CACHE] == str(tmp_path / f"gta-{os.getuid()}" / "compiled")
        assert double(torch.ones(1)) == 2, "images that are scored pass as they are"
        with kernels.in_a_step(asked, CPU):
            assert double(torch.ones(1)) == 7
        assert double(torch.ones(1)) == 2
    finally:
        torch.compiler.set_stance("default")
