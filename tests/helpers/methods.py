"""Methods over a very small network, batches for them, and steps as the trainer makes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gta.config import ModelConfig, ScheduleConfig
from gta.methods import METHODS, Method
from gta.models import SegmentationModel, build_model
from gta.ops.batch import Labeled, Unlabeled
from tests.helpers.dpt import small_dpt

CLASSES, SIDE = 4, 24
SCHEDULE = {
    "iterations": 20,
    "warm_up": 2,
    "batch_size": 4,
    "group_size": 2,
    "lr": 0.05,
    "decoder_lr_factor": 2.0,
    "ema_decay": 0.9,
    "eval_every": 10,
}


def make_method(
    name: str | type[Method],
    model: dict[str, Any] | None = None,
    schedule: dict[str, Any] | None = None,
    precision: str = "fp32",
    dtype: torch.dtype = torch.float32,
    frozen: bool = False,
    dpt: str = "",
    device: str = "cpu",
    **config: Any,
) -> Method:
    """The method of that key (or class) over a very small network; `frozen`: BatchNorm keeps its first statistics.

    dpt: over a vision transformer with DPT, cut so (`model.mask_predictor`).
    """
    chosen = METHODS[name] if isinstance(name, str) else name
    small = {"encoder": "tiny", "width": 4, "output_stride": 8, "decoder_channels": 4, "aspp_rates": [1, 2, 3]}
    network = ModelConfig(**{**small, "weights": "random", **(model or {})})

    def build() -> SegmentationModel:
        return (small_dpt(CLASSES, dpt) if dpt else build_model(network, CLASSES)).to(dtype)

    class Frozen(chosen):  # type: ignore[misc, valid-type]
        def add(self, name: str, network: nn.Module, trained: bool) -> None:
            for module in network.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.__class__ = FrozenBatchNorm2d
            super().add(name, network, trained)

    return (Frozen if frozen else chosen)(
        chosen.Config(**config),
        build,
        ScheduleConfig(**{**SCHEDULE, **(schedule or {})}),
        seed=0,
        device=device,
        precision=precision,
    )


class FrozenBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm in evaluation mode, whatever the network's mode."""

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


def make_batch(iteration: int, images: int = 4) -> tuple[Labeled, Unlabeled]:
    """Global batch of an iteration; some pixels are ignored, some padded, unequally in each image."""
    generator = torch.Generator().manual_seed(1000 + iteration)
    image, weak, strong, strong2 = torch.randn(4, images, 3, SIDE, SIDE, generator=generator)
    mask = torch.randint(0, CLASSES, (images, SIDE, SIDE), generator=generator)
    padding = torch.zeros(images, SIDE, SIDE, dtype=torch.bool)
    for i in range(images):
        mask[i, : 2 + 3 * i] = 255
        padding[i, :, SIDE - i :] = i > 0
    return Labeled(image, mask), Unlabeled(weak, strong, padding, strong2=strong2)


def doubles(labeled: Labeled, unlabeled: Unlabeled) -> tuple[Labeled, Unlabeled]:
    """The same batch in float64."""
    assert unlabeled.strong is not None
    assert unlabeled.strong2 is not None
    return Labeled(labeled.image.double(), labeled.mask), Unlabeled(
        unlabeled.weak.double(), unlabeled.strong.double(), unlabeled.padding, 0, unlabeled.strong2.double()
    )


def train(method: Method, start: int, stop: int) -> list[dict[str, float]]:
    """Steps as the trainer makes them: dropout is keyed by the iteration."""
    values = []
    for iteration in range(start, stop):
        torch.manual_seed(iteration)
        labeled, unlabeled = make_batch(iteration)
        values.append({k: v.item() for k, v in method.step(labeled, unlabeled, iteration).items()})
    return values


def difference(one: nn.Module, other: nn.Module) -> float:
    """Largest absolute difference of parameters and buffers; the names must be the same."""
    mine, theirs = one.state_dict(), other.state_dict()
    assert mine.keys() == theirs.keys()
    return max(float((mine[key].double() - theirs[key].double()).abs().max()) for key in mine)


def softmax(logits: Tensor) -> np.ndarray:
    """Probabilities over the classes, in float64."""
    return logits.detach().double().softmax(1).numpy()
