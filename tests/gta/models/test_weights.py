"""Initial weights: what matches is loaded and named, what cannot be right is refused."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gta.config import ModelConfig
from gta.errors import UserError
from gta.models import SegmentationModel, build_model, files, load_initial_weights
from gta.models.weights import check_initial_weights
from tests.helpers.trap import Trap


def network(encoder: str = "resnet18", stem: str = "deep") -> SegmentationModel:
    return build_model(ModelConfig(encoder=encoder, width=8, decoder_channels=8, stem=stem), 3)


def deep_stem_file() -> dict[str, torch.Tensor]:
    """Another ResNet-18 under the names that deep-stem files use, with a classifier and without counters."""
    planes = {"layer1": (128, 64), "layer2": (64, 128), "layer3": (128, 256), "layer4": (256, 512)}
    shapes: dict[str, tuple[int, ...]] = {
        "conv1.0.weight": (64, 3, 3, 3),
        "conv1.3.weight": (64, 64, 3, 3),
        "conv1.6.weight": (128, 64, 3, 3),
        "fc.weight": (1000, 512),
        "fc.bias": (1000,),
    }
    norms = {"conv1.1": 64, "conv1.4": 64, "bn1": 128}
    for layer, (inputs, outputs) in planes.items():
        for block, before in ((0, inputs), (1, outputs)):
            shapes[f"{layer}.{block}.conv1.weight"] = (outputs, before, 3, 3)
            shapes[f"{layer}.{block}.conv2.weight"] = (outputs, outputs, 3, 3)
            norms |= {f"{layer}.{block}.bn1": outputs, f"{layer}.{block}.bn2": outputs}
        shapes[f"{layer}.0.downsample.0.weight"] = (outputs, inputs, 1, 1)
        norms[f"{layer}.0.downsample.1"] = outputs
    for norm, size in norms.items():
        shapes |= {f"{norm}.{part}": (size,) for part in ("weight", "bias", "running_mean", "running_var")}
    return {name: torch.rand(shape) for name, shape in shapes.items()}


def plain_file(depths: tuple[int, ...], expansion: int) -> dict[str, torch.Tensor]:
    """A ResNet under torchvision's names (timm's are the same), with classifier and counters."""
    shapes: dict[str, tuple[int, ...]] = {"conv1.weight": (64, 3, 7, 7), "fc.weight": (1000, 512 * expansion)}
    norms, before = {"bn1": 64}, 64
    for number, depth in enumerate(depths):
        planes = 64 * 2**number
        for block in range(depth):
            at = f"layer{number + 1}.{block}"
            if expansion == 1:
                convs = [(before, planes, 3), (planes, planes, 3)]
            else:
                convs = [(before, planes, 1), (planes, planes, 3), (planes, 4 * planes, 1)]
            for i, (inputs, outputs, side) in enumerate(convs, start=1):
                shapes[f"{at}.conv{i}.weight"] = (outputs, inputs, side, side)
                norms[f"{at}.bn{i}"] = outputs
            if block == 0 and before != planes * expansion:
                shapes[f"{at}.downsample.0.weight"] = (planes * expansion, before, 1, 1)
                norms[f"{at}.downsample.1"] = planes * expansion
            before = planes * expansion
    for norm, size in norms.items():
        shapes |= {f"{norm}.{part}": (size,) for part in ("weight", "bias", "running_mean", "running_var")}
    counters = {f"{norm}.num_batches_tracked": torch.tensor(7) for norm in norms}
    return {name: torch.rand(shape) for name, shape in shapes.items()} | counters


@pytest.mark.parametrize(
    ("encoder", "depths", "expansion"), [("resnet18", (2, 2, 2, 2), 1), ("resnet50", (3, 4, 6, 3), 4)]
)
@pytest.mark.parametrize("prefix", ["", "timm_model."])
def test_a_torchvision_or_timm_file_fills_the_plain_encoder(
    tmp_path: Path, encoder: str, depths: tuple[int, ...], expansion: int, prefix: str
) -> None:
    given = plain_file(depths, expansion)
    torch.save({prefix + name: tensor for name, tensor in given.items()}, tmp_path / "weights.pth")
    model = network(encoder, "plain")
    report = load_initial_weights(model, tmp_path / "weights.pth")
    own = model.encoder.state_dict()
    assert report.unused == ["fc.weight"]
    assert len(report.matched) == len(own) == len(given) - 1
    assert all(torch.equal(own[name], tensor) for name, tensor in given.items() if not name.startswith("fc"))


def test_a_file_of_another_stem_is_refused(tmp_path: Path) -> None:
    torch.save(plain_file((2, 2, 2, 2), 1), tmp_path / "plain.pth")
    with pytest.raises(UserError, match=r"plain stem and the model a deep one: use model\.stem=plain"):
        load_initial_weights(network(), tmp_path / "plain.pth")
    torch.save(deep_stem_file(), tmp_path / "deep.pth")
    with pytest.raises(UserError, match=r"use model\.stem=deep"):
        load_initial_weights(network(stem="plain"), tmp_path / "deep.pth")


def test_a_resnet_d_is_refused(tmp_path: Path) -> None:
    given = deep_stem_file()
    given["layer2.0.downsample.2.weight"] = torch.ones(128)
    torch.save(given, tmp_path / "weights.pth")
    with pytest.raises(UserError, match="ResNet-D"):
        load_initial_weights(network(), tmp_path / "weights.pth")


def test_a_pickle_that_wants_to_run_code_is_refused_and_not_run(tmp_path: Path) -> None:
    torch.save({"state_dict": deep_stem_file(), "hook": Trap(tmp_path / "ran")}, tmp_path / "weights.pth")
    with pytest.raises(UserError, match="could run code"):
        load_initial_weights(network(), tmp_path / "weights.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("wrapping", ["plain", "nested", "prefixed"])
def test_a_deep_stem_file_fills_the_encoder(tmp_path: Path, wrapping: str) -> None:
    given = deep_stem_file()
    file: object = given
    if wrapping == "nested":
        file = {"epoch": 3, "state_dict": given}
    if wrapping == "prefixed":
        file = {f"module.encoder.{name}": tensor for name, tensor in given.items()}
    torch.save(file, tmp_path / "weights.pth")
    model = network()
    decoder = {n: p.clone() for n, p in model.state_dict().items() if ".encoder." not in n}
    report = load_initial_weights(model, tmp_path / "weights.pth")
    own = model.encoder.state_dict()
    assert report.unused == ["fc.bias", "fc.weight"]
    for name, tensor in given.items():
        if not name.startswith("fc"):
            assert torch.equal(own[name], tensor), name
    for name, tensor in decoder.items():
        assert torch.equal(model.state_dict()[name], tensor), name


def test_a_partly_random_encoder_is_refused(tmp_path: Path) -> None:
    """What is missing and what has another shape is named, and nothing is half done."""
    given = deep_stem_file()
    del given["layer2.0.conv1.weight"]
    given["conv1.0.weight"] = torch.zeros(64, 3, 7, 7)
    torch.save(given, tmp_path / "weights.pth")
    model = network()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(UserError) as refused:
        load_initial_weights(model, tmp_path / "weights.pth")
    for words in (
        r"1 of the encoder's \d+ tensors are missing \(layer2.0.conv1.weight\)",
        r"1 have another shape \(conv1.0.weight is \(64, 3, 7, 7\) and the encoder's \(64, 3, 3, 3\)\)",
    ):
        assert re.search(words, str(refused.value))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    ("file", "encoder", "says"),
    [
        ("resnet18", "resnet34", r"missing \(layer1\.2\.conv1\.weight"),
        ("resnet34", "resnet18", r"holds \d+ tensors that the encoder does not have \(layer1\.2\."),
        ("resnet34", "resnet50", r"another shape \(layer1\.0\.conv1\.weight is \(64, 64, 3, 3\)"),
    ],
)
def test_a_file_of_another_depth_is_refused(tmp_path: Path, file: str, encoder: str, says: str) -> None:
    """A shallower one, a deeper one, one of other blocks: each matches in hundreds of tensors."""
    torch.save(network(file, "plain").encoder.state_dict(), tmp_path / "weights.pth")
    with pytest.raises(UserError, match=says):
        load_initial_weights(network(encoder, "plain"), tmp_path / "weights.pth")


def test_a_file_that_does_not_fit_is_refused_before_anything_is_submitted(
    tmp_path: Path, small: list[str], say: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    torch.save(network("resnet18", "plain").encoder.state_dict(), tmp_path / "weights.pth")
    words = [*small, "sweep=shapes", "method=supervised", "seed=0", f"model.weights={tmp_path / 'weights.pth'}"]
    fits = say("plan", *words, "model=resnet18", "model.stem=plain")
    assert fits.returncode == 0, fits.stderr
    refused = say("plan", *words, "model=resnet34", "model.stem=plain")
    assert (refused.returncode, "of another network" in refused.stderr) == (2, True), refused.stderr


FLAT = {"conv1.0": "conv1", "conv1.1": "bn1", "conv1.3": "conv2", "conv1.4": "bn2", "conv1.6": "conv3", "bn1": "bn3"}
V1C = {**{f"conv1.{place}": f"stem.{place}" for place in (0, 1, 3, 4, 6)}, "bn1": "stem.7"}


@pytest.mark.parametrize(("spelled", "prefix"), [(FLAT, ""), (V1C, "backbone.")], ids=["side by side", "one module"])
def test_a_deep_stem_of_another_spelling_fills_the_encoder(
    tmp_path: Path, spelled: dict[str, str], prefix: str
) -> None:
    """conv1, bn1, ... bn3 at the top, as some public ResNets have it; stem.0 to stem.7, as the ResNet-V1c files (of 64,
    64 and 128 planes, as our deep stem) do.
    """
    usual, written = deep_stem_file(), {}
    for name, tensor in usual.items():
        module, _, part = name.rpartition(".")
        written[f"{prefix}{spelled.get(module, module)}.{part}"] = tensor
    torch.save({"state_dict": written} if prefix else written, tmp_path / "weights.pth")
    model = network()
    load_initial_weights(model, tmp_path / "weights.pth")
    own = model.encoder.state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in usual.items() if not name.startswith("fc"))
    with pytest.raises(UserError, match=r"deep stem.*use model\.stem=deep"):
        load_initial_weights(network(stem="plain"), tmp_path / "weights.pth")


def test_a_file_that_matches_nothing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(deep_stem_file(), path)
    with pytest.raises(UserError, match="matches the encoder"):
        load_initial_weights(network("tiny"), path)
    # a counter alone is no match
    torch.save({"bn1.num_batches_tracked": torch.tensor(3)}, path)
    with pytest.raises(UserError, match="matches the encoder"):
        load_initial_weights(network(), path)


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"not there.*random"):
        load_initial_weights(network(), tmp_path / "weights.pth")


@pytest.mark.parametrize("content", [b"", b"not a torch file", b"<html>404</html>"])
def test_a_file_that_is_no_weights_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "weights.pth").write_bytes(content)
    with pytest.raises(UserError, match=r"weights\.pth"):
        load_initial_weights(network(), tmp_path / "weights.pth")


def test_a_file_that_is_a_list_is_refused(tmp_path: Path) -> None:
    torch.save([torch.zeros(1)], tmp_path / "weights.pth")
    with pytest.raises(UserError, match="not a state dict"):
        load_initial_weights(network(), tmp_path / "weights.pth")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"no weights\n", "the file is damaged, or none of PyTorch's"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "the file is damaged, or none of PyTorch's"),
        (b"\x80\x02J\x01", "the file is damaged, or none of PyTorch's"),
        (None, "the file is cut off"),
    ],
)
@pytest.mark.parametrize("look", [load_initial_weights, lambda model, path: check_initial_weights(model.encoder, path)])
def test_what_is_no_weight_file_gets_one_sentence(
    tmp_path: Path, content: bytes | None, reason: str, look: Any
) -> None:
    path = tmp_path / "weights.pth"
    if content is None:
        torch.save(deep_stem_file(), path)
        content = path.read_bytes()[:5000]
    path.write_bytes(content)
    with pytest.raises(UserError) as told:
        look(network(), path)
    assert str(told.value) == f"The initial weights {path} cannot be read as a PyTorch state dict: {reason}."


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    given = deep_stem_file()
    given["layer1.0.bn1.running_var"][0] = float("inf")
    torch.save(given, tmp_path / "weights.pth")
    with pytest.raises(UserError, match=r"weights.pth is not finite \(layer1.0.bn1.running_var\)"):
        load_initial_weights(network(), tmp_path / "weights.pth")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_no_memory_is_no_fault_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    torch.save({"a": torch.ones(1)}, path := tmp_path / "whole.pth")

    def load(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(torch, "load", load)
    with pytest.raises(type(error)) as raised:
        files.read(path, "The initial weights")
    assert raised.value is error
