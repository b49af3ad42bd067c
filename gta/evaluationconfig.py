"""The settings of scoring: which protocol, and how its passes are made."""

from __future__ import annotations

from dataclasses import dataclass

from gta.fields import neutral, result
from gta.ranges import SIDES, Span

PRECISIONS = ("fp32", "bf16")
ORIGINAL, SLIDING, CROP, CROP_BACKGROUND = PROTOCOLS = (
    "original_size",
    "sliding_window",
    "center_crop",
    "center_crop_padded_background",
)


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """How validation images are scored; `gta.train.inference` says what each protocol does."""

    protocol: str = result(
        "original_size",
        "original_size, sliding_window, center_crop (padding is ignored), or center_crop_padded_background "
        "(padding counts as class 0, as in the public code: only to compare with its numbers).",
        choices=PROTOCOLS,
    )
    crop: int = result(513, "Side of the center crop in pixels.", within=SIDES)
    window: int = result(
        0, "Side of the sliding window in pixels; 0: data.crop_size.", within=Span(*SIDES, or_zero=True)
    )
    stride: float = result(2 / 3, "Step of the sliding window, as a fraction of its side.", within=(0.1, 1))
    window_mean: str = result(
        "logits",
        "Averaged where sliding windows overlap: logits (as GTA-Seg, U2PL) or probabilities (AugSeg, UniMatch V2).",
        choices=("logits", "probabilities"),
    )
    scales: list[float] = result(
        [1.0],
        "Sizes at which an image is seen, of its own; probabilities are averaged.",
        within=(0.1, 10),
        count=(1, 32),
    )
    flip: bool = result(False, "Each image is seen mirrored as well; probabilities are averaged.")
    batch: int = result(
        1,
        "Images of one shape, or windows of one size, that pass at once; fewer where they are large. The same maths, "
        "rounded otherwise.",
        within=(1, 1024),
        later=True,
    )
    precision: str = result(
        "fp32",
        "Of the network's pass: fp32, or bf16 (autocast). That of training is another setting.",
        choices=PRECISIONS,
        later=True,
    )
    by_image: bool = neutral(
        False,
        "The last evaluation keeps what was right and wrong in each image, for a bootstrap over images; `gta eval` "
        "always does.",
    )
    pictures: int = neutral(
        8,
        "The first so many validation images are kept as image, truth, prediction and error (last evaluation).",
        within=(0, 10_000),
    )
