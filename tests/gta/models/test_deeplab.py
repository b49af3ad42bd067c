"""DeepLabV3+: parts, planes, shapes, and the shipped model configs."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

import gta
from gta.config import ModelConfig, ScheduleConfig
from gta.encoders import timm_name
from gta.errors import UserError
from gta.models import build_model
from gta.ops.batch import Labeled
from gta.ops.dropout import Draws, Dropout2d

CONFIGS = Path(gta.__file__).parent / "conf" / "model"


def shipped(name: str, **changes: object) -> ModelConfig:
    return ModelConfig(**{**yaml.safe_load((CONFIGS / f"{name}.yaml").read_text()), **changes})


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("side", [48, 33])
@pytest.mark.parametrize("output_stride", [8, 16])
def test_logits_have_the_size_of_the_image(side: int, output_stride: int) -> None:
    network = build_model(shipped("tiny", output_stride=output_stride), 5).eval()
    assert network(torch.randn(2, 3, side, side + 4)).shape == (2, 5, side, side + 4)


def test_every_shipped_config_is_complete() -> None:
    for file in CONFIGS.glob("*.yaml"):
        config = shipped(file.stem)
        if timm_name(config.encoder):
            continue  # tests/gta/models/test_timm.py builds such networks, where timm is installed
        with torch.device("meta"):
            build_model(config, 3)


def test_tiny_is_tiny() -> None:
    assert 35_000 < count(build_model(shipped("tiny"), 5)) < 60_000


def test_parts_are_the_whole_and_overlap_nowhere() -> None:
    network = build_model(shipped("tiny", auxiliary=True), 5)
    parts = [network.feature_extractor, network.mask_predictor, network.auxiliary]
    ids = [id(p) for part in parts for p in part.parameters()]
    assert len(ids) == len(set(ids))
    assert set(ids) == {id(p) for p in network.parameters()}
    assert {id(p) for p in network.feature_extractor_parameters()} == {id(p) for p in parts[0].parameters()}
    assert network.encoder is network.feature_extractor.encoder


def test_planes_of_the_published_network() -> None:
    """DeepLabV3+ over ResNet-101 with 256 planes, 21 classes, counted from its description."""
    with torch.device("meta"):
        network = build_model(shipped("resnet101", auxiliary=True), 21)
    d, bn = 256, 2 * 256
    assert count(network.feature_extractor.aspp) == (2048 * d + bn) * 2 + 3 * (9 * 2048 * d + bn)
    assert count(network.feature_extractor.head) == 9 * 5 * d * d + bn
    assert count(network.feature_extractor.low_level) == d * d + d + bn
    first, second = 9 * 2 * d * d + d + bn, 9 * d * d + d + bn
    assert count(network.mask_predictor) == first + second + d * 21 + 21
    assert count(network.auxiliary) == 9 * 1024 * d + d + bn + d * 21 + 21
    rates = [branch[0].dilation[0] for branch in network.feature_extractor.aspp.branches]
    assert rates == [1, 12, 24, 36]


@pytest.mark.parametrize("name", ["resnet101_augseg", "resnet50_augseg"])
def test_planes_of_augsegs_network(name: str) -> None:
    """21 classes, counted from its description, and a bias more before the BatchNorm of each of two convolutions."""
    with torch.device("meta"):
        network = build_model(shipped(name), 21)
    d, bn, low = 256, 2 * 256, 48
    extractor = network.feature_extractor
    assert count(extractor.aspp) == (2048 * d + bn) * 2 + 3 * (9 * 2048 * d + bn)
    assert count(extractor.head) == 5 * d * d + bn, "1x1 behind ASPP"
    assert count(extractor.low_level) == d * low + low + 2 * low
    first, second = 9 * (low + d) * d + bn, 9 * d * d + bn
    assert count(network.mask_predictor) == first + second + d * 21 + 21 + 2 * d
    assert [branch[0].dilation[0] for branch in extractor.aspp.branches] == [1, 6, 12, 18]
    assert [block.conv2.dilation[0] for block in network.encoder.layer4] == [2, 4, 8]
    assert not any(m.p for m in network.modules() if isinstance(m, Dropout2d))
    assert network.auxiliary is None


def test_low_level_planes_and_head_are_options() -> None:
    """A network of the defaults is the one that it was before there were any; others are other networks."""
    torch.manual_seed(0)
    plain = build_model(shipped("tiny"), 5)
    torch.manual_seed(0)
    said = build_model(shipped("tiny", low_level_channels=8, head_kernel=3), 5)
    assert all(torch.equal(one, other) for one, other in zip(plain.parameters(), said.parameters(), strict=True))
    other = build_model(shipped("tiny", low_level_channels=3, head_kernel=1, dropout=0.0), 5)
    assert other.feature_extractor.low_level[0].out_channels == 3
    assert other.feature_extractor.head[0].kernel_size == (1, 1)
    assert other(torch.randn(2, 3, 33, 40)).shape == (2, 5, 33, 40)


@pytest.mark.parametrize("encoder", ["resnet18", "tiny"])
@pytest.mark.parametrize("training", [True, False])
def test_an_untrained_network_is_unsure(encoder: str, training: bool) -> None:
    """Cross-entropy on noise within 5% of ln C, in both heads, and no pixel whose pseudo-label would be believed."""
    torch.manual_seed(0)
    network = build_model(shipped(encoder, auxiliary=True, dropout=0.0), 21).train(training)
    labels = torch.randint(21, (2, 65, 65))
    with torch.no_grad():
        heads = network(torch.randn(2, 3, 65, 65), auxiliary=True)
    for logits in heads:
        assert nn.functional.cross_entropy(logits, labels).item() == pytest.approx(math.log(21), rel=0.05)
        assert logits.softmax(1).max() < 0.5


def test_dropout_of_head_and_mask_predictor_follows_the_config() -> None:
    network = build_model(shipped("tiny", dropout=0.3, auxiliary=True), 5)
    drops = [m.p for m in network.modules() if isinstance(m, Dropout2d)]
    assert drops == [0.3] * 4
    assert len(drops) == sum(isinstance(m, nn.Dropout2d) for m in network.modules()), "none draws by itself"
    images = torch.randn(4, 3, 48, 48)
    draws = Draws(0, 0, ScheduleConfig(batch_size=4, group_size=2), [Labeled(images, images)])
    with draws.of_pass("student"):
        first = network(images)
    with draws.of_pass("student"):
        assert not torch.equal(first, network(images))
    still = build_model(shipped("tiny", dropout=0.0), 5)
    assert torch.equal(still(images), still(images))


def test_auxiliary_logits_only_when_asked_for() -> None:
    images = torch.randn(2, 3, 48, 48)
    network = build_model(shipped("tiny", auxiliary=True), 5).eval()
    assert isinstance(network(images), torch.Tensor)
    logits, auxiliary = network(images, auxiliary=True)
    assert logits.shape == auxiliary.shape == (2, 5, 48, 48)
    assert build_model(shipped("tiny"), 5).eval()(images, auxiliary=True)[1] is None


def test_every_parameter_gets_a_gradient() -> None:
    """The last BatchNorm of a residual block starts at zero, so this is after one step away from it."""
    network = build_model(ModelConfig(encoder="resnet18", decoder_channels=8, auxiliary=True, dropout=0.0), 3)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
    logits, auxiliary = network(torch.randn(2, 3, 33, 33), auxiliary=True)
    (logits.square().mean() + auxiliary.square().mean()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name


def test_unknown_encoder_names_a_near_one() -> None:
    with pytest.raises(UserError, match="did you mean resnet101"):
        build_model(ModelConfig(encoder="resnet-101"), 3)


@pytest.mark.slow
def test_the_published_network_runs_at_its_crop() -> None:
    """ResNet-101, deep stem, output stride 8, one 513 x 513 image: one forward pass (seconds on a CPU)."""
    network = build_model(shipped("resnet101"), 21).eval()
    with torch.no_grad():
        logits = network(torch.randn(1, 3, 513, 513))
    assert logits.shape == (1, 21, 513, 513)
    assert torch.isfinite(logits).all()


def test_a_shipped_resnet_keeps_its_maps_channels_last() -> None:
    """From the first convolution on, without a conversion of the images; the values are those of contiguous memory."""
    network = build_model(shipped("resnet18", dropout=0.0), 5).eval()
    images = torch.randn(2, 3, 33, 33)
    for features in network.encoder(images):
        assert features.is_contiguous(memory_format=torch.channels_last)
    plain = build_model(shipped("resnet18", dropout=0.0, memory_format="contiguous"), 5).eval()
    plain.load_state_dict(network.state_dict())
    assert not plain.encoder(images)[0].is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(network(images), plain(images), atol=1e-4)
