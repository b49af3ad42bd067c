"""Backbones of timm: under both decoders, from their own files, and refused in a sentence. What needs timm is skipped
where it cannot be imported: it takes a torchvision that is built for the torch there is.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gta.cellfolder import CellFolder
from gta.compose.validate import check_idle
from gta.config import ModelConfig
from gta.encoders import check_model, has_batchnorm, patch_size
from gta.errors import UserError
from gta.models import build_model, check_weights, load_initial_weights
from gta.tracking.cell import TrackedCell

try:
    import timm

    WHY = ""
except Exception as error:  # torchvision beside another torch raises a RuntimeError
    WHY = str(error).splitlines()[0]

needs_timm = pytest.mark.skipif(bool(WHY), reason=f"timm cannot be imported here: {WHY}")


def conv(name: str = "test_resnet", **settings) -> ModelConfig:
    return ModelConfig(encoder=f"timm:{name}", weights="random", decoder_channels=8, dropout=0.0, **settings)


def vit(name: str = "test_vit", **settings) -> ModelConfig:
    plain = {"output_stride": 16, "dropout": 0.0, "patch": 16}
    return ModelConfig(encoder=f"timm:{name}", weights="random", decoder_channels=8, **{**plain, **settings})


def whole(config: ModelConfig, side: int) -> None:
    """Logits of the image's size, and a gradient for every parameter that is trained: nothing of the backbone idles."""
    network = build_model(config, 3)
    logits = network(torch.randn(2, 3, side, side + 16))
    assert logits.shape == (2, 3, side, side + 16)
    logits.sum().backward()
    assert [n for n, p in network.named_parameters() if p.requires_grad and p.grad is None] == []


@needs_timm
@pytest.mark.parametrize("stride", [8, 16])
@pytest.mark.parametrize("name", ["test_resnet", "test_convnext", "test_efficientnet"])
def test_a_convolutional_backbone_is_under_deeplab(name: str, stride: int) -> None:
    whole(conv(name, output_stride=stride), 64)


@needs_timm
def test_an_auxiliary_head_takes_the_stage_before_the_last() -> None:
    network = build_model(conv(auxiliary=True), 3)
    _, auxiliary = network(torch.randn(2, 3, 64, 64), auxiliary=True)
    assert auxiliary is not None
    assert auxiliary.shape == (2, 3, 64, 64)


@needs_timm
@pytest.mark.parametrize("name", ["test_vit", "vit_tiny_patch16_dinov3_qkvb"])
def test_a_vision_transformer_is_under_dpt_at_any_size(name: str) -> None:
    """The second is DINOv3's: no position embedding, storage tokens."""
    whole(vit(name), 48)


@needs_timm
@pytest.mark.parametrize("make", [conv, vit])
@pytest.mark.parametrize("kind", [".pth", ".safetensors"])
def test_its_own_file_fills_it_whole(make, kind: str, tmp_path: Path) -> None:
    config = make()
    name = config.encoder.removeprefix("timm:")
    torch.manual_seed(1)
    source = timm.create_model(name, pretrained=False)
    _save(source.state_dict(), tmp_path / f"w{kind}")
    network = build_model(config, 3)
    report = load_initial_weights(network, tmp_path / f"w{kind}")
    assert len(report.matched) == len(network.encoder.state_dict())
    assert any("head" in name or "fc" in name for name in report.unused), "its classifier"
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        ours = network.eval().encoder(image)[-1]
        expected = source.eval().forward_intermediates(image, norm=make is vit, intermediates_only=True)[-1]
    if make is conv:
        network = build_model(conv(output_stride=16), 3)
        dilated = timm.create_model(name, pretrained=False, output_stride=16)
        dilated.load_state_dict(source.state_dict())
        with torch.no_grad():
            expected = dilated.eval().forward_intermediates(image, intermediates_only=True)[-1]
    assert torch.equal(ours, expected)


@needs_timm
def test_a_file_that_would_leave_it_partly_random_is_refused(tmp_path: Path) -> None:
    source = timm.create_model("test_resnet", pretrained=False).state_dict()
    missing = next(name for name in source if name.startswith("layer3") and name.endswith("weight"))
    _save({name: value for name, value in source.items() if name != missing}, tmp_path / "w.pth")
    with pytest.raises(UserError, match=rf"tensors are missing \({missing}\)"):
        load_initial_weights(build_model(conv(), 3), tmp_path / "w.pth")
    _save(timm.create_model("test_convnext", pretrained=False).state_dict(), tmp_path / "other.pth")
    config = ModelConfig(encoder="timm:test_resnet", weights=str(tmp_path / "other.pth"))
    with pytest.raises(UserError, match=r"matches the encoder|another network than the encoder"):
        check_weights(config)


@needs_timm
@pytest.mark.parametrize(
    ("config", "said"),
    [
        (conv("resnet1O1"), "timm .* has no such model; did you mean"),
        (conv("test_vit"), "cannot be made for an output stride of 16: .*for a vision transformer model=timm_vit"),
        (conv("swin_tiny_patch4_window7_224"), "cannot be made for an output stride of 16"),
        (vit("test_vit", patch=14), "use model.patch=16"),
        (vit("test_resnet"), "cannot be made for images of other sizes"),
        (conv("hf-hub:somebody/model"), "has no such model"),
        (conv("test_resnet.wrong_tag"), "has no tag 'wrong_tag' of test_resnet; there are r160_in1k"),
        (vit("test_vit.r160_in1"), "has no tag 'r160_in1' of test_vit; did you mean r160_in1k?"),
    ],
)  # fmt: skip
def test_a_backbone_that_does_not_fit_is_refused_before_a_cell_is_made(config: ModelConfig, said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_weights(config)


@needs_timm
@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [["model=timm", "model.encoder=timm:test_resnet"], ["model=timm_vit", "model.encoder=timm:test_vit"]],
    ids=["deeplab", "dpt"],
)
def test_a_cell_trains_on_it(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gta.cli.main import main

    monkeypatch.chdir(tmp_path)
    short = ["schedule.iterations=2", "schedule.warm_up=1", "schedule.batch_size=2", "schedule.group_size=2"]
    small = [
        "data.generator.train=50",
        "data.generator.val=3",
        "model.decoder_channels=8",
        "data.allow_absent_classes=true",
    ]
    assert main(["train", "method=gta", "model.weights=random", *words, *short, *small, "site.device=cpu"]) == 0
    (cell,) = (tmp_path / "runs/cells").iterdir()
    tags = TrackedCell.read(CellFolder(cell)).tags()
    assert tags["gta.timm"] == timm.__version__


@pytest.mark.skipif(not WHY, reason="timm is there")
def test_without_timm_a_sentence_says_what_to_install() -> None:
    with pytest.raises(UserError, match=r"model\.encoder=timm:test_resnet needs timm, (and timm is|which cannot)"):
        check_weights(conv())


def test_what_can_be_said_without_timm() -> None:
    for config in (conv(), vit()):
        check_model(config)
        check_idle(config)
    assert (patch_size(conv()), has_batchnorm(conv())) == (1, True)
    assert (patch_size(vit()), has_batchnorm(vit())) == (16, False)
    with pytest.raises(UserError, match=r"model\.patch is 16, and resnet50 has no such setting"):
        check_idle(ModelConfig(encoder="resnet50", patch=16))
    with pytest.raises(UserError, match=r"model\.auxiliary is True, and timm:test_vit has no such setting"):
        check_idle(vit(auxiliary=True))
    with pytest.raises(UserError, match="no such encoder"):
        check_model(ModelConfig(encoder="timm:"))


def test_a_dry_run_needs_no_timm() -> None:
    """A tiny network of its kind stands in for it."""
    whole(conv(dry=True), 42)
    assert patch_size(vit(dry=True)) == 14
    network = build_model(vit(dry=True), 3)
    assert network(torch.zeros(1, 3, 42, 42)).shape == (1, 3, 42, 42)


def _save(tensors: dict[str, torch.Tensor], path: Path) -> None:
    if path.suffix == ".safetensors":
        save = pytest.importorskip("safetensors.torch").save_file
        save({name: value.contiguous() for name, value in tensors.items()}, path)
    else:
        torch.save(tensors, path)
