"""usage: python -m gta predict CELL out=FOLDER [list=FILE | images=FOLDER] [format=pictures|cityscapes]
       python -m gta predict checkpoint=FILE out=FOLDER data=NAME model=NAME [name=value ...]

Labels images with a trained network (the words that choose one are those of eval: network=, which=, checkpoint=):
those of the validation list, of another list of the data set (list=FILE), or all pictures in a folder (images=FOLDER,
sub-folders too). Sliding window, scales and flip are those of the cell, or asked for as in eval
(evaluation.protocol=sliding_window evaluation.scales=[0.75,1.0,1.25] evaluation.flip=true).

out/masks/ID.png are palette masks of class indices, out/overlays/ID.png the images with the colours over them.
format=cityscapes writes out/ID_pred_labelIds.png instead, for the Cityscapes test server: 8-bit labelIds (not train
ids) at original size, one file an image. Assumed is what the public evaluation script does: it finds an image's
prediction by the name's beginning, CITY_SEQUENCE_FRAME. Zip the folder to submit it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from gta.cli import options as common
from gta.cli.eval import DEFAULTS, Trained, load, val_ids
from gta.errors import UserError

if TYPE_CHECKING:
    import numpy as np

FORMATS = ("pictures", "cityscapes")
SUFFIXES = (".jpg", ".jpeg", ".png")


def run(arguments: list[str]) -> int:
    options, rest = common.split_options(
        arguments, {**DEFAULTS, "out": "", "list": "", "images": "", "format": "pictures"}
    )
    if not options["out"]:
        raise UserError("predict needs out=FOLDER, where the predictions go.")
    if options["format"] not in FORMATS:
        raise UserError(f"format={options['format']}: use {' or '.join(FORMATS)}.")
    if options["list"] and options["images"]:
        raise UserError("list= and images= both say which images: give one of them.")
    trained = load(options, rest, "predict")
    from gta.compose.validate import check_prediction
    from gta.train import inference, predictions

    cityscapes = options["format"] == "cityscapes"
    check_prediction(trained.config, len(predictions.CITYSCAPES_LABEL_IDS) if cityscapes else 0)
    trained.network.eval()
    out, data, done = Path(options["out"]), trained.config.data, 0
    for done, (name, image) in enumerate(_images(trained, options), start=1):
        mask = predictions.predict(trained.network, image, trained.config, trained.device)
        if cityscapes:
            predictions.save_label_ids(out / f"{name}_pred_labelIds.png", mask)
        else:
            predictions.save_mask(out / "masks" / f"{name}.png", mask, data)
            predictions.save_overlay(out / "overlays" / f"{name}.png", image, mask, data)
        if done % 50 == 0:
            print(f"{done} images", flush=True)
    print(f"{done} images in {out} ({trained.source}, {inference.describe(trained.config)})")
    return 0


def _images(trained: Trained, options: dict[str, str]) -> Iterator[tuple[str, np.ndarray]]:
    """(id, image (H, W, 3) uint8) of the images that were asked for."""
    from gta.data.dataset import SegmentationDataset
    from gta.data.splits.lists import read_ids

    if options["images"]:
        yield from _folder(Path(options["images"]))
        return
    config = trained.config
    ids = read_ids(options["list"], config.data.image_suffix) if options["list"] else val_ids(config)
    dataset = SegmentationDataset(config.data, ids)
    for i, name in enumerate(ids):
        yield name, dataset.image(i)


def _folder(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Every picture below a folder, by its id: the file's name without suffix, and without Cityscapes' own."""
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise UserError(f"images={folder}: there is no picture ({', '.join(SUFFIXES)}) in it.")
    seen: dict[str, Path] = {}
    for path in paths:
        name = path.stem.removesuffix("_leftImg8bit")
        if name in seen:
            raise UserError(
                f"{path} and {seen[name]} would both be predicted as {name}: give a folder without doubles."
            )
        seen[name] = path
    for name, path in seen.items():
        try:
            with Image.open(path) as picture:
                yield name, np.array(picture.convert("RGB"))
        except (OSError, SyntaxError, UnidentifiedImageError):
            raise UserError(f"{path} is corrupt or not a picture.") from None
