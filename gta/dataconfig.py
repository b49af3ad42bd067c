"""The settings of a data set, as `gta.config` has them: where it is, how its files are read and changed at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gta.fields import neutral, result
from gta.operations import COLOUR, GEOMETRY, MOST_DRAWN, plain
from gta.ranges import BYTES, COUNTS, INSIDE, MISSING, NAME, PATH, PATH_OR_EMPTY, SEEDS, SIDES, WORDS


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Weak view: scale, crop, flip (and brightness, where asked for). Strong view: then jitter, grayscale and blur.
    Or each as a list of operations (`gta.operations`), which says all of it.
    """

    scale_min: float = result(0.5, "Smallest factor of the random rescaling.", within=(0.01, 100))
    scale_max: float = result(
        2.0,
        "Largest factor; half the draws are uniform below 1 and half above where the range spans 1.",
        within=(0.01, 100),
    )
    flip: bool = result(True, "Horizontal flip with probability 0.5.")
    weak_brightness: float = result(
        0.0, "Weak view: brightness factor drawn from 1 +- this, for every training image.", within=(0, 10)
    )
    jitter_probability: float = result(0.8, "Strong view: probability of the colour jitter.", within=(0, 1))
    brightness: float = result(0.5, "Strong view: brightness factor drawn from 1 +- this.", within=(0, 10))
    contrast: float = result(0.5, "Strong view: contrast factor drawn from 1 +- this.", within=(0, 10))
    saturation: float = result(0.5, "Strong view: saturation factor drawn from 1 +- this.", within=(0, 10))
    hue: float = result(
        0.25, "Strong view: hue shift drawn from +- this, as a fraction of the colour circle.", within=(0, 0.5)
    )
    grayscale_probability: float = result(0.2, "Strong view: probability of turning gray.", within=(0, 1))
    blur_probability: float = result(0.5, "Strong view: probability of a Gaussian blur.", within=(0, 1))
    blur_sigma_max: float = result(2.0, "Strong view: sigma in pixels is uniform in 0.1 to this.", within=(0, 100))
    weak: list[dict[str, Any]] = result(
        [],
        f"The weak view as a list of operations, in their order: {', '.join(GEOMETRY)}, and after the crop those of "
        "strong. Empty: by scale_min, scale_max, flip and weak_brightness.",
        items="operations such as {op: flip, probability: 0.5}",
        later=True,
    )
    strong: list[dict[str, Any]] = result(
        [],
        f"The strong view as a list of operations on the weak one: {', '.join(COLOUR)}. Empty: by "
        "jitter_probability and those after it.",
        items="operations such as {op: blur, radius: [0.1, 2]}",
        later=True,
    )
    strong_draws: list[int] = result(
        [],
        "[FEWEST, MOST] of the operations of strong, drawn with replacement, each number of them as likely; empty: all "
        "of them, in their order.",
        within=(1, MOST_DRAWN),
        count=(0, 2),
        later=True,
    )

    def __post_init__(self) -> None:
        """Lists that are written in two ways and mean one thing are one list: in the signature, too."""
        for name in ("weak", "strong"):
            if isinstance(operations := getattr(self, name), list):
                object.__setattr__(self, name, plain(operations))


# Settings that say what a list says, where there is one
OF_WEAK = ("scale_min", "scale_max", "flip", "weak_brightness")
OF_STRONG = (
    "jitter_probability", "brightness", "contrast", "saturation", "hue", "grayscale_probability", "blur_probability",
    "blur_sigma_max",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ShapesConfig:
    """The embedded, generated data set. Every option belongs to the identity of what is trained on it."""

    train: int = result(400, "Number of training images.", within=(2, 100_000))
    val: int = result(200, "Number of validation images.", within=(1, 100_000))
    size: int = result(48, "Side of the square images in pixels.", within=(8, 2048))
    seed: int = result(0, "Seed of the generator.", within=SEEDS)
    min_objects: int = result(1, "Fewest objects in a picture.", within=(0, 1000))
    max_objects: int = result(4, "Most objects in a picture.", within=(1, 1000))
    hue_spread: float = result(0.05, "Standard deviation of an object's hue around that of its class.", within=(0, 1))
    noise: float = result(0.15, "Standard deviation of the pixel noise, of full range.", within=(0, 10))
    illumination: float = result(0.8, "Strength of the light gradient across a picture.", within=(0, 10))
    background_saturation: float = result(0.3, "Saturation of the background.", within=(0, 1))


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Images, index masks and id lists: the whole description of a data set."""

    name: str = result(MISSING, "Name of the data set in tables and folders.", text=NAME)
    root: str = neutral(
        "${paths.data}/${data.name}", "Folder of the data set; never written to (but for generated data).", text=PATH
    )
    images: str = result("JPEGImages", "Folder of the images below the root.", text=PATH)
    image_suffix: str = result(
        ".jpg", "What follows an id in an image's file name; several with spaces between, capital letters or not."
    )
    image_range: list[float] = result(
        [],
        "Values [black, white] of images with more than 8 bits a channel (16-bit, float), which are scaled to 8 bits, "
        "what lies outside cut; empty: such images are refused.",
        within=(-1e38, 1e38),
        count=(0, 2),
    )
    masks: str = result("SegmentationClass", "Folder of the index masks below the root.", text=PATH)
    mask_suffix: str = result(".png", "What follows an id in a mask's file name; as image_suffix.")
    nested: bool = neutral(
        False, "Images and masks may lie in sub-folders of their folders (one a city, say); ids stay file names."
    )
    ids: str = neutral(
        "name",
        "What an id is: name (of the file, without suffix), or path (with its sub-folders below images), for data in "
        "which two folders have files of one name.",
        choices=("name", "path"),
    )
    label_map: list[list[int]] = result(
        [],
        "Pairs [label in the files, class index or ignore_index]; a label in no pair is an error, but for "
        "ignore_index. Empty: labels are class indices.",
        within=BYTES,
        count=(0, 256),
    )
    colour_map: list[list[int]] = result(
        [],
        "Rows [red, green, blue, class index or ignore_index] of masks whose colours are the classes; a colour in no "
        "row is an error. Empty: masks are index masks.",
        within=BYTES,
    )
    classes: list[str] = result(
        [], "Class names in index order; their number is num_classes.", text=WORDS, count=(0, 254)
    )
    allow_absent_classes: bool = neutral(
        False, "Train also where the labeled or the validation masks show nothing of a class; else that is an error."
    )
    palette: list[list[int]] = neutral(
        [], "RGB colour of each class, for pictures; empty: the VOC colours.", within=BYTES
    )
    ignore_index: int = result(255, "Mask value that counts nowhere; padding gets it too.", within=BYTES)
    mean: list[float] = result(
        [0.485, 0.456, 0.406],
        "Channel means (RGB, 0 to 1) for normalisation; padding has this colour.",
        within=(0, 1),
        count=(3, 3),
    )
    std: list[float] = result(
        [0.229, 0.224, 0.225], "Channel standard deviations for normalisation.", within=(0.001, 10), count=(3, 3)
    )
    train_list: str = neutral(
        "ImageSets/Segmentation/train.txt",
        "All training ids, below the root; what split lists are drawn from.",
        text=PATH,
    )
    val_list: str = neutral(
        "ImageSets/Segmentation/val.txt",
        "Validation ids, below the root; {split_dir}/val.txt: beside the splits (its digest is in the signature).",
        text=PATH,
    )
    split: str = neutral(
        MISSING,
        "Name of the split: the folder with labeled.txt and unlabeled.txt (their digests are in the signature).",
        text=INSIDE,
    )
    unlabeled_root: str = neutral(
        "",
        "A folder, or a glob (/more/**/*.jpg), of images without masks that are unlabeled too, without a list (a "
        "digest of their names and sizes, and of some contents, is in the signature). What the lists name already is "
        "left out. With split=all the whole train list is labeled, and these alone are unlabeled.",
        text=PATH_OR_EMPTY,
    )
    split_family: str = neutral(
        "seed0",
        "Who drew the lists: seedN is drawn by this program with seed N; else a public family (u2pl, ...).",
        text=INSIDE,
    )
    split_dir: str = neutral(
        "${paths.splits}/${data.name}/${data.split_family}", "Folder that holds the splits.", text=PATH
    )
    ratio_base: int = neutral(
        0,
        "Ratios in tables are shares of so many images; 0: of the labeled and unlabeled ones together.",
        within=COUNTS,
    )
    crop_size: int = result(MISSING, "Side of the square training crop in pixels, after input_scale.", within=SIDES)
    input_scale: float = result(
        1.0, "Images enter the network at this fraction of their size; scores are at original size.", within=(0.01, 10)
    )
    augment: AugmentConfig = result(AugmentConfig, "Random changes of training images.")
    generator: ShapesConfig | None = result(
        None, "Where set, the data set is generated with these options when it is absent."
    )
