"""DINOv2 with DPT: counts, names, outputs against a second implementation, and where it is cut."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import gta
from gta.config import ModelConfig
from gta.encoders import VITS
from gta.models import SegmentationModel, build_model
from gta.models.dpt import CUTS
from gta.models.public import load_public_checkpoint
from gta.models.vit import VisionTransformer
from gta.train import kernels
from tests.helpers.dpt import PLANES, SIZE, drawn, encoder_shapes, head_shapes, public_state, shuffled, small_dpt
from tests.helpers.reference_dpt import Reference

CONFIGS = Path(gta.__file__).parent / "conf" / "model"


def shipped(name: str, classes: int = 21, **changes: object) -> SegmentationModel:
    """Without its numbers."""
    config = {**yaml.safe_load((CONFIGS / f"{name}.yaml").read_text()), **changes}
    with torch.device("meta"):
        return build_model(ModelConfig(**config), classes)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("name", "total", "head", "tensors"),
    [
        ("dinov2_small", 24_795_637, 2_739_061, 175),
        ("dinov2_base", 97_528_789, 10_948_309, 175),
        ("dinov2_large", 335_579_157, 31_210_517, 343),
    ],
)
def test_the_published_networks_have_as_many_parameters(name: str, total: int, head: int, tensors: int) -> None:
    """Of 21 classes: 24.8, 97.5 (86.6 of them the encoder's) and 335.6 millions."""
    network = shipped(name)
    assert count(network) == total
    assert count(network) - count(network.encoder) == head
    own = {key: tuple(tensor.shape) for key, tensor in network.encoder.state_dict().items()}
    assert len(own) == tensors
    assert own == encoder_shapes(VITS[name])


def test_the_head_has_the_shapes_of_the_public_one() -> None:
    network = shipped("dinov2_base")
    ours = sorted(tuple(p.shape) for name, p in network.named_parameters() if ".encoder." not in name)
    assert ours == sorted(head_shapes(VITS["dinov2_base"], 128, 21).values())


def test_what_nothing_reads_is_not_trained() -> None:
    """The token of masked patches, and the unit for a level that the deepest block does not have: 295,168 of B."""
    network = shipped("dinov2_base")
    still = {name: p.numel() for name, p in network.named_parameters() if not p.requires_grad}
    assert still.pop("feature_extractor.encoder.mask_token") == 768
    assert sum(still.values()) == 295_168
    assert {name.rpartition(".conv")[0] for name in still} == {"feature_extractor.fusion4.level_unit"}


@pytest.mark.parametrize("sides", [(20, 20), (12, 28), (4, 24)])
def test_it_agrees_with_a_second_implementation(sides: tuple[int, int], tmp_path: Path) -> None:
    """Weights go in by their public names; (20, 20) has the position embedding as it is, the others a resized one."""
    state = public_state(4, seed=1, dtype=torch.float64)
    torch.save({"model": public_state(4, seed=2), "model_ema": state, "epoch": 3}, tmp_path / "best.pth")
    network = small_dpt(4).double().eval()
    report = load_public_checkpoint(network, tmp_path / "best.pth")
    assert (report.network, report.unused, report.missing) == ("teacher", [], [])
    assert len(report.matched) == len(state) == len(network.state_dict())
    reference = Reference({name.removeprefix("module."): tensor for name, tensor in state.items()}, SIZE)
    images = torch.randn(2, 3, *sides, dtype=torch.float64)
    with torch.no_grad():
        maps, logits = network.encoder(images), network(images)
    for i, image in enumerate(images.numpy()):
        for mine, theirs in zip(maps, reference.taps(image), strict=True):
            assert np.abs(mine[i].numpy() - theirs).max() < 1e-10
        expected = reference.logits(image)
        assert logits[i].shape == expected.shape == (4, *sides)
        assert np.abs(logits[i].numpy() - expected).max() < 1e-9 * np.abs(expected).max()
    assert logits.std() > 0.1


def test_register_tokens_are_seen_and_not_handed_on() -> None:
    """With an embedding that needs no resizing the second implementation has them too; no map holds one."""
    network = VisionTransformer(SIZE, registers=4).double()
    state = drawn(encoder_shapes(registers=4), seed=3, dtype=torch.float64)
    network.load_state_dict(state)
    reference = Reference({f"backbone.{name}": tensor for name, tensor in state.items()}, SIZE)
    images = torch.randn(1, 3, 20, 20, dtype=torch.float64)
    with torch.no_grad():
        maps = network(images)
        network.register_tokens.add_(torch.randn(1, 4, SIZE.width))  # type: ignore[union-attr]
        others = network(images)
    for mine, theirs, other in zip(maps, reference.taps(images[0].numpy()), others, strict=True):
        assert mine.shape == (1, SIZE.width, 5, 5)
        assert np.abs(mine[0].numpy() - theirs).max() < 1e-10
        assert not torch.allclose(mine, other)
    assert {name for name, _ in shipped("dinov2_small", register_tokens=4).named_parameters()} - {
        name for name, _ in shipped("dinov2_small").named_parameters()
    } == {"feature_extractor.encoder.register_tokens"}


def test_positions_of_registers_networks_are_resized_to_the_size_itself() -> None:
    """A constant stays one in either way; a ramp over the rows keeps its mean where the size is asked for itself."""
    ramp = torch.arange(5.0).view(1, 5, 1, 1).expand(1, 5, 5, SIZE.width).flatten(1, 2)
    for registers, drift in ((4, 0.0), (0, 0.02)):
        network = VisionTransformer(SIZE, registers)
        with torch.no_grad():
            network.pos_embed[:, 1:] = ramp
            found = network.positions(10, 5)[0, 1:].view(10, 5, SIZE.width)
        assert torch.allclose(found[:, 0], found[:, 4], atol=1e-5)
        assert float(found.mean()) == pytest.approx(2.0 - drift, abs=0.01), registers


def test_blocks_that_pass_once_more_give_the_same_numbers() -> None:
    images = torch.randn(2, 3, 20, 20)
    found = []
    for recompute in (False, True):
        torch.manual_seed(0)
        network = VisionTransformer(SIZE, recompute=recompute)
        passes = []
        network.blocks[2].register_forward_pre_hook(lambda *_, passes=passes: passes.append(torch.is_grad_enabled()))
        sum(one.square().sum() for one in network(images)).backward()
        assert len(passes) == 1 + recompute
        with torch.no_grad():
            network(images)
        assert len(passes) == 2 + recompute, "once where nothing goes backward"
        found.append([parameter.grad for parameter in network.parameters() if parameter.grad is not None])
    assert len(found[0]) == len(found[1]) > 50
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(*found, strict=True))


def test_sides_that_are_no_multiples_are_never_cut_in_silence() -> None:
    with pytest.raises(ValueError, match=r"sides \(20, 22\) are no multiples of the patch, 4 pixels"):
        small_dpt(3)(torch.randn(1, 3, 20, 22))


@pytest.mark.parametrize("cut", CUTS)
def test_the_cut_moves_steps_and_no_number(cut: str) -> None:
    """Initial weights and logits are those of any other cut; the parts are the whole and overlap nowhere."""
    torch.manual_seed(0)
    whole = small_dpt(3)
    torch.manual_seed(0)
    network = small_dpt(3, cut)
    images = torch.randn(2, 3, 24, 16)
    assert torch.equal(network(images), whole(images))
    features = network.feature_extractor(images)
    assert network.mask_predictor(features).shape == (2, 3, 48, 32)
    ids = [id(p) for part in (network.feature_extractor, network.mask_predictor) for p in part.parameters()]
    assert len(ids) == len(set(ids)) == len(list(network.parameters()))
    assert {id(p) for p in network.feature_extractor_parameters()} == set(ids) - {
        id(p) for p in network.mask_predictor.parameters()
    }
    assert network.encoder is network.feature_extractor.encoder


def test_each_cut_has_a_larger_mask_predictor() -> None:
    sizes = [count(small_dpt(3, cut).mask_predictor) for cut in ("classifier", "output", "fusion", "decoder")]
    assert all(a < b for a, b in pairwise(sizes))
    for cut, parameters in {"classifier": 2_709, "output": 150_293, "fusion": 757_141}.items():
        assert count(shipped("dinov2_base", mask_predictor=cut).mask_predictor) == parameters
    network = small_dpt(3, "decoder")
    assert sizes[-1] == count(network) - count(network.encoder)
    assert list(dict(small_dpt(3).mask_predictor.named_children())) == ["output", "classifier"]


def test_every_trained_parameter_gets_a_gradient_and_training_is_evaluation() -> None:
    network = shuffled(small_dpt(3), seed=5)
    images = torch.randn(2, 3, 16, 16)
    network.train()
    logits, auxiliary = network(images, auxiliary=True)
    assert auxiliary is None
    logits.square().mean().backward()
    assert {name for name, p in network.named_parameters() if p.grad is None} == {
        name for name, p in network.named_parameters() if not p.requires_grad
    }
    assert torch.equal(network.eval()(images), logits)
    assert not list(network.buffers())


def test_an_untrained_network_is_unsure() -> None:
    torch.manual_seed(0)
    network = small_dpt(21)
    with torch.no_grad():
        logits = network(torch.randn(2, 3, 64, 64))
    labels = torch.randint(21, (2, 64, 64))
    assert nn.functional.cross_entropy(logits, labels).item() == pytest.approx(math.log(21), rel=0.05)
    assert logits.softmax(1).max() < 0.5


def test_planes_of_the_fused_maps_follow_the_config() -> None:
    network = shipped("dinov2_small", decoder_channels=32)
    assert network.mask_predictor[0].conv.weight.shape == (32, 32, 3, 3)
    assert small_dpt(3).mask_predictor[0].conv.weight.shape[0] == PLANES


class Names(TorchDispatchMode):
    """Names of the operations within."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.found.add(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("registers", [0, 2])
def test_the_gradient_of_resized_positions_needs_no_sum_in_any_order(registers: int) -> None:
    network = VisionTransformer(SIZE, registers).double()
    weights = torch.randn(1, 1 + 7 * 4, SIZE.width, dtype=torch.float64)

    def gradient() -> Tensor:
        network.zero_grad()
        (network.positions(7, 4) * weights).sum().backward()
        assert network.pos_embed.grad is not None
        return network.pos_embed.grad

    plain, values = gradient().clone(), network.positions(7, 4)
    with kernels.deterministic(), Names() as asked:
        assert torch.equal(network.positions(7, 4), values)
        torch.testing.assert_close(gradient(), plain)
    assert not any("bicubic" in name and "backward" in name for name in asked.found)
