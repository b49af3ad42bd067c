"""`gta predict`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gta import progress
from gta.cli import grammar, options
from gta.cli.grammar import Words, option
from gta.cli.trained import Trained, load, val_ids
from gta.errors import UserError
from gta.text import some

if TYPE_CHECKING:
    import numpy as np

    from gta.config import DataConfig

NAMED = 5  # files that are passed over and said so one by one


@grammar.command(
    "predict",
    instead=["checkpoint"],
    examples=[
        "gta predict gta/92/seed0 sweep=voc_blender --out predictions",
        "gta predict gta_cityscapes/372/seed0 --out upload --images leftImg8bit/test --format cityscapes",
        "gta predict --checkpoint ckpt.pth --out predictions data=voc_blender model=resnet101",
    ],
)
@grammar.words("CELL", 1)
@option("--out", metavar="FOLDER", type=click.Path(), required=True, old="out", help="Where the predictions go.")
@option("--list", "ids", metavar="FILE", type=click.Path(), old="list", help="Another list of the data set.")
@option(
    "--images", metavar="FOLDER", type=click.Path(), old="images", help="All pictures in a folder, sub-folders too."
)
@option(
    "--format",
    "kind",
    type=click.Choice(["pictures", "cityscapes"]),
    default="pictures",
    old="format",
    help="pictures (the default), or what the Cityscapes test server takes.",
)
@options.network
def command(words: Words, out: str, ids: str | None, images: str | None, kind: str, **asked: str) -> int:  # fmt: skip
    """Predicted masks of a cell or a checkpoint.

    Labels the images of the validation list, or those of --list or --images. Sliding window, scales and flip are those
    of the cell, or asked for as in eval (evaluation.protocol=sliding_window evaluation.flip=true).

    OUT/masks/ID.png are palette masks of class indices, OUT/overlays/ID.png the images with the colours over them.

    --format cityscapes writes OUT/ID_pred_labelIds.png instead, for the Cityscapes test server: 8-bit labelIds (not
    train ids) at original size, one file an image. Assumed is what the public evaluation script does: it finds an
    image's prediction by the name's beginning, CITY_SEQUENCE_FRAME. Zip the folder to submit it.
    """
    if ids and images:
        raise UserError("--list and --images both say which images: give one of them.")
    trained = load(words, **asked)
    from gta import scoring
    from gta.compose.validate import check_prediction
    from gta.train import predictions

    cityscapes = kind == "cityscapes"
    check_prediction(trained.config, len(predictions.CITYSCAPES_LABEL_IDS) if cityscapes else 0)
    trained.network.eval()
    folder, data = Path(out), trained.config.data
    count, found = _images(trained, ids, images)
    for name, image in progress.steps(found, "labeling images", count):
        mask = predictions.predict(trained.network, image, trained.config, trained.device)
        if cityscapes:
            predictions.save_label_ids(folder / f"{name}_pred_labelIds.png", mask)
        else:
            predictions.save_mask(folder / "masks" / f"{name}.png", mask, data)
            predictions.save_overlay(folder / "overlays" / f"{name}.png", image, mask, data)
    print(f"{count} images in {folder} ({trained.source}, {scoring.describe(trained.config)})")
    return 0


def _images(trained: Trained, chosen: str | None, folder: str | None) -> tuple[int, Iterator[tuple[str, np.ndarray]]]:
    """How many images were asked for; and the (id, image (H, W, 3) uint8) of each."""
    from gta.data.dataset import SegmentationDataset
    from gta.data.listing import list_ids

    if folder:
        return _folder(Path(folder), trained.config.data)
    config = trained.config
    ids = list_ids(config.data, Path(chosen)) if chosen else val_ids(config)
    dataset = SegmentationDataset(config.data, ids)
    return len(ids), ((name, dataset.image(i)) for i, name in enumerate(ids))


def _folder(folder: Path, config: DataConfig) -> tuple[int, Iterator[tuple[str, np.ndarray]]]:
    """As `_images`: every picture below a folder, read as those of training are, by its id: the file's name without
    suffix, and without Cityscapes' own. A file that is no picture is passed over, and said so.
    """
    from gta.data.pictures import read_image
    from gta.data.spec import SUFFIXES

    suffixes = {*SUFFIXES, *(Path("x" + one).suffix.lower() for one in config.image_suffix.split())}
    files = sorted(path for path in folder.rglob("*") if not path.is_dir() and not path.name.startswith("."))
    paths = [path for path in files if path.suffix.lower() in suffixes and path.is_file()]
    if not paths:
        raise UserError(f"--images {folder}: there is no picture ({', '.join(sorted(suffixes))}) in it.")
    if others := [str(path) for path in files if path.suffix.lower() not in suffixes]:
        print(f"passed over, as no pictures by their names: {some(others, NAMED)}", flush=True)
    if others := [str(path) for path in files if path.suffix.lower() in suffixes and not path.is_file()]:
        print(f"passed over, as no files (a FIFO, a device, a link to nowhere): {some(others, NAMED)}", flush=True)
    seen: dict[str, Path] = {}
    for path in paths:
        name = path.stem.removesuffix("_leftImg8bit")
        if name in seen:
            raise UserError(
                f"{path} and {seen[name]} would both be predicted as {name}: give a folder without doubles."
            )
        seen[name] = path
    return len(seen), ((name, read_image(path, config)) for name, path in seen.items())
