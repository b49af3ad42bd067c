"""One data set class for everything that is images, index masks and an id list."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gta.config import DataConfig
from gta.data.listing import image_files, image_path, mask_files, mask_path
from gta.data.resample import rescale
from gta.data.spec import IGNORE
from gta.errors import UserError
from gta.text import first_line

CACHE_BYTES = 256 * 2**20


class SegmentationDataset:
    """Images and masks by index into `ids`.

    A data set whose decoded images (at `input_scale`) fit in `cache_bytes` is kept in memory, each process
    its own copy, since decoding would cost a small network more than training it. One that does not fit is
    never kept: holding a part of it would take the memory and save next to nothing.
    """

    def __init__(self, config: DataConfig, ids: list[str], cache_bytes: int = CACHE_BYTES):
        self.config = config
        self.ids = list(ids)
        self.cache_bytes = cache_bytes
        self._kept: dict[tuple[int, bool], tuple[np.ndarray, np.ndarray | None]] = {}
        self._root = Path(config.root)
        # With sub-folders only the listing knows where an id is: looked up once, here.
        self._images = _chosen(image_files(config), self.ids) if config.nested else {}
        self._masks = _chosen(mask_files(config), self.ids) if config.nested else {}
        # Label on disk -> label out; none of the classes -> IGNORE, after the check that refuses strays.
        self._relabel = np.full(256, IGNORE, dtype=np.uint8)
        self._allowed = np.zeros(256, dtype=bool)
        pairs = config.label_map or [[i, i] for i in range(len(config.classes))]
        if 0 <= config.ignore_index < 256:
            pairs = [*pairs, [config.ignore_index, config.ignore_index]]
        for written, label in pairs:
            self._relabel[written] = IGNORE if label == config.ignore_index else label
            self._allowed[written] = True
        self._identical = config.ignore_index == IGNORE and not config.label_map

    def __len__(self) -> int:
        return len(self.ids)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": {}}  # a spawned worker starts with an empty memory

    def image(self, index: int) -> np.ndarray:
        """(H, W, 3) uint8 RGB at original size. Raises UserError for a truncated or foreign file."""
        return np.asarray(_decode(self._image_path(index), "RGB"))

    def mask(self, index: int) -> np.ndarray:
        """(H, W) uint8 at original size: class index, or 255 where it is to be ignored.

        Raises UserError for a file that is truncated, not an index mask, or has a label outside the classes.
        """
        path = self._mask_path(index)
        mask = np.asarray(_decode(path, None))
        count = np.bincount(mask.ravel(), minlength=256)
        strays = np.flatnonzero((count > 0) & ~self._allowed)
        if strays.size:
            known = "in no pair of data.label_map" if self.config.label_map else "none of the classes"
            raise UserError(
                f"{path}: label {strays[0]} ({count[strays[0]]} pixels) is {known} "
                f"(0 to {len(self.config.classes) - 1}), nor the ignore label {self.config.ignore_index}."
            )
        return mask if self._identical else self._relabel[mask]

    def labeled(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Image and mask at original size. Raises UserError where their sizes differ."""
        image, mask = self.image(index), self.mask(index)
        if image.shape[:2] != mask.shape:
            (h, w), (mask_h, mask_w) = image.shape[:2], mask.shape
            raise UserError(
                f"{self._image_path(index)} is {w}x{h} but its mask {self._mask_path(index)} "
                f"is {mask_w}x{mask_h}: they must have one size."
            )
        return image, mask

    def training(self, index: int, with_mask: bool) -> tuple[np.ndarray, np.ndarray | None]:
        """Image and mask (None without) at `input_scale` of their size: what the transforms start from. Read
        only.
        """
        key = (index, with_mask)
        if key in self._kept:
            return self._kept[key]
        if with_mask:
            image, whole = self.labeled(index)
            mask = rescale(whole, self.config.input_scale, labels=True)
        else:
            image, mask = self.image(index), None
        found = rescale(image, self.config.input_scale, labels=False), mask
        size = found[0].nbytes + (0 if mask is None else mask.nbytes)
        if size * len(self.ids) <= self.cache_bytes:
            self._kept[key] = found
        return found

    def _image_path(self, index: int) -> Path:
        found = self._images.get(self.ids[index])
        return self._root / self.config.images / found if found else image_path(self.config, self.ids[index])

    def _mask_path(self, index: int) -> Path:
        found = self._masks.get(self.ids[index])
        return self._root / self.config.masks / found if found else mask_path(self.config, self.ids[index])


def _chosen(files: Mapping[str, str], ids: list[str]) -> dict[str, str]:
    return {item: files[item] for item in ids if item in files}


def _decode(path: Path, mode: str | None) -> Image.Image:
    """A wholly decoded picture; `mode` None asks for an index mask (palette or 8-bit gray), indices
    untouched.

    Pillow and not OpenCV: OpenCV fills what is missing of a truncated JPEG with gray and says nothing, and
    turns a palette into colours.
    """
    try:
        with Image.open(path) as picture:
            if mode is None and picture.mode not in ("P", "L"):
                raise UserError(f"{path} is no index mask: its mode is {picture.mode}, not palette or 8-bit gray.")
            if mode is None or picture.mode == mode:
                picture.load()
                return picture
            return picture.convert(mode)
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"{path} is not there.") from None
    except (OSError, SyntaxError, ValueError) as error:  # SyntaxError is what Pillow raises for a broken PNG
        reason = first_line(error)
        raise UserError(f"{path} is corrupt or not a picture ({reason}): copy it again.") from None
