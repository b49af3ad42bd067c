"""Large pictures: views of PNG files that are decoded each time against views through `site.cache`, on one core.

usage: python benchmarks/cache.py [crop=769] [width=2048] [height=1024] [pictures=8] [rounds=7] [noise=2] [folder=]
       [json=FILE]

Each view begins at the files, goes through the data set's class as in training, and ends at the normalised tensor;
scales are 0.5 to 2. `labeled` reads picture and mask and makes a weak view, `unlabeled` reads the picture and makes a
weak and a strong one. `decode` decodes each time, `fill` decodes and keeps, `first` is a process' first look at
pictures that another one kept (their digests are compared), `again` its later ones. A round goes over all pictures in
each way, in turn; seconds are of the process (CPU time), medians of rounds. In each round the views of all ways
must be equal bit for bit.
`folder`: below which the cache lies (a temporary folder); `noise`: how far pixels are off a smooth picture, which
decides how large its file is.
"""

from __future__ import annotations

import json
import platform
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.options import parse
from benchmarks.views import our_views, picture
from gta.config import DataConfig
from gta.data.cache import DecodedPictures, kept
from gta.data.dataset import SegmentationDataset

DEFAULTS: dict[str, Any] = {
    "crop": 769, "width": 2048, "height": 1024, "pictures": 8, "rounds": 7, "noise": 2, "folder": "", "json": "",
}  # fmt: skip
DECODE, FILL, FIRST, AGAIN = WAYS = ("decode", "fill", "first", "again")
LABELED, UNLABELED = WORKS = ("labeled", "unlabeled")
Seconds = dict[str, dict[str, list[float]]]  # work -> way -> of a view, in each round


def main(arguments: list[str]) -> None:
    options = parse(arguments, DEFAULTS, __doc__)
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    with tempfile.TemporaryDirectory() as data, tempfile.TemporaryDirectory(dir=options["folder"] or None) as folder:
        config = make(options, Path(data))
        size = sum(path.stat().st_size for path in Path(data).rglob("a*.png")) / 2**20 / options["pictures"]
        print(
            f"Python {platform.python_version()}, {platform.machine()}, Pillow {Image.__version__}, OpenCV "
            f"{cv2.__version__}; one thread; PNG of {options['width']}x{options['height']}, {size:.1f} MiB with its "
            f"mask, crop {options['crop']}\n"
        )
        seconds = measure(options, config, Path(folder))
    print("| work | way | CPU ms a view | smallest to largest | decode / this |")
    print("| --- | --- | ---: | ---: | ---: |")
    for work, ways in seconds.items():
        for way, taken in ways.items():
            spread = f"{min(taken) * 1e3:.1f} to {max(taken) * 1e3:.1f}"
            ratio = median(ways[DECODE]) / median(taken)
            print(f"| {work} | {way} | {median(taken) * 1e3:.1f} | {spread} | {ratio:.2f} |")
    if options["json"]:
        Path(options["json"]).write_text(json.dumps({"options": options, "seconds": seconds}, indent=1))


def make(options: dict[str, Any], root: Path) -> DataConfig:
    """A data set of such pictures, each another, and their masks."""
    for name in ("images", "masks"):
        (root / name).mkdir()
    image, mask = picture(options["height"], options["width"], options["noise"])
    for number in range(options["pictures"]):
        Image.fromarray(np.roll(image, 17 * number, axis=1)).save(root / f"images/a{number}.png")
        Image.fromarray(np.roll(mask, 17 * number, axis=1)).save(root / f"masks/a{number}.png")
    return DataConfig(
        name="made", split="0", root=str(root), images="images", masks="masks", image_suffix=".png", mask_suffix=".png",
        classes=["a", "b"], crop_size=options["crop"],
    )  # fmt: skip


def measure(options: dict[str, Any], config: DataConfig, folder: Path) -> Seconds:
    """CPU seconds of a view in each round: of each work, in each way."""
    ids = [f"a{number}" for number in range(options["pictures"])]
    seconds: Seconds = {work: {way: [] for way in WAYS} for work in WORKS}
    for number in range(options["rounds"] + 1):  # the first one warms up, and compares
        for work in WORKS:
            made: dict[str, list[Tensor]] = {}
            decoded: DecodedPictures | None = None
            for way in WAYS:
                if way == FILL:
                    for one in list(kept(folder)):
                        one.path.unlink()
                if way in (FILL, FIRST):
                    decoded = DecodedPictures(folder, 10**12)
                dataset = SegmentationDataset(config, ids, cache_bytes=0, decoded=None if way == DECODE else decoded)
                views = []
                began = time.process_time()
                for index in range(len(ids)):
                    image, mask = dataset.training(index, with_mask=work == LABELED)
                    seed = np.random.default_rng(number * len(ids) + index)
                    views += our_views(image, mask, config, seed, strong=work == UNLABELED)
                taken = (time.process_time() - began) / len(ids)
                made[way] = views
                if number:
                    seconds[work][way].append(taken)
            assert all(torch.equal(a, b) for way in WAYS for a, b in zip(made[DECODE], made[way], strict=True))
    return seconds


if __name__ == "__main__":
    main(sys.argv[1:])
