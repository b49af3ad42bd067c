"""Evaluation protocols against plain loops, and what each says of itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gta import scoring
from gta.compose.validate import check_evaluation
from gta.config import Config, EvaluationConfig, ModelConfig
from gta.data.dataset import SegmentationDataset
from gta.data.transforms import normalise
from gta.errors import UserError
from gta.models import build_model
from gta.models.resnet import initialise
from gta.train import inference
from gta.train.evaluate import confusion_matrices
from tests.helpers.configs import changed
from tests.helpers.training import make

IDS = [f"val_{number:05d}" for number in range(3)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("inference")
    make(made)  # generates the data: 48 x 48 pixels
    return made


@pytest.fixture
def network() -> nn.Module:
    """It says several classes of an image, where an untrained network is of one mind."""
    torch.manual_seed(3)
    made = build_model(ModelConfig(encoder="tiny", width=4, decoder_channels=8, weights="random"), 5)
    initialise(made)
    return made.eval()


def config_of(folder: Path, **evaluation: object) -> Config:
    return replace(make(folder), evaluation=EvaluationConfig(**evaluation))  # type: ignore[arg-type]


def matrix(network: nn.Module, config: Config) -> np.ndarray:
    return confusion_matrices({"student": network}, config, IDS, torch.device("cpu"))["student"].numpy()


def picture(config: Config, i: int) -> tuple[Tensor, np.ndarray]:
    dataset = SegmentationDataset(config.data, IDS)
    return normalise(dataset.image(i)[None].copy(), config.data), dataset.mask(i)


def counted(pairs: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """A confusion matrix by a loop over pixels; 255 in the truth is skipped."""
    found = np.zeros((5, 5), dtype=np.int64)
    for truth, guess in pairs:
        for t, g in zip(truth.ravel(), guess.ravel(), strict=True):
            if t != 255:
                found[t, g] += 1
    return found


def test_windows_cover_the_image_and_the_last_ends_with_it() -> None:
    assert inference.window_starts(48, 20, 14) == [0, 14, 28]
    assert inference.window_starts(2048, 769, 513) == [0, 513, 1026, 1279]
    assert inference.window_starts(20, 20, 14) == inference.window_starts(7, 20, 14) == [0]


@pytest.mark.parametrize("mean", ["logits", "probabilities"])
@torch.no_grad()
def test_sliding_windows_equal_a_loop_over_pixels(folder: Path, network: nn.Module, mean: str) -> None:
    """Side 20, stride 2/3 of it (14), on 48 pixels: starts 0, 14, 28. Each pixel has the mean of its windows."""
    config = config_of(folder, protocol="sliding_window", window=20, window_mean=mean)
    pairs = []
    for i in range(len(IDS)):
        image, mask = picture(config, i)
        total, count = np.zeros((5, 48, 48)), np.zeros((48, 48))
        for top in (0, 14, 28):
            for left in (0, 14, 28):
                logits = network(image[:, :, top : top + 20, left : left + 20])
                part = (logits if mean == "logits" else logits.softmax(1))[0].numpy()
                for y in range(20):
                    for x in range(20):
                        total[:, top + y, left + x] += part[:, y, x]
                        count[top + y, left + x] += 1
        pairs.append((mask, (total / count).argmax(0)))
    expected = counted(pairs)
    assert abs(matrix(network, config) - expected).sum() <= 2, "but for ties in float32"
    assert not np.array_equal(expected, matrix(network, config_of(folder))), "it is another protocol"


def test_a_window_as_large_as_the_image_is_the_original_size(folder: Path, network: nn.Module) -> None:
    whole = matrix(network, config_of(folder))
    assert np.array_equal(matrix(network, config_of(folder, protocol="sliding_window", window=48)), whole)
    assert np.array_equal(matrix(network, config_of(folder, protocol="sliding_window", window=500)), whole)


@torch.no_grad()
def test_scales_and_flip_average_probabilities(folder: Path, network: nn.Module) -> None:
    config = config_of(folder, scales=[0.5, 1.0], flip=True)
    image, _ = picture(config, 0)
    half = nn.functional.interpolate(image, size=[24, 24], mode="bilinear", align_corners=False, antialias=True)
    passes = []
    for seen in (half, image):
        for mirrored in (False, True):
            found = network(seen.flip(3) if mirrored else seen).softmax(1)
            found = found.flip(3) if mirrored else found
            passes.append(nn.functional.interpolate(found, size=(48, 48), mode="bilinear", align_corners=True))
    expected = torch.stack(passes).mean(0)
    found = inference.class_scores(network, image, (48, 48), config)
    assert torch.allclose(found, expected, atol=1e-6)
    assert torch.allclose(found.sum(1), torch.ones(1, 48, 48), atol=1e-5), "probabilities"
    assert not torch.allclose(found, network(image).softmax(1), atol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("side", [30, 64])
def test_center_crops_equal_a_loop(folder: Path, network: nn.Module, side: int) -> None:
    """Of 48 x 48: the middle 30, or all in a frame of 8 to 64; the frame is ignored, or counts as class 0."""
    ignored, background = [], []
    for i in range(len(IDS)):
        config = config_of(folder)
        image, mask = picture(config, i)
        if side == 30:
            seen, truth = image[:, :, 9:39, 9:39], mask[9:39, 9:39]
        else:
            seen = torch.zeros(1, 3, 64, 64)
            seen[:, :, 8:56, 8:56] = image
            truth = np.full((64, 64), 255)
            truth[8:56, 8:56] = mask
        guess = network(seen).argmax(1)[0].numpy()
        ignored.append((truth, guess))
        filled = truth.copy()
        if side == 64:
            frame = np.ones((64, 64), dtype=bool)
            frame[8:56, 8:56] = False
            filled[frame] = 0
        background.append((filled, guess))
    found = matrix(network, config_of(folder, protocol="center_crop", crop=side))
    assert np.array_equal(found, counted(ignored))
    padded = matrix(network, config_of(folder, protocol="center_crop_padded_background", crop=side))
    assert np.array_equal(padded, counted(background))
    assert padded.sum() - found.sum() == (len(IDS) * (64 * 64 - 48 * 48) if side == 64 else 0)


def test_the_default_is_one_pass_at_original_size_bit_for_bit(folder: Path, network: nn.Module) -> None:
    config = config_of(folder)
    image, _ = picture(config, 0)
    with torch.no_grad():
        assert torch.equal(inference.class_scores(network, image, (48, 48), config), network(image))
    assert scoring.describe(config) == "original size"
    assert scoring.describe(changed(config, {"schedule.eval_images": 2})) == "original size, first 2 images"


@pytest.mark.parametrize(
    ("evaluation", "said"),
    [
        ({"protocol": "sliding_window"}, "sliding window 32, stride 2/3, mean of logits"),
        (
            {"protocol": "sliding_window", "window": 40, "stride": 0.5, "window_mean": "probabilities"},
            "sliding window 40, stride 0.5, mean of probabilities",
        ),
        ({"protocol": "center_crop"}, "center crop 513, padding ignored"),
        ({"protocol": "center_crop_padded_background"}, "center crop 513, padding as background (only to compare)"),
        ({"scales": [0.75, 1.0], "flip": True}, "original size, scales 0.75 1, flip"),
    ],
)
def test_a_protocol_says_what_it_is(folder: Path, evaluation: dict[str, object], said: str) -> None:
    assert scoring.describe(config_of(folder, **evaluation)) == said


def over_patches(config: Config) -> Config:
    """The same, as it is for a network that sees sides of multiples of 14 alone."""
    return replace(config, model=ModelConfig(encoder="dinov2_small", dropout=0.0, weights="random"))


class Fourteens(nn.Module):
    """Classes that depend on the place; it refuses sides that are no multiples of 14, and keeps what it has seen."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.conv = nn.Conv2d(3, 5, 5, padding=2)
        self.seen: list[tuple[int, ...]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(tuple(x.shape[2:]))
        assert all(side % 14 == 0 for side in x.shape[2:])
        return self.conv(x)


def resized(x: Tensor, height: int, width: int) -> Tensor:
    return nn.functional.interpolate(x, size=(height, width), mode="bilinear", align_corners=True)


@torch.no_grad()
@pytest.mark.parametrize(
    ("sides", "near"), [((48, 48), (42, 42)), ((49, 500), (56, 504)), ((333, 6), (336, 14)), ((28, 42), (28, 42))]
)
def test_sides_are_rounded_to_patches_and_logits_brought_back(
    folder: Path, sides: tuple[int, int], near: tuple[int, int]
) -> None:
    """int(side / 14 + 0.5) * 14 and at least 14; one resize to the original size, before the argmax."""
    config, network = over_patches(config_of(folder)), Fourteens()
    image = torch.randn(1, 3, *sides)
    found = inference.class_scores(network, image, sides, config)
    assert network.seen == [near]
    assert torch.equal(found, resized(network(resized(image, *near)), *sides) if sides != near else network(image))


@torch.no_grad()
def test_windows_scales_and_flips_are_rounded_too(folder: Path) -> None:
    network, image = Fourteens(), torch.randn(1, 3, 60, 48)
    windows = over_patches(config_of(folder, protocol="sliding_window", window=56, window_mean="probabilities"))
    found = inference.class_scores(network, image, (60, 48), windows)
    assert network.seen == [(56, 42)] * 2, "the image is narrower than the window"
    first, second = (
        resized(network(resized(image[:, :, top : top + 56], 56, 42)), 56, 48).softmax(1) for top in (0, 4)
    )
    assert torch.allclose(found[:, :, :4], first[:, :, :4], atol=1e-6)
    assert torch.allclose(found[:, :, 4:56], (first[:, :, 4:] + second[:, :, :52]) / 2, atol=1e-6)
    network.seen.clear()
    scaled = over_patches(config_of(folder, scales=[0.5, 1.0], flip=True))
    assert inference.class_scores(network, image, (60, 48), scaled).shape == (1, 5, 60, 48)
    assert network.seen == [(28, 28), (28, 28), (56, 42), (56, 42)]


def test_a_center_crop_is_rounded_and_the_protocol_says_so(folder: Path) -> None:
    network = Fourteens()
    config = over_patches(config_of(folder, protocol="center_crop", crop=32))
    assert matrix(network, config).sum() <= len(IDS) * 32 * 32
    assert set(network.seen) == {(28, 28)}
    assert scoring.describe(config) == "center crop 32, padding ignored, sides rounded to multiples of 14"
    assert scoring.describe(over_patches(config_of(folder))) == "original size, sides rounded to multiples of 14"
    for side, said in ((60, ", sides rounded to multiples of 14"), (56, "")):
        windows = over_patches(config_of(folder, protocol="sliding_window", window=side))
        assert scoring.describe(windows) == f"sliding window {side}, stride 2/3, mean of logits{said}"


@pytest.mark.parametrize(
    ("evaluation", "said"),
    [
        ({"protocol": "center"}, "must be original_size"),
        ({"scales": []}, "must be a list of 1 to 32 numbers"),
        ({"scales": [0.0]}, r"numbers, 0\.1 to 10"),
        ({"stride": 1.5}, r"a number, 0\.1 to 1\."),
        ({"window": -1}, "0, or 16 to"),
    ],
)
def test_settings_that_cannot_be(folder: Path, evaluation: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_evaluation(config_of(folder, **evaluation))


def test_a_center_crop_is_of_original_pixels(folder: Path) -> None:
    config = changed(config_of(folder, protocol="center_crop"), {"data.input_scale": 0.5})
    with pytest.raises(UserError, match=r"input_scale is 0\.5"):
        check_evaluation(config)
