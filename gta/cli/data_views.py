"""What `gta data views` draws: training images as a cell will see them, from its own batches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from gta.compose.validate import check_config
from gta.config import Config
from gta.data.loaders import train_loader
from gta.data.prepare import prepare
from gta.data.splits.split import load_split
from gta.data.transforms import denormalise
from gta.files import replacing
from gta.train.predictions import palette

COLUMNS = ("a labeled image", "its mask", "an unlabeled image", "its strong view", "a second one")


def write(config: Config, images: int, out: str) -> int:
    """Writes a PNG of a row for each of the first `images` of a batch, and prints what its columns are. Raises
    UserError for settings no cell could have, and for data that are not there.
    """
    check_config(config)
    prepare(config.data)
    picture = sheet(config, images)
    with replacing(Path(out)) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")
    print(f"{out}: {images} rows of crops of {config.data.crop_size} pixels, seed {config.seed}")
    print(f"  {' | '.join(COLUMNS)}")
    return 0


def sheet(config: Config, images: int) -> np.ndarray:
    """(images * S, 5 * S, 3) uint8 for crops of side S: the columns are COLUMNS. The views are those of the first step
    of a cell of this seed with batches of so many images and no warm-up.
    """
    schedule = replace(
        config.schedule, iterations=1, warm_up=0, epochs=0, warm_up_epochs=0, batch_size=images, group_size=images,
        accumulate=1,
    )  # fmt: skip
    seen = replace(config, schedule=schedule, site=replace(config.site, workers=0))
    labeled, unlabeled = next(
        iter(train_loader(seen, load_split(config.data), world_size=1, rank=0, start=0, strong=2, unlabeled=True))
    )
    assert unlabeled is not None
    assert unlabeled.strong is not None
    assert unlabeled.strong2 is not None
    views = [labeled.image, unlabeled.weak, unlabeled.strong, unlabeled.strong2]
    columns = [denormalise(view, config.data) for view in views]
    columns.insert(1, palette(config.data)[labeled.mask.numpy()])
    return np.concatenate([np.concatenate(list(column)) for column in columns], axis=1)
