"""A public checkpoint: its names are ours by pattern, its prediction is the same, and what does not fit is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from gta.config import ModelConfig
from gta.errors import UserError
from gta.models import SegmentationModel, build_model
from gta.models.public import load_public_checkpoint, our_name
from tests.helpers.trap import Trap


def network(**changes: object) -> SegmentationModel:
    config = {"encoder": "resnet18", "decoder_channels": 8, "aspp_rates": [12, 24, 36], "auxiliary": True, **changes}
    return build_model(ModelConfig(**config), 3)  # type: ignore[arg-type]


def public_names(model: SegmentationModel) -> dict[str, Tensor]:
    """The model's tensors as the public code names them, spelled out module by module, and what only it has."""
    ours = model.state_dict()
    modules = {
        "feature_extractor.encoder": "encoder",
        "feature_extractor.aspp.pooling": "decoder.aspp.conv1",
        "feature_extractor.aspp.branches.0": "decoder.aspp.conv2",
        "feature_extractor.aspp.branches.1": "decoder.aspp.conv3",
        "feature_extractor.aspp.branches.2": "decoder.aspp.conv4",
        "feature_extractor.aspp.branches.3": "decoder.aspp.conv5",
        "feature_extractor.head": "decoder.head",
        "feature_extractor.low_level": "decoder.low_conv",
        "mask_predictor": "decoder.classifier",
        "auxiliary": "auxor.aux",
    }
    state = {}
    for name, tensor in ours.items():
        module = next(module for module in modules if name.startswith(module + "."))
        state[modules[module] + name.removeprefix(module)] = tensor.clone()
    state["decoder.representation.0.weight"] = torch.rand(8, 16, 3, 3)
    return state


def filled(seed: int) -> SegmentationModel:
    """A network of which no two tensors are alike."""
    torch.manual_seed(seed)
    model = network()
    for name, tensor in model.state_dict().items():
        if name.endswith("running_var"):
            tensor.copy_(1 + torch.rand_like(tensor))
        elif tensor.is_floating_point():
            tensor.copy_(0.1 * torch.randn_like(tensor))
    return model.eval()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file as the public code saves it: two networks under DDP, an optimizer, and a score that is a numpy number."""
    state = {
        "epoch": 79,
        "model_state": {f"module.{name}": tensor for name, tensor in public_names(filled(1)).items()},
        "teacher_state": {f"module.{name}": tensor for name, tensor in public_names(filled(2)).items()},
        "optimizer_state": {"state": {}, "param_groups": [{"lr": 0.001}]},
        "best_miou": np.float64(73.16),
    }
    torch.save(state, tmp_path / "ckpt.pth")
    return tmp_path / "ckpt.pth"


@pytest.mark.parametrize(("asked", "seed", "got"), [("", 2, "teacher"), ("student", 1, "student")])
def test_the_network_predicts_what_it_did_there(file: Path, asked: str, seed: int, got: str) -> None:
    model = network()
    report = load_public_checkpoint(model, file, asked)
    images = torch.randn(1, 3, 33, 33)
    with torch.no_grad():
        logits = model.eval()(images)
        assert torch.equal(logits, filled(seed)(images))
        assert logits.isfinite().all()
    assert report.network == got
    assert len(report.matched) == len(model.state_dict())
    assert report.unused == ["module.decoder.representation.0.weight"]
    assert f"{got}: {len(report.matched)} tensors loaded" in str(report)
    assert "unused in the file: 1" in str(report)


def test_names() -> None:
    assert our_name("decoder.aspp.conv1.1.weight") == "feature_extractor.aspp.pooling.1.weight"
    assert our_name("decoder.aspp.conv5.0.weight") == "feature_extractor.aspp.branches.3.0.weight"
    assert our_name("encoder.layer3.22.bn3.bias") == "feature_extractor.encoder.layer3.22.bn3.bias"
    assert our_name("decoder.classifier.8.bias") == "mask_predictor.8.bias"
    assert our_name("decoder.representation.0.weight") is None


def test_other_names_can_be_taught(tmp_path: Path) -> None:
    state = {f"net/{name}": tensor for name, tensor in filled(1).state_dict().items()}
    torch.save({"model_state": state}, tmp_path / "ckpt.pth")
    model = network()
    report = load_public_checkpoint(model, tmp_path / "ckpt.pth", names=[(r"net/(.+)", r"\1")])
    assert (report.network, report.unused) == ("student", [])


def test_the_auxiliary_head_may_be_missing_on_either_side(file: Path, tmp_path: Path) -> None:
    assert len(load_public_checkpoint(network(auxiliary=False), file).unused) > 1
    state = {name: tensor for name, tensor in public_names(filled(1)).items() if not name.startswith("auxor")}
    torch.save({"model_state": state}, tmp_path / "plain.pth")
    report = load_public_checkpoint(network(), tmp_path / "plain.pth")
    assert report.missing
    assert all(name.startswith("auxiliary.") for name in report.missing)


@pytest.mark.slow
def test_a_network_that_would_stay_partly_random_is_refused(file: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"other shape.*mask_predictor\.8"):
        load_public_checkpoint(
            build_model(ModelConfig(encoder="resnet18", decoder_channels=8, aspp_rates=[12, 24, 36]), 4), file
        )
    with pytest.raises(UserError, match="tensors are missing"):
        load_public_checkpoint(network(stem="plain"), file)
    state = public_names(filled(1))
    del state["decoder.head.0.weight"]
    torch.save({"model_state": state}, tmp_path / "ckpt2.pth")
    model = network()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(UserError, match=r"1 tensors are missing \(feature_extractor\.head\.0\.weight\)"):
        load_public_checkpoint(model, tmp_path / "ckpt2.pth")
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items()), "nothing is half done"


def test_a_network_that_is_not_there_is_named(file: Path, tmp_path: Path) -> None:
    torch.save({"model_state": public_names(filled(1))}, tmp_path / "student.pth")
    with pytest.raises(UserError, match="has no teacher_state"):
        load_public_checkpoint(network(), tmp_path / "student.pth", "teacher")
    with pytest.raises(UserError, match="use student or teacher"):
        load_public_checkpoint(network(), file, "assistant")
    with pytest.raises(UserError, match="not there"):
        load_public_checkpoint(network(), tmp_path / "nowhere.pth")


def test_a_pickle_that_wants_to_run_code_is_refused_and_not_run(tmp_path: Path) -> None:
    state = {"model_state": public_names(filled(1)), "args": Trap(tmp_path / "ran")}
    torch.save(state, tmp_path / "ckpt.pth")
    with pytest.raises(UserError, match="could run code, so it is refused"):
        load_public_checkpoint(network(), tmp_path / "ckpt.pth")
    assert not (tmp_path / "ran").exists()
    torch.load(tmp_path / "ckpt.pth", weights_only=False)
    assert (tmp_path / "ran").exists(), "the trap works: only the loader's care kept it shut"


@pytest.mark.parametrize(
    "content",
    [{"model_state": [1, 2]}, {"state_dict": torch.zeros(3)}, [torch.zeros(2)], {"model_state": torch.zeros(3)}],
)
def test_a_file_that_holds_something_else_gets_one_sentence(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "ckpt.pth")
    with pytest.raises(UserError, match=r"ckpt.pth (has no model_state|is no checkpoint of the configured network)"):
        load_public_checkpoint(network(), tmp_path / "ckpt.pth")


def test_a_network_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    state = public_names(filled(1))
    name = next(name for name in state if name.startswith("decoder.classifier") and name.endswith("bias"))
    state[name] = torch.full_like(state[name], float("nan"))
    torch.save({"model_state": state}, tmp_path / "ckpt.pth")
    with pytest.raises(UserError, match=r"the student is not finite \(mask_predictor.*bias\)"):
        load_public_checkpoint(network(), tmp_path / "ckpt.pth")
