"""`gta data check`, `gta data init`, `gta data make-shapes` and `gta data views`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from gta.cli import composing, grammar
from gta.cli.grammar import Group, Words, option

if TYPE_CHECKING:
    from gta.config import DataConfig
    from gta.data.check import DataReport

SHOWN = 20


@click.group("data", cls=Group)
def command() -> None:
    """Check a data set, look at its random views, begin one of your own, or generate the embedded one."""


@command.command(
    "make-shapes",
    examples=["gta data make-shapes", "gta data make-shapes data.generator.size=64 paths.data=elsewhere"],
)
@grammar.words()
def make_shapes(words: Words) -> int:
    """Generate the embedded data set `shapes` in the VOC layout.

    multirun does it where it is needed.
    """
    from launch.grid.grid import single_config

    config = single_config(composing.start(), ["data=shapes", *composing.protected(words.overrides)])
    from gta.config import MISSING
    from gta.data.prepare import prepare

    prepare(replace(config.data, split=MISSING))  # its lists are drawn by who asks for them
    print(f"shapes: {config.data.root}")
    return 0


@command.command(
    "check",
    exit_codes="0 whole, 2 something is missing or broken",
    examples=["gta data check data=voc_blender paths.data=/datasets", "gta data check data=cityscapes --all"],
)
@grammar.words()
@option("--all", "every", is_flag=True, old="all", help="Say all of it, not only the first 20 problems.")
def check(words: Words, every: bool) -> int:
    """Decode every image and mask of a data set's lists, and say what is missing or broken.

    Sizes and labels are checked too; the lists' digests and known names are said, and how much of each class there is.
    Nothing is written.
    """
    from launch.grid.grid import single_config

    config = single_config(composing.start(), composing.protected(words.overrides)).data
    from gta.data.check import check_dataset

    report = check_dataset(config)
    _print(config, report)
    shown = report.problems if every else report.problems[:SHOWN]
    for problem in shown:
        print(f"  BROKEN  {problem}")
    if len(shown) < len(report.problems):
        print(f"  ... and {len(report.problems) - len(shown)} more; --all shows them.")
    if report.advice:
        print(f"To mend it, in the YAML of {config.name} (conf/data/...; look at it first):")
    for advice in report.advice:
        print(f"  # {advice.words}")
        if advice.yaml:
            print(f"  {advice.yaml}")
    print(f"{config.name}: {f'{len(report.problems)} problems' if report.problems else 'nothing is missing or broken'}")
    return 2 if report.problems else 0


@command.command(
    "init",
    exit_codes="0 written, 2 no images with masks can be told, or the file is there",
    examples=["gta data init /datasets/mine", "gta data init ~/scans --name scans"],
)
@click.argument("folder", type=click.Path(), metavar="FOLDER")
@option("--name", metavar="NAME", default="", help="Name of the data set; the folder's where it is left out.")
def init(folder: str, name: str) -> int:
    """Look at a folder of images and masks, and write conf/data/NAME.yaml for it, to be read and changed.

    What follows a name in images and masks, sub-folders, which labels or colours the masks hold, and the range of
    16-bit images are looked at; lists are written to splits/NAME/ where the folder has no train.txt and val.txt that
    fit: what is in a folder val is for validation, else every fifth image. Folders may share names; a mask that cannot
    be read is named. The folder itself is never written to.
    """
    from gta.cli.data_init import write

    return write(folder, name)


@command.command(
    "views",
    exit_codes="0 written, 2 something is wrong with the settings or the data",
    examples=["gta data views data=shapes", "gta data views data=voc_classic augment=augseg --out augseg.png"],
)
@grammar.words()
@option("--out", metavar="FILE", type=click.Path(), default="views.png", help="The PNG; views.png where left out.")
@option("--images", type=click.IntRange(1, 64), default=4, help="Rows; 4 where left out.")
def views(words: Words, out: str, images: int) -> int:
    """Draw training images as they will be seen: the random views, in one PNG.

    A row has a labeled image with its mask, and an unlabeled one with two strong views, which methods see that ask for
    them; all of them as the loader of a cell makes them. Another seed draws others.
    """
    from launch.grid.grid import single_config

    config = single_config(composing.start(), composing.protected(words.overrides))
    from gta.cli.data_views import write

    return write(config, images, out)


def _print(config: DataConfig, report: DataReport) -> None:
    from gta.data.lists import digest
    from gta.data.splits.known import counted, known_name, set_of_config, unlabeled_name

    print(f"{config.name}: {config.root}")
    for name, ids in report.lists.items():
        found = digest(ids)
        title = f"{config.split_family} {config.split} {name}" if name in ("labeled", "unlabeled") else name
        known = known_name(found)
        if name == "unlabeled" and "labeled" in report.lists:
            known = known or unlabeled_name(report.lists["labeled"], ids)
        known = known or (counted(set_of_config(config), ids) if name == "labeled" else None)
        print(f"  {title:<24} {len(ids):>6} ids  sha256 {found[:16]}  {known or 'unknown list'}")
    heights, widths = ({size[axis] for size in report.sizes} for axis in (0, 1))
    if report.sizes:
        print(
            f"  {report.images} images, {min(widths)} to {max(widths)} pixels wide, {min(heights)} to {max(heights)} "
            f"high; {report.masks} masks; {report.without_mask} images have none"
        )
    if report.kind:
        print(f"  {report.kind}")
    if report.left_out:
        kinds = "images of the lists, or copies of validation images"
        print(f"  {report.left_out} pictures of data.unlabeled_root are {kinds}, and are left out")
    if report.turned:
        print(f"  {report.turned} images have an EXIF orientation, and are turned by it")
    total = max(int(report.pixels.sum()), 1)
    for index, name in enumerate([*config.classes, "(ignored)"]):
        print(f"  {name:<24} {report.shown[index]:>6} images {100 * report.pixels[index] / total:8.3f}% of the pixels")
