"""1x1 convolutions on one thread: the same convolution, by oneDNN."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch.profiler import profile

from gta.config import ModelConfig
from gta.models import build_model
from gta.models.pointwise import Pointwise, make_pointwise

onednn = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this PyTorch has no oneDNN")


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def kernels(network: nn.Module, images: torch.Tensor) -> set[str]:
    with profile() as profiled:
        network(images).sum().backward()
    return {event.key for event in profiled.key_averages()}


def resnet(memory_format: str) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = ModelConfig(
            encoder="resnet50", output_stride=8, decoder_channels=8, aspp_rates=[1, 2, 3], memory_format=memory_format
        )
        return build_model(model, 3).eval()


@onednn
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("stride", [1, 2])
def test_values_and_gradients_are_those_of_a_plain_convolution(threads: None, stride: int, bias: bool) -> None:
    plain = nn.Conv2d(24, 40, 1, stride, bias=bias)
    ours = make_pointwise(copy.deepcopy(plain))
    assert type(ours) is Pointwise
    images = torch.randn(2, 24, 9, 7).to(memory_format=torch.channels_last)
    mine, theirs = (images.clone().requires_grad_() for _ in range(2))
    there = plain(theirs)
    here = ours(mine)
    torch.testing.assert_close(here, there)
    weights = torch.randn_like(here)
    (here * weights).sum().backward()
    (there * weights).sum().backward()
    torch.testing.assert_close(mine.grad, theirs.grad)
    for one, other in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


@onednn
def test_a_large_network_makes_no_products_of_matrices_on_one_thread(threads: None) -> None:
    images = torch.randn(2, 3, 33, 33)
    network = resnet("channels_last")
    found = kernels(network, images)
    assert "aten::mkldnn_convolution" in found
    assert not [name for name in found if "slow_conv" in name]
    # of a plain network PyTorch does: should this fail, `Pointwise` has become needless
    assert "aten::_slow_conv2d_forward" in kernels(resnet("contiguous"), images)


def test_names_and_weights_are_those_of_a_plain_network() -> None:
    large, plain = resnet("channels_last"), resnet("contiguous")
    assert any(isinstance(part, Pointwise) for part in large.modules())
    assert not any(isinstance(part, Pointwise) for part in plain.modules())
    for (name, one), (other_name, other) in zip(large.state_dict().items(), plain.state_dict().items(), strict=True):
        assert name == other_name
        assert torch.equal(one, other)


def test_float64_and_autocast_are_left_to_pytorch(threads: None) -> None:
    convolution = make_pointwise(nn.Conv2d(6, 5, 1))
    images = torch.randn(1, 6, 4, 4)
    double = copy.deepcopy(convolution).double()
    reference = nn.functional.conv2d(images.double(), double.weight, double.bias)
    assert torch.equal(double(images.double()), reference)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(convolution(images), nn.functional.conv2d(images, convolution.weight, convolution.bias))
