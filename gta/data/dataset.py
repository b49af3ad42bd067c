"""One data set class for everything that is images, index masks and an id list."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gta.config import DataConfig
from gta.data.cache import DecodedPictures
from gta.data.labels import Labels, of_classes
from gta.data.listing import Files, image_files, image_path, kept, mask_files, mask_path
from gta.data.pictures import read_image, upright
from gta.data.resample import rescale
from gta.errors import UserError

CACHE_BYTES = 256 * 2**20


class SegmentationDataset:
    """Images and masks by index into `ids`.

    A data set whose decoded images (at `input_scale`) fit in `cache_bytes` is kept in memory, each process
    its own copy, since decoding would cost a small network more than training it. One that does not fit is
    never kept: holding a part of it would take the memory and save next to nothing. `decoded`: where the processes of
    a node share decoded pictures (site.cache).
    """

    def __init__(
        self,
        config: DataConfig,
        ids: list[str],
        cache_bytes: int = CACHE_BYTES,
        decoded: DecodedPictures | None = None,
    ):
        self.config = config
        self.ids = list(ids)
        self.cache_bytes = cache_bytes
        self.decoded = decoded
        self._kept: dict[tuple[int, bool], tuple[np.ndarray, np.ndarray | None]] = {}
        self._root = Path(config.root)
        # With sub-folders, or suffixes in other letters, only the listing knows where an id is: looked up once, here.
        self._images = _chosen(image_files, config, config.images, self.ids)
        self._masks = _chosen(mask_files, config, config.masks, self.ids)
        self._labels = Labels(config)

    def __len__(self) -> int:
        return len(self.ids)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": {}}  # a spawned worker starts with an empty memory

    def image(self, index: int) -> np.ndarray:
        """(H, W, 3) uint8 RGB at original size, upright; read only. Raises UserError as `gta.data.pictures.read_image`
        does.
        """
        path = self._image_path(index)
        if self.decoded is None:
            return read_image(path, self.config)
        how = f"image {self.config.image_range}"
        return self.decoded.get(path, how, lambda: read_image(path, self.config))

    def upright(self, index: int) -> tuple[np.ndarray, int]:
        """The same, and the image's EXIF orientation; 1: none."""
        return upright(self._image_path(index), self.config)

    def mask(self, index: int) -> np.ndarray:
        """(H, W) uint8 at original size: class index, or 255 where it is to be ignored; read only.

        Raises UserError for a file that is truncated, not such a mask, or has a label outside the classes.
        """
        if self.decoded is None:
            return self.mask_as_written(index)[0]
        return self.decoded.get(self._mask_path(index), self._labels.how, lambda: self.mask_as_written(index)[0])

    def mask_as_written(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """The mask, and (256,) pixels of each label as its file has it (`gta.data.labels.Labels.mask`)."""
        return self._labels.mask(self._mask_path(index))

    def mask_paths(self) -> tuple[Path, ...]:
        """The masks' files, by index."""
        return tuple(self._mask_path(index) for index in range(len(self)))

    def counted(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """(256,) pixels of each label as the mask's file has it, and (C + 1,) of each class, the last of what is
        ignored. Raises UserError as `mask` does.
        """
        mask, written = self.mask_as_written(index)
        return written, of_classes(mask, len(self.config.classes))

    def labeled(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Image and mask at original size. Raises UserError where their sizes differ."""
        image, mask = self.image(index), self.mask(index)
        self.check_sizes(index, image, mask)
        return image, mask

    def check_sizes(self, index: int, image: np.ndarray, mask: np.ndarray) -> None:
        """Raise UserError where an image and its mask differ in size."""
        if image.shape[:2] == mask.shape:
            return
        (h, w), (mask_h, mask_w) = image.shape[:2], mask.shape
        turned = self.upright(index)[1]
        tag = f", as its EXIF orientation {turned} turns it," if turned != 1 else ""
        hint = "; if the mask was drawn on the picture as it is stored, remove the tag" if tag else ""
        raise UserError(
            f"{self._image_path(index)} is {w}x{h}{tag} but its mask {self._mask_path(index)} "
            f"is {mask_w}x{mask_h}: they must have one size{hint}."
        )

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
            if self.decoded is not None:  # of its own: thousands of small pictures are more than a process may map
                found = np.array(found[0]), None if found[1] is None else np.array(found[1])
            self._kept[key] = found
        return found

    def _image_path(self, index: int) -> Path:
        found = self._images.get(self.ids[index])
        return self._root / self.config.images / found if found else image_path(self.config, self.ids[index])

    def _mask_path(self, index: int) -> Path:
        found = self._masks.get(self.ids[index])
        return self._root / self.config.masks / found if found else mask_path(self.config, self.ids[index])


def _chosen(files: Callable[[DataConfig], Files], config: DataConfig, folder: str, ids: list[str]) -> dict[str, str]:
    if not (Path(config.root) / folder).is_dir():
        return {}  # images without masks, say; what is asked for all the same is said to be missing
    found = kept(files, config)
    return {item: found[item] for item in ids if item in found}
