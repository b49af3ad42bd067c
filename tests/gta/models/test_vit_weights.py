"""Initial weights of vision transformers: Meta's names and timm's; what would leave a part random is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from gta.errors import UserError
from gta.models.dpt import DPT
from gta.models.public import load_public_checkpoint
from gta.models.vit import VisionTransformer
from gta.models.weights import check_initial_weights, load_initial_weights
from tests.helpers.dpt import SIZE, drawn, encoder_shapes, public_state, small_dpt

State = dict[str, Tensor]


def metas(registers: int = 0) -> State:
    return drawn(encoder_shapes(registers=registers), seed=7)


def timms(state: State) -> State:
    """The same under timm's names: no token of masked patches; with registers the class token has its position."""
    named = {name: tensor for name, tensor in state.items() if name != "mask_token"}
    if "register_tokens" in named:
        named["reg_token"] = named.pop("register_tokens")
        named["cls_token"] = named["cls_token"] + named["pos_embed"][:, :1]
        named["pos_embed"] = named["pos_embed"][:, 1:]
    return named


def saved(state: object, folder: Path) -> Path:
    torch.save(state, folder / "weights.pth")
    return folder / "weights.pth"


@pytest.mark.parametrize("registers", [0, 4])
@pytest.mark.parametrize("kind", ["meta", "timm"])
def test_both_namings_are_one_network(kind: str, registers: int, tmp_path: Path) -> None:
    state = metas(registers)
    path = saved(state if kind == "meta" else timms(state), tmp_path)
    network = small_dpt(3, registers=registers)
    check_initial_weights(network.encoder, path)
    report = load_initial_weights(network, path)
    expected = VisionTransformer(SIZE, registers)
    expected.load_state_dict(state)
    images = torch.randn(1, 3, 12, 20)
    for mine, theirs in zip(network.encoder(images), expected(images), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-5)
    assert len(report.matched) == len(state) - (kind == "timm")
    assert str(report).startswith(
        f"{len(report.matched)} tensors of the encoder's initial weights loaded, none missing"
    )
    assert not report.unused


@pytest.mark.parametrize("key", ["model", "model_ema", "teacher"])
def test_an_encoder_inside_a_checkpoint_is_found(key: str, tmp_path: Path) -> None:
    """UniMatch V2's own, and a file of DINOv2's pretraining."""
    network = small_dpt(3)
    report = load_initial_weights(network, saved({key: public_state(5, seed=1), "epoch": 3}, tmp_path))
    assert torch.equal(network.encoder.norm.weight, public_state(5, seed=1)["module.backbone.norm.weight"])
    assert all(name.startswith("head.") for name in report.unused)
    assert "unused in the file" in str(report)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"blocks.3.ls2.gamma": None}, r"1 of the encoder's .* tensors are missing \(blocks\.3\.ls2\.gamma\)"),
        (
            {"pos_embed": torch.zeros(1, 17, 12)},
            r"1 have another shape \(pos_embed is \(1, 17, 12\) and .*\(1, 26, 12\)",
        ),
        ({"blocks.5.norm1.weight": torch.zeros(12)}, r"holds 1 tensors .* does not have \(blocks\.5\.norm1\.weight\)"),
        ({"register_tokens": torch.zeros(1, 4, 12)}, r"has 4 register tokens and the model none: use .*tokens=4"),
        ({"norm.bias": torch.full((12,), torch.nan)}, r"not finite \(norm\.bias\)"),
    ],
)
def test_a_file_of_another_network_is_refused_by_name(
    change: dict[str, Tensor | None], said: str, tmp_path: Path
) -> None:
    state = {name: tensor for name, tensor in {**metas(), **change}.items() if tensor is not None}
    network = small_dpt(3)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(UserError, match=said):
        load_initial_weights(network, saved(state, tmp_path))
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_registers_are_asked_for_where_the_file_has_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no register tokens and the model 4: use model\.register_tokens=0"):
        load_initial_weights(small_dpt(3, registers=4), saved(metas(), tmp_path))


@pytest.mark.parametrize("cut", ["output", "decoder"])
def test_a_public_checkpoint_fits_any_cut(cut: str, tmp_path: Path) -> None:
    state = public_state(3, seed=1)
    path = saved({"model": public_state(3, seed=2), "model_ema": state, "previous_best": 71.2}, tmp_path)
    network, student = small_dpt(3, cut), small_dpt(3, cut)
    assert load_public_checkpoint(network, path).network == "teacher"
    assert load_public_checkpoint(student, path, "student").network == "student"
    assert torch.equal(network.mask_predictor.classifier.bias, state["module.head.scratch.output_conv.2.bias"])
    assert not torch.equal(student.mask_predictor.classifier.bias, network.mask_predictor.classifier.bias)


def test_a_public_checkpoint_of_other_classes_or_of_a_part_is_refused(tmp_path: Path) -> None:
    state = public_state(3, seed=1)
    path = saved({"model": state}, tmp_path)
    with pytest.raises(UserError, match=r"2 have another shape .*mask_predictor\.classifier"):
        load_public_checkpoint(small_dpt(4), path)
    with pytest.raises(UserError, match="has no teacher_state or model_ema"):
        load_public_checkpoint(small_dpt(3), path, "teacher")
    del state["module.head.scratch.refinenet2.out_conv.bias"]
    network: DPT = small_dpt(3)  # type: ignore[assignment]
    with pytest.raises(UserError, match=r"1 tensors are missing \(feature_extractor\.fusion2\.out\.bias\)"):
        load_public_checkpoint(network, saved({"model": state}, tmp_path))
