"""Joining a process group from the environment. The maths over ranks is in tests/gta/methods/test_ranks.py."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gta.errors import UserError
from gta.ops import distributed


def test_alone_nothing_is_started() -> None:
    assert distributed.init_from_env("cpu") == torch.device("cpu")
    assert (distributed.rank(), distributed.world_size()) == (0, 1)
    model = nn.Sequential(nn.BatchNorm2d(3))
    assert distributed.synchronise_batchnorm(model) is model
    assert distributed.unwrap(distributed.wrap(model)) is model
    distributed.barrier()
    distributed.shutdown()


def test_an_unknown_device_is_a_user_error() -> None:
    with pytest.raises(UserError, match=r"site\.device is 'gpu'"):
        distributed.init_from_env("gpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_cuda_without_a_gpu_is_a_user_error() -> None:
    with pytest.raises(UserError, match="no GPU"):
        distributed.init_from_env("cuda")
    assert distributed.init_from_env("auto").type == "cpu"


class Came:
    """Stands for a GPU's event, which this machine has not."""

    def synchronize(self) -> None:
        pass


def test_ranks_agree_a_step_later_but_where_it_is_to_be_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    monkeypatch.setattr(distributed, "_wire", lambda: torch.device("cuda"))
    monkeypatch.setattr(distributed, "highest", lambda value: value)
    monkeypatch.setattr(distributed.Agreement, "_ask", lambda self, value: (torch.tensor(value), Came()))

    def answers(*asked: tuple[int, bool]) -> list[int]:
        agreement = distributed.Agreement()
        return [agreement.highest(value, now) for value, now in asked]

    assert answers((0, False), (2, False), (2, False), (0, False)) == [0, 0, 2, 0]
    assert answers((0, False), (2, True), (0, False)) == [0, 2, 0], "the step before an evaluation"
    assert answers((2, False), (1, True), (0, False)) == [0, 2, 0], "what the step before asked for counts as well"
    assert answers((0, True), (1, False), (0, False)) == [0, 0, 1]


def test_a_rank_names_its_gpu_before_and_in_all_it_does_with_others(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    gpu = torch.device("cuda", 1)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(distributed, "_device", lambda name, local_rank: gpu)
    monkeypatch.setattr(torch.cuda, "set_device", asked.append)
    monkeypatch.setattr(distributed.dist, "init_process_group", lambda *words, **more: asked.append((*words, more)))
    assert distributed.init_from_env("cuda") == gpu
    assert asked == [gpu, ("nccl", {"timeout": distributed.PATIENCE})]
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    monkeypatch.setattr(distributed.dist, "barrier", lambda **more: asked.append(more))
    for wire in (gpu, torch.device("cpu")):
        monkeypatch.setattr(distributed, "_wire", lambda wire=wire: wire)
        distributed.barrier()
    assert asked[2:] == [{"device_ids": [1]}, {"device_ids": None}]
