"""usage: python -m gta data check data=NAME [all=true] [name=value ...]
       python -m gta data make-shapes [data.generator.size=48 ...]

check        walks a data set: every image and mask of its lists is decoded, sizes and labels are checked, and what is
             missing or broken is said (the first 20; all=true: all of it), with the lists' digests and known names
             and how much of each class there is. Nothing is written.
make-shapes  generates the embedded data set `shapes` in the VOC layout (multirun does it where it is needed).

exit code: 0 whole, 2 something is missing or broken
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gta.cli import options as common

if TYPE_CHECKING:
    from gta.config import DataConfig
    from gta.data.check import DataReport

SHOWN = 20


def run(arguments: list[str]) -> int:
    return common.dispatch("data", arguments, {"check": check, "make-shapes": make_shapes})


def make_shapes(arguments: list[str]) -> int:
    """Generate the embedded data set."""
    from launch.grid.grid import single_config

    config = single_config(common.start(), ["data=shapes", *common.overrides_of(arguments)])
    from gta.data.prepare import prepare

    prepare(config.data)
    print(f"shapes: {config.data.root}")
    return 0


def check(arguments: list[str]) -> int:
    """Walk the data set and print what is there; 2 where something is not as it should be."""
    options, overrides = common.split_options(arguments, {"all": "false"})
    from launch.grid.grid import single_config

    config = single_config(common.start(), common.overrides_of(overrides)).data
    from gta.data.check import check_dataset

    report = check_dataset(config, _progress)
    _print(config, report)
    shown = report.problems if options["all"] == "true" else report.problems[:SHOWN]
    for problem in shown:
        print(f"  BROKEN  {problem}")
    if len(shown) < len(report.problems):
        print(f"  ... and {len(report.problems) - len(shown)} more; all=true shows them.")
    print(f"{config.name}: {f'{len(report.problems)} problems' if report.problems else 'nothing is missing or broken'}")
    return 2 if report.problems else 0


def _progress(steps: Iterator[None], total: int) -> None:
    """A bar on stderr while the pictures are decoded; none where no one looks on."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("decoding"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("decoding", total=total)
        for _ in steps:
            bar.advance(task)


def _print(config: DataConfig, report: DataReport) -> None:
    from gta.data.splits.known import known_name
    from gta.data.splits.lists import digest

    print(f"{config.name}: {config.root}")
    for name, ids in report.lists.items():
        found = digest(ids)
        title = f"{config.split_family} {config.split} {name}" if name in ("labeled", "unlabeled") else name
        print(f"  {title:<24} {len(ids):>6} ids  sha256 {found[:16]}  {known_name(found) or 'unknown list'}")
    heights, widths = ({size[axis] for size in report.sizes} for axis in (0, 1))
    if report.sizes:
        print(
            f"  {report.images} images, {min(widths)} to {max(widths)} pixels wide, {min(heights)} to {max(heights)} "
            f"high; {report.masks} masks; {report.without_mask} images have none"
        )
    total = max(int(report.pixels.sum()), 1)
    for index, name in enumerate([*config.classes, "(ignored)"]):
        print(f"  {name:<24} {report.shown[index]:>6} images {100 * report.pixels[index] / total:8.3f}% of the pixels")
