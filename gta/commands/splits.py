"""usage: python -m gta splits make data=NAME [ratios=1/8,1/4] [split_seed=0] [paths.data=FOLDER]

Draws class-balanced labeled lists of the given ratios from a data set's train list, into paths.splits/NAME/seedN/.
The same seed draws the same lists; lists that are there already are never changed.
"""

from __future__ import annotations

from gta.commands import common
from gta.errors import UserError


def run(arguments: list[str]) -> int:
    if not arguments or arguments[0] != "make":
        raise UserError("splits takes one word: make (python -m gta splits make data=camvid ratios=1/8,1/4).")
    options, overrides = common.split_options(arguments[1:], {"ratios": "1/16,1/8,1/4,1/2", "split_seed": "0"})
    if not options["split_seed"].isdigit():
        raise UserError(f"split_seed={options['split_seed']}: give a whole number from 0.")
    seed = int(options["split_seed"])
    from launch.grid import single_config

    config = single_config(
        common.start(), [*common.overrides_of(overrides), f"data.split_family=seed{seed}", "data.split=none"]
    )
    from gta.data.splits import draw

    for path in draw(config.data, options["ratios"].split(","), seed):
        print(path)
    return 0
