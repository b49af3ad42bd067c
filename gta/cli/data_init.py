"""What `gta data init` writes: the YAML of a data set and its lists, from what a folder looks like."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from gta.data.guess import Guess, guess
from gta.data.lists import list_text
from gta.errors import UserError
from gta.files import write_text
from gta.ranges import SIDES

CROP = 321  # pixels; less where the images are smaller


def write(folder: str, name: str) -> int:
    """Writes conf/data/NAME.yaml, and the lists that it needs beside it; prints what it is. Raises UserError."""
    root = Path(folder).expanduser().absolute()
    name = name or re.sub(r"\W+", "_", root.name).strip("_").lower()
    path = Path("conf/data") / f"{name}.yaml"
    if path.exists():
        raise UserError(f"{path} is there already: remove it, or give another name with --name.")
    found = guess(root)
    lists = {"train_list": found.train_list, "val_list": found.val_list}
    if not all(lists.values()):
        for key, images in zip(lists, found.lists(), strict=True):
            place = Path("splits").absolute() / name / f"{key.removesuffix('_list')}.txt"
            write_text(place, list_of(found, images))
            lists[key] = str(place)
    text = yaml_of(name, root, found, lists)
    write_text(path, text)
    print(f"{path}:\n\n{text}\nRead it, name the classes, then: gta data check data={name}")
    return 0


def list_of(found: Guess, images: Sequence[str]) -> str:
    """A list of these images: their ids, or with their masks where only a list can say whose they are."""
    config = found.config
    if found.named and config.nested:
        return "".join(f"{image}\t{found.masks_of[image]}\n" for image in images)
    top = "" if config.images == "." else f"{config.images}/"
    paths = config.ids == "path"
    ids = (image.removeprefix(top).removesuffix(config.image_suffix) for image in images)
    return list_text((item if paths else item.rpartition("/")[2] for item in ids), config.image_suffix, paths)


def yaml_of(name: str, root: Path, found: Guess, lists: dict[str, str]) -> str:
    """The YAML file, a line a setting; what has to be looked at says so."""
    config = found.config
    title = f"{len(found.masks_of)} images with masks"
    lines = [
        f"# What {root} looks like to `gta data init`: {title}. Check it before it is used.",
        f"name: {_text(name)}",
        f"root: {_text(str(root))}",
        f"images: {_text(config.images)}",
        f"image_suffix: {_text(config.image_suffix)}",
        f"masks: {_text(config.masks)}",
        f"mask_suffix: {_text(config.mask_suffix)}",
        *(["nested: true"] if config.nested and config.ids == "name" else []),
        *(["ids: path   # files in several folders share names"] if config.ids == "path" else []),
        *([f"image_range: {found.image_range}   # black and white; look at the images"] if found.image_range else []),
        f"classes: [{', '.join(found.classes)}]   # name them, in this order",
        *([f"label_map: {found.label_map}"] if found.label_map else []),
        *([f"colour_map: {found.colour_map}   # red, green, blue, class"] if found.colour_map else []),
        *(f"{key}: {_text(place)}" for key, place in lists.items()),
        "split: 1/8",
        f"crop_size: {max(SIDES[0], min(CROP, found.side)) if found.side else CROP}",
    ]
    if found.unfit:
        lines.append(f"# lists that lie there are not used: {found.unfit}")
    if found.broken:
        lines.append(
            f"# {len(found.broken)} pictures could not be read; `gta data check` names them: {found.broken[0]}"
        )
    if found.bare:
        place = root if config.images == "." else root / config.images
        lines.append(f"# {found.bare} images have no mask: unlabeled_root: {place} makes them unlabeled ones")
    return "\n".join(line.replace("\n", " ") for line in lines) + "\n"


def _text(value: str) -> str:
    """As YAML reads it: in quotes, where letters might mean something there."""
    return value if re.fullmatch(r"[\w./-]+", value, re.ASCII) else json.dumps(value, ensure_ascii=False)
