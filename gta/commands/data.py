"""usage: python -m gta data make-shapes [data.generator.size=48 ...]

Generates the embedded data set `shapes` in the VOC layout (multirun does it by itself where it is needed).
"""

from __future__ import annotations

from gta.commands import common
from gta.errors import UserError


def run(arguments: list[str]) -> int:
    if not arguments or arguments[0] != "make-shapes":
        raise UserError("data takes one word: make-shapes (python -m gta data make-shapes).")
    from launch.grid import single_config

    config = single_config(common.start(), ["data=shapes", *common.overrides_of(arguments[1:])])
    from gta.data.prepare import prepare

    prepare(config.data)
    print(f"shapes: {config.data.root}")
    return 0
