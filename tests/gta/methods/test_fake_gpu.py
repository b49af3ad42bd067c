"""Every method's step, and scoring, on a GPU that computes nothing: all tensors of a step are there, and nothing waits.

What no CPU can hold (streams, pinned memory, NCCL) is not in it.
"""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
import torch

from gta.methods import METHODS
from tests.helpers.fake_gpu import command, compiler
from tests.helpers.program import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(torch.version.cuda is not None, reason="PyTorch is built for a GPU here"),
    pytest.mark.skipif(compiler() is None, reason="there is no C++ compiler"),
]
STEPS = [f"step {name}" for name in METHODS if name != "fully_supervised"]
OTHERS = ["warm-up cps", "deterministic", "DPT unimatch_v2"]
PROTOCOLS = ["windows, bf16", "scales", "together"]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    words = command(tmp_path_factory.mktemp("fake_gpu"), "tests.helpers.fake_gpu_worker")
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_all_of_a_step_is_on_the_gpu_and_nothing_waits(found: dict[str, Any]) -> None:
    for case in [*STEPS, *OTHERS]:
        assert (found[case]["error"], found[case]["mixed"]) == ("", {}), case
        waits = {place.split()[0] for place in found[case]["waits"]}
        # U2PL's numbers of anchors and negatives, and how many the memory has seen
        assert waits == ({"copy", "nonzero", "_local_scalar_dense"} if case == "step u2pl" else set()), case


def test_a_step_is_computed_as_on_a_gpu(found: dict[str, Any]) -> None:
    for case in STEPS:
        assert "torch.bfloat16" in found[case]["types"], f"{case}: autocast is of another device"
        assert ("_fused_adamw_" if case == "step gta" else "_fused_sgd_") in found[case]["seen"], case
    assert found["step gta"]["types"] == ["torch.bfloat16"]
    assert found["step gta"]["seen"]["_foreach_lerp_"]
    assert found["deterministic"]["types"] == ["torch.float32"]
    assert "upsample_bilinear2d" in found["step gta"]["seen"]
    assert "upsample_bilinear2d" not in found["deterministic"]["seen"], "its gradient is summed in any order"


def test_scoring_is_on_the_gpu_and_nothing_waits(found: dict[str, Any]) -> None:
    for case in (f"scored {name}" for name in PROTOCOLS):
        assert {kind: found[case][kind] for kind in ("error", "mixed", "waits")} == {
            "error": "",
            "mixed": {},
            "waits": {},
        }
        assert found[case]["seen"]["scatter_add_"], case
    assert found["scored windows, bf16"]["types"] == ["torch.bfloat16"]


def test_a_state_from_the_cpu_is_on_the_gpu_once_it_is_loaded(found: dict[str, Any]) -> None:
    assert found["loaded u2pl"]["error"] == ""
    assert found["loaded u2pl"]["mixed"] == {}


def test_what_is_looked_for_is_found(found: dict[str, Any]) -> None:
    wrong = found["wrong"]
    assert "FakeTensorDeviceMismatchError" in wrong["error"]
    assert {place.split()[0] for place in wrong["mixed"]} == {"index", "add"}
    copies = {"copy cpu to cuda test": 2, "copy cuda to cpu test": 1}
    once = ("_local_scalar_dense", "index", "nonzero", "masked_select")
    assert wrong["waits"] == {**copies, **{f"{name} test": 1 for name in once}}
