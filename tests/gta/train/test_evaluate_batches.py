"""Images and windows that pass together: the numbers of one at a time, whatever the protocol, and as few passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from gta import scoring
from gta.config import Config, ModelConfig
from gta.data.dataset import SegmentationDataset
from gta.errors import Diverged, UserError
from gta.models import build_model
from gta.models.resnet import initialise
from gta.ops import metrics
from gta.train import inference
from gta.train.counting import Counts, count_batch
from gta.train.evaluate import count
from tests.helpers.mixed_shapes import IDS, SHAPES, mixed, of_the_batch
from tests.helpers.waits import Watched
from tests.helpers.works import whole, works

CPU = torch.device("cpu")
PROTOCOLS: list[dict[str, object]] = [
    {},
    {"scales": [0.5, 1.0, 1.5], "flip": True},
    {"protocol": "sliding_window", "window": 20},
    {"protocol": "sliding_window", "window": 41, "window_mean": "probabilities"},
    {"protocol": "sliding_window", "window": 30, "scales": [1.0, 1.25], "flip": True},
    {"protocol": "center_crop", "crop": 36},
    {"protocol": "center_crop", "crop": 64},
    {"protocol": "center_crop_padded_background", "crop": 64},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("batches")


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(3)
    made = build_model(ModelConfig(encoder="tiny", width=4, decoder_channels=8, weights="random"), 5)
    initialise(made)
    return made


@pytest.fixture
def seen(network: nn.Module) -> list[tuple[int, ...]]:
    """(images, height, width) of each pass of the network."""
    found: list[tuple[int, ...]] = []
    network.register_forward_hook(lambda _, given, __: found.append((len(given[0]), *given[0].shape[-2:])))
    return found


def counted(network: nn.Module, *configs: Config) -> list[Counts]:
    return [found["it"] for found in count({"it": network}, list(configs), IDS, CPU, by_image=True)]


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda one: " ".join(str(value) for value in one.values()))
def test_the_numbers_are_those_of_one_at_a_time(folder: Path, network: nn.Module, protocol: dict[str, Any]) -> None:
    (alone,), (together,) = (counted(network, mixed(folder, **protocol, batch=size)) for size in (1, 3))
    assert torch.equal(alone.total.sum(1), together.total.sum(1)), "the same pixels of each class"
    assert (alone.total - together.total).abs().sum() <= 2, "but for ties in float32"
    for one, other in ((alone.intersection, together.intersection), (alone.union, together.union)):
        assert one is not None
        assert other is not None
        assert (one - other).abs().sum() <= 2, "in each image"
    assert together.intersection is not None
    assert torch.equal(together.intersection.sum(0), together.total.diagonal())


@torch.no_grad()
@pytest.mark.parametrize("protocol", PROTOCOLS[:5], ids=lambda one: " ".join(str(value) for value in one.values()))
@pytest.mark.parametrize("patches", [False, True])
def test_scores_of_a_stack_are_those_of_each_image(
    folder: Path, network: nn.Module, protocol: dict[str, Any], patches: bool
) -> None:
    config = mixed(folder, **protocol, batch=4)
    if patches:
        config = replace(config, model=ModelConfig(encoder="dinov2_small", dropout=0.0, weights="random"))
    images = torch.randn(3, 3, 45, 61, generator=torch.Generator().manual_seed(1))
    network.eval()
    together = inference.class_scores(network, images, (48, 60), config)
    alone = torch.cat([inference.class_scores(network, one[None], (48, 60), config) for one in images])
    assert together.shape == (3, 5, 48, 60)
    assert torch.allclose(together, alone, atol=1e-5)


def test_images_of_one_shape_pass_together(folder: Path, network: nn.Module, seen: list[tuple[int, ...]]) -> None:
    with works() as kept:
        counted(network, mixed(folder, batch=3))
    assert whole(kept) == {"scoring images": 7}
    assert seen == [(3, 40, 56), (2, 56, 40), (1, 40, 56), (1, 33, 47)], "those of most pixels first"
    seen.clear()
    counted(network, mixed(folder))
    assert seen == [(1, *shape) for shape in SHAPES], "by itself each, in the order of the list"


def test_windows_pass_together_also_those_of_several_images(
    folder: Path, network: nn.Module, seen: list[tuple[int, ...]]
) -> None:
    """Side 20, step 14: 3 x 4 windows of 40 x 56, of 56 x 40 as many, 2 x 3 of 33 x 47."""
    counted(network, mixed(folder, protocol="sliding_window", window=20, batch=5))
    fives = [5] * 9 + [3], [5] * 4 + [4], [5, 1]  # of 4 x 12, 2 x 12 and 6 windows
    assert [passed[0] for passed in seen] == [n for part in fives for n in part]
    assert {passed[1:] for passed in seen} == {(20, 20)}


def test_large_images_and_windows_pass_by_fewer(
    folder: Path, network: nn.Module, seen: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = mixed(folder, batch=1024)
    voc = replace(config, data=replace(config.data, classes=[str(number) for number in range(21)]))
    assert scoring.at_once(voc, 513 * 513) == 2**28 // (64 * 513 * 513) == 15
    ade = replace(config, data=replace(config.data, classes=[str(number) for number in range(150)]))
    assert scoring.at_once(ade, 512 * 683) == 2**28 // (150 * 512 * 683) == 5
    assert scoring.at_once(ade, 10**9) == 1
    assert scoring.stacked(ade, 256, 256) == 2**28 // (150 * 256**2) == 27
    assert scoring.stacked(mixed_scales(ade, [0.5, 2.0]), 256, 256) == 2**28 // (150 * 512**2) == 6
    monkeypatch.setattr(scoring, "MOST_SCORES", 64 * 2 * 40 * 56)
    counted(network, config)
    assert seen == [(2, 40, 56), (2, 40, 56), (2, 56, 40), (1, 33, 47)]
    seen.clear()
    counted(network, mixed(folder, scales=[1.5], batch=1024))
    assert {passed[0] for passed in seen} == {1}, "2.25 times the pixels pass"
    seen.clear()
    counted(network, mixed(folder, protocol="center_crop", crop=64, batch=1024))
    assert seen == [(1, 64, 64)] * 7


def mixed_scales(config: Config, scales: list[float]) -> Config:
    return replace(config, evaluation=replace(config.evaluation, scales=scales))


def test_who_passes_together_follows_from_the_protocol_alone(folder: Path) -> None:
    """Also where several are asked for at once, in other batches; of a network for which it matters."""
    network = of_the_batch()
    configs = [
        mixed(folder, batch=2), mixed(folder), mixed(folder, batch=2, flip=True),
        mixed(folder, protocol="sliding_window", window=20, batch=7),
        mixed(folder, batch=2, precision="bf16"),
    ]  # fmt: skip
    together = counted(network, *configs)
    for config, found in zip(configs, together, strict=True):
        (alone,) = counted(network, config)
        assert torch.equal(found.total, alone.total)
        assert torch.equal(found.intersection, alone.intersection)  # type: ignore[arg-type]
    assert not torch.equal(together[0].total, together[1].total), "it does matter"
    assert not torch.equal(together[0].total, together[4].total), "no pass is shared with another precision"


def test_networks_and_protocols_share_the_reading(
    folder: Path, network: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    labeled = SegmentationDataset.labeled
    monkeypatch.setattr(SegmentationDataset, "labeled", lambda self, i: read.append(i) or labeled(self, i))
    configs = [mixed(folder, batch=2), mixed(folder, batch=2, protocol="center_crop", crop=36)]
    count({"student": network, "teacher": of_the_batch()}, configs, IDS, CPU)
    assert sorted(read) == list(range(7))


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda one: " ".join(str(value) for value in one.values()))
def test_nothing_waits_for_a_gpu_and_its_counts_are_those_of_a_cpu(
    folder: Path, network: nn.Module, protocol: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = mixed(folder, **protocol)
    found = {"it": Counts.none(5, 3, CPU)}, {"it": Counts.none(5, 3, CPU)}
    generator = torch.Generator().manual_seed(0)
    images, indices = torch.randn(3, 3, 48, 60, generator=generator), torch.tensor([2, 0, 1])
    masks = torch.randint(0, 5, (3, 48, 60), generator=generator, dtype=torch.uint8)
    masks[:, :9] = 255
    unsound = {"it": torch.zeros(3, dtype=torch.int64)}
    network.eval()
    count_batch({"it": network}, [config], images, masks, indices, [found[0]], unsound)
    monkeypatch.setattr(metrics, "on_host", lambda _: False)
    with Watched() as watched:
        count_batch({"it": network}, [config], images, masks, indices, [found[1]], unsound)
    assert watched.found == {}
    assert torch.equal(found[0]["it"].total, found[1]["it"].total)
    assert torch.equal(found[0]["it"].union, found[1]["it"].union)  # type: ignore[arg-type]


@torch.no_grad()
def test_bf16_is_autocast_and_its_scores_are_averaged_in_float32(folder: Path, network: nn.Module) -> None:
    config = mixed(folder, precision="bf16")
    image = torch.randn(1, 3, 40, 56)
    network.eval()
    with torch.autocast("cpu", torch.bfloat16):
        expected = network(image)
    assert expected.dtype == torch.bfloat16
    found = inference.class_scores(network, image, (40, 56), config)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected.float())
    assert torch.equal(inference.class_scores(network, image, (40, 56), mixed(folder)), network(image))


@pytest.mark.parametrize(
    ("evaluation", "said"),
    [
        ({"batch": 8}, "original size (batches of 8)"),
        ({"precision": "bf16"}, "original size, bf16"),
        ({"flip": True, "precision": "bf16", "batch": 2}, "original size, flip, bf16 (batches of 2)"),
    ],
)
def test_a_protocol_says_how_it_was_computed(folder: Path, evaluation: dict[str, object], said: str) -> None:
    assert scoring.describe(mixed(folder, **evaluation)) == said


class NanOn(nn.Module):
    """Scores that are not finite in one pixel of the images that `broken` says."""

    def __init__(self, broken: Callable[[Tensor], bool], value: float) -> None:
        super().__init__()
        self.inner, self.broken, self.value = of_the_batch(), broken, value

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.inner(x)
        for number, image in enumerate(x):
            if self.broken(image):
                scores[number, 2, 5, 5] = self.value
        return scores


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_scores_that_are_not_finite_are_counted_by_image(folder: Path, value: float) -> None:
    network = NanOn(lambda image: image.shape[-2:] == (56, 40), value)
    configs = [mixed(folder, batch=3), mixed(folder)]
    with pytest.raises(Diverged, match=r"the scores of the it are not finite on 2 of 7 images"):
        counted(network, *configs)


def test_a_picture_that_changes_its_size_meanwhile_is_a_sentence(tmp_path: Path, network: nn.Module) -> None:
    config = mixed(tmp_path, batch=3)
    counted(network, config)
    for kind, mode in (("images", "RGB"), ("masks", "L")):
        Image.new(mode, (20, 20)).save(tmp_path / "mixed" / kind / f"{IDS[0]}.png")
    with pytest.raises(UserError, match="changed their size while they were scored: some of mixed_0"):
        counted(network, config)
