"""Colours of classes in pictures: those of the data set, and VOC's where it has none."""

from __future__ import annotations

from collections.abc import Sequence

Colour = tuple[int, int, int]


def voc_colour(index: int) -> Colour:
    """RGB of VOC's colour map, in which the bits of an index (0 to 255) are dealt to the three channels in turn."""
    channels = [0, 0, 0]
    for bit in range(8):
        channels[bit % 3] |= (index >> bit & 1) << (7 - bit // 3)
    return channels[0], channels[1], channels[2]


def class_colours(palette: Sequence[Sequence[int]], count: int) -> list[Colour]:
    """RGB of the first `count` class indices: of `palette` (data.palette), and VOC's after its end."""
    return [(palette[i][0], palette[i][1], palette[i][2]) if i < len(palette) else voc_colour(i) for i in range(count)]
