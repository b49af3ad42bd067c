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
