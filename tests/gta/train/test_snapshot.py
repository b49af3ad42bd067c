"""A snapshot makes the file that its state made, and nothing that happens to the state reaches it."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

from gta.train import checkpoint
from gta.train.run import build_method
from gta.train.snapshot import copied_bytes, snapshot
from tests.helpers.method_contract import same
from tests.helpers.training import make


@pytest.mark.parametrize("name", ["gta", "unimatch_v2", "u2pl"])
def test_its_checkpoint_is_the_states_byte_for_byte(tmp_path: Path, name: str) -> None:
    method = build_method(make(tmp_path, name), torch.device("cpu"))
    method.end_warm_up()
    for network in method.models.values():
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for optimizer in method.optimizers.values():
        for parameter in optimizer.param_groups[0]["params"]:
            parameter.grad = torch.rand_like(parameter)
        optimizer.step()
    state = {"signature": "sig", "iteration": 3, "best": {}, "method": method.state_dict()}
    checkpoint.save(tmp_path / "state.pt", state)
    taken = snapshot(state)
    before = snapshot(taken)
    for network in method.models.values():
        for tensor in (*network.parameters(), *network.buffers()):
            tensor.data.zero_()
    for optimizer in method.optimizers.values():
        optimizer.param_groups[0]["lr"] = -1.0
        for values in optimizer.state.values():
            values.clear()
    state["best"]["student"] = 1.0
    assert same(taken, before), "what happens later is not in it"
    checkpoint.save(tmp_path / "snapshot.pt", taken)
    assert (tmp_path / "snapshot.pt").read_bytes() == (tmp_path / "state.pt").read_bytes()


def odd() -> dict[str, Any]:
    """What a method of one's own may keep."""
    large = torch.arange(24.0).reshape(4, 6)
    named = OrderedDict(weight=large, part=large[1:3, ::2], tied=large)
    named._metadata = {"": {"version": 2}}  # type: ignore[attr-defined]
    return {
        "signature": "sig",
        "iteration": 3,
        "named": named,
        "list": [torch.tensor(True), (torch.empty(0, 3), torch.empty(0, 2), 2.5, None)],
        "types": [torch.ones(2, dtype=kind) for kind in (torch.bfloat16, torch.int64, torch.uint8, torch.float64)],
        "wide": torch.ones(1).expand(5),
        "parameter": torch.nn.Parameter(torch.rand(2)),
        "sparse": torch.eye(3).to_sparse(),
    }


def test_odd_tensors_stay_what_they_are(tmp_path: Path) -> None:
    state = odd()
    checkpoint.save(tmp_path / "state.pt", state)
    taken = snapshot(state)
    checkpoint.save(tmp_path / "snapshot.pt", taken)
    assert (tmp_path / "snapshot.pt").read_bytes() == (tmp_path / "state.pt").read_bytes()
    assert taken["named"]._metadata == {"": {"version": 2}}
    assert taken["named"]["part"].untyped_storage().data_ptr() == taken["named"]["tied"].untyped_storage().data_ptr()
    state["named"]["weight"].zero_()
    state["sparse"].values().zero_()
    state["parameter"].data.zero_()
    again = snapshot(taken)
    checkpoint.save(tmp_path / "again.pt", again)
    assert (tmp_path / "again.pt").read_bytes() == (tmp_path / "state.pt").read_bytes()


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 16, 29])
def test_bytes_go_through_a_smaller_piece_of_memory(size: int) -> None:
    there, staging = torch.arange(size, dtype=torch.uint8), torch.full((8,), 99, dtype=torch.uint8)
    here = copied_bytes(there, staging)
    staging.zero_()
    assert torch.equal(here, there)
    assert here.untyped_storage().nbytes() == size


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_of_a_gpu_it_takes_no_more_memory_than_its_file() -> None:
    tensor = torch.rand(2**24 + 1000, device="cuda")  # of two pieces
    taken = snapshot({"a": tensor, "b": tensor[10:20]})
    expected = tensor.cpu()
    tensor.zero_()
    assert not taken["a"].is_pinned()
    assert taken["a"].untyped_storage().nbytes() == tensor.untyped_storage().nbytes()
    assert torch.equal(taken["a"], expected)
    assert torch.equal(taken["b"], expected[10:20])
