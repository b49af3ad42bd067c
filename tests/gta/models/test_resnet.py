"""Facts of the encoders' structure: stem, strides, dilations, number of parameters, initialisation."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gta.config import ModelConfig
from gta.errors import UserError
from gta.models import ENCODERS, check_model


def encoder(name: str, output_stride: int = 8, width: int = 0, stem: str = "deep") -> nn.Module:
    return ENCODERS[name](ModelConfig(encoder=name, output_stride=output_stride, width=width, stem=stem))


def on_meta(name: str, output_stride: int = 8, stem: str = "deep") -> nn.Module:
    """Shapes without memory: for facts that need no numbers."""
    with torch.device("meta"):
        return encoder(name, output_stride, stem=stem)


def dilations(layer: nn.Module) -> list[int]:
    return [block.conv2.dilation[0] for block in layer.children()]


@pytest.mark.parametrize(
    ("output_stride", "layer3", "layer4"), [(8, [1] + [2] * 22, [4, 8, 16]), (16, [1] * 23, [2, 4, 8])]
)
def test_dilations_of_resnet101(output_stride: int, layer3: list[int], layer4: list[int]) -> None:
    network = on_meta("resnet101", output_stride)
    assert dilations(network.layer3) == layer3
    assert dilations(network.layer4) == layer4
    assert dilations(network.layer2) == [1, 1, 1, 1]


def test_a_dilated_convolution_keeps_its_size() -> None:
    for module in on_meta("resnet101").modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3):
            assert module.padding == module.dilation


def test_deep_stem() -> None:
    stem = [m for m in on_meta("resnet101").conv1 if isinstance(m, nn.Conv2d)]
    assert [(m.in_channels, m.out_channels, m.stride[0]) for m in stem] == [(3, 64, 2), (64, 64, 1), (64, 128, 1)]


def test_parameters_of_resnets() -> None:
    """The plain ResNet's published count without its classifier, with the 7x7 stem exchanged for three 3x3."""
    old_stem = 3 * 64 * 49 + 2 * 64
    new_stem = 9 * (3 * 64 + 64 * 64 + 64 * 128) + 2 * (64 + 64 + 128)
    wider_input = 64 * (64 + 256)  # layer1's first 1x1 and its shortcut read 128 planes instead of 64
    for name, plain in (("resnet50", 25_557_032 - 2_049_000), ("resnet101", 44_549_160 - 2_049_000)):
        count = sum(p.numel() for p in on_meta(name).parameters())
        assert count == plain - old_stem + new_stem + wider_input


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("resnet18", 11_689_512 - 513_000),
        ("resnet34", 21_797_672 - 513_000),
        ("resnet50", 25_557_032 - 2_049_000),
        ("resnet101", 44_549_160 - 2_049_000),
    ],
)
def test_the_plain_stem_is_torchvisions_network(name: str, published: int) -> None:
    """Its published number of parameters without the classifier; one 7x7 convolution; its pooling rounds down."""
    network = on_meta(name, stem="plain")
    assert sum(p.numel() for p in network.parameters()) == published
    assert (network.conv1.kernel_size, network.conv1.stride, network.conv1.out_channels) == ((7, 7), (2, 2), 64)
    assert network.maxpool(torch.zeros(1, 1, 256, 256)).shape[-1] == 128
    assert ("layer1.0.downsample.0.weight" in network.state_dict()) == (name in ("resnet50", "resnet101"))


def test_both_stems_give_features_of_one_size() -> None:
    for stem in ("plain", "deep"):
        with torch.no_grad():
            low, _, top = encoder("resnet18", stem=stem).eval()(torch.zeros(1, 3, 65, 65))
        assert (low.shape[2:], top.shape[2:]) == ((17, 17), (9, 9))


def test_an_unknown_stem_is_refused() -> None:
    with pytest.raises(UserError, match=r"model\.stem is 'deeper'; it must be deep or plain"):
        check_model(ModelConfig(encoder="resnet18", stem="deeper"))


def test_first_dilated_block_reads_stride_8() -> None:
    network = on_meta("resnet50")
    assert [network.layer3[0].conv2.stride, network.layer4[0].conv2.stride] == [(1, 1), (1, 1)]
    assert [m.stride for m in (network.layer3[0].downsample[0], network.layer4[0].downsample[0])] == [(1, 1), (1, 1)]


@pytest.mark.parametrize("name", ["resnet18", "resnet101"])
@pytest.mark.parametrize("output_stride", [8, 16])
def test_sizes_and_planes(name: str, output_stride: int) -> None:
    network = encoder(name, output_stride).eval()
    with torch.no_grad():
        low, middle, top = network(torch.zeros(1, 3, 65, 65))
    assert low.shape[2:] == (17, 17)
    side = 65 // output_stride + 1
    assert middle.shape[2:] == top.shape[2:] == (side, side)
    assert (low.shape[1], middle.shape[1], top.shape[1]) == network.channels
    assert network.channels == ((64, 256, 512) if name == "resnet18" else (256, 1024, 2048))


def test_maxpool_rounds_up() -> None:
    """512 -> 129, not 128: the public network's ceil_mode."""
    pool = on_meta("resnet50").maxpool
    assert pool(torch.zeros(1, 1, 256, 256)).shape[-1] == 129


@pytest.mark.parametrize(("name", "last"), [("resnet18", "bn2"), ("resnet50", "bn3")])
def test_last_batchnorm_of_a_block_starts_at_zero(name: str, last: str) -> None:
    network = encoder(name)
    norms = {n: m for n, m in network.named_modules() if isinstance(m, nn.BatchNorm2d)}
    for module_name, module in norms.items():
        expected = 0.0 if module_name.startswith("layer") and module_name.endswith(last) else 1.0
        assert (module.weight == expected).all(), module_name


@pytest.mark.parametrize(("output_stride", "side", "low_level"), [(8, 6, (8, 24)), (16, 3, (16, 12))])
def test_tiny(output_stride: int, side: int, low_level: tuple[int, int]) -> None:
    """The low-level features are four times as fine as the last ones."""
    network = encoder("tiny", output_stride, width=8)
    low, middle, top = network(torch.randn(2, 3, 48, 48))
    assert low.shape == (2, low_level[0], low_level[1], low_level[1])
    assert network.channels == (low_level[0], 32, 64)
    assert middle.shape == (2, 32, 6, 6)
    assert top.shape == (2, 64, side, side)


def test_width_scales_every_stage_of_tiny() -> None:
    assert [encoder("tiny", width=w).channels for w in (4, 24)] == [(4, 16, 32), (24, 96, 192)]


@pytest.mark.parametrize(("name", "output_stride", "width"), [("tiny", 4, 8), ("resnet18", 32, 0), ("tiny", 8, 0)])
def test_settings_that_cannot_be(name: str, output_stride: int, width: int) -> None:
    with pytest.raises(UserError, match="model"):
        check_model(ModelConfig(encoder=name, output_stride=output_stride, width=width))
