"""From what is written in a mask to class indices: data.label_map, data.colour_map and data.ignore_index."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gta.config import DataConfig
from gta.data.conventions import asked_for
from gta.data.masks import packed, read_colours, read_labels, unpacked
from gta.data.spec import IGNORE
from gta.errors import UserError


class StrayLabels(UserError):
    """A mask with a label that means nothing. `written`: (256,) pixels of each label that is in its file."""

    def __init__(self, message: str, written: np.ndarray):
        self.written = written
        super().__init__(message)


class StrayColour(UserError):
    """A mask with a colour that means nothing. `colours`: (N, 3) uint8, all that it holds."""

    def __init__(self, message: str, colours: np.ndarray):
        self.colours = colours
        super().__init__(message)


class Labels:
    """How a data set's masks are read. A pair of data.label_map goes before data.ignore_index, which goes for the
    labels that no pair names.
    """

    def __init__(self, config: DataConfig):
        self.config = config
        self.classes = len(config.classes)
        self._relabel = np.full(256, IGNORE, dtype=np.uint8)  # label in the file -> label out
        self._allowed = np.zeros(256, dtype=bool)
        pairs = config.label_map or [[i, i] for i in range(self.classes) if i != config.ignore_index]
        if config.ignore_index not in {pair[0] for pair in pairs} and 0 <= config.ignore_index < 256:
            pairs = [*pairs, [config.ignore_index, IGNORE]]
        for written, label in pairs:
            self._relabel[written] = self._out(label)
            self._allowed[written] = True
        self._identical = config.ignore_index == IGNORE and not config.label_map
        known = sorted((int(packed(np.array(row[:3], np.uint8))), self._out(row[3])) for row in config.colour_map)
        self._colours = np.array([number for number, _ in known], np.uint32)
        self._of_colour = np.array([label for _, label in known], np.uint8)
        # all that a mask depends on besides its file
        self.how = f"mask {self.classes} {config.ignore_index} {config.label_map} {config.colour_map}"

    def _out(self, label: int) -> int:
        """A class index is one, also where the ignore label is the same number."""
        return label if 0 <= label < self.classes else IGNORE

    def mask(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        """(H, W) uint8, class index or 255; and (256,) pixels of each label as written in the file (of each class,
        where colours are). Raises UserError as `read_labels` does, and for what is none of the known labels.
        """
        if self.config.colour_map:
            mask = self._from_colours(path)
            return mask, np.bincount(mask.ravel(), minlength=256)
        mask = read_labels(path)
        written = np.bincount(mask.ravel(), minlength=256)
        strays = np.flatnonzero((written > 0) & ~self._allowed)
        if strays.size:
            kinds = " `gta data check` says which kind of masks these are." if asked_for(self.config) else ""
            known = "in no pair of data.label_map" if self.config.label_map else "none of the classes"
            raise StrayLabels(
                f"{path}: label {strays[0]} ({written[strays[0]]} pixels) is {known} "
                f"(0 to {self.classes - 1}), nor the ignore label {self.config.ignore_index}.{kinds}",
                written,
            )
        return (mask if self._identical else self._relabel[mask]), written

    def _from_colours(self, path: Path) -> np.ndarray:
        numbers = read_colours(path)
        places = np.searchsorted(self._colours, numbers).clip(max=len(self._colours) - 1)
        strange = self._colours[places] != numbers
        if strange.any():
            colour = unpacked(numbers[strange][:1])[0].tolist()
            raise StrayColour(
                f"{path}: the colour {colour} ({int((numbers == numbers[strange][0]).sum())} pixels) is in no row of "
                "data.colour_map.",
                unpacked(np.unique(numbers)),
            )
        return self._of_colour[places]


def of_classes(mask: np.ndarray, classes: int) -> np.ndarray:
    """(C + 1,) pixels of each class in a mask that was read, and of what is ignored."""
    count = np.bincount(mask.ravel(), minlength=256)
    return np.append(count[:classes], count[IGNORE])
