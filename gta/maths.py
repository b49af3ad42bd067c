"""Versions of the maths: what a signature sees of the code, whose config alone does not say what it computes.

A part's number is raised by one when the same settings then give other numbers on purpose: another loss, other initial
weights, another way to read a picture. Cells of before are then other cells, and are never mixed with new ones in a
table. What makes a result that was right no other one (speed, a refusal, a message) raises nothing. A method has its
own number, in its settings (`gta.methods.settings`): cells of other methods stay what they are.
"""

from __future__ import annotations

PARTS = {
    # pictures, masks and their random changes: gta.data. 2: EXIF; label_map goes before ignore_index. 3: values of PGM,
    # PPM and JPEG 2000 as they are written, deep TIFF whose 0 is white
    "data": 3,
    "model": 2,  # networks and their initial weights: gta.models. 2: PyTorch's initial values outside the encoder
    "training": 2,  # optimizers, schedules and what methods share: gta.train, gta.ops, gta.methods.base
    "evaluation": 1,  # from a network to its score: gta.train.evaluate, gta.train.inference
}


def versions(method: int) -> dict[str, int]:
    """Part -> its version, for a cell whose method is of this version."""
    return {**PARTS, "method": method}
