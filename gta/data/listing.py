"""Where the files of a data set are: which file is the image, and which the mask, of an id."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath

from gta.config import DataConfig
from gta.data.extra import extra_files
from gta.data.lists import Entry, digest, read_entries
from gta.data.spec import list_paths, shown_suffix
from gta.data.walk import below, changes, files_in
from gta.errors import UserError


class Files(dict[str, str]):
    """Id -> path below its folder. `chosen`: of those ids, the ones whose file a list chose by its path; `doubles`:
    id -> the files that it may mean, where no list says which; `both`: id -> the one file that would be its image and
    its mask.
    """

    def __init__(self, folder: Path):
        super().__init__()
        self.folder = folder
        self.chosen: set[str] = set()
        self.doubles: dict[str, list[str]] = {}
        self.both: dict[str, str] = {}

    def absent(self, kind: str, item: str, expected: Path) -> str:
        """What to say of an id that is not in here."""
        if item in self.both:
            return (
                f"the {kind} of {item} is not there: {self.folder / self.both[item]} would be its image and its mask. "
                "Put it there, or name both files in the list."
            )
        if item not in self.doubles:
            return f"the {kind} {expected} is not there."
        first, second = (self.folder / name for name in self.doubles[item][:2])
        return (
            f"{first} and {second} have one name: an id must mean one file. Write its path into the list, or name "
            "images by their paths (data.ids=path)."
        )


def image_files(config: DataConfig) -> Files:
    """Id -> path below `root/images` of every image (absolute, where `data.unlabeled_root` found it). Raises UserError
    for an absent folder.
    """
    files = _image_files(config)
    both = _shared(config) and os.path.isdir(Path(config.root) / config.masks)  # there may be images alone
    for item, same in _own(config, files, _mask_files(config)).items() if both else ():
        if same == "image":
            files.both[item] = files.pop(item)
    files.update(extra_files(config))
    return files


def mask_files(config: DataConfig) -> Files:
    """Id -> path below `root/masks` of every mask; as `image_files`. A mask of another name than its image is found by
    the list that names both, and goes before one of the image's name.
    """
    files = _mask_files(config)
    for item, same in _own(config, _image_files(config), files).items() if _shared(config) else ():
        if same == "mask":
            files.both[item] = files.pop(item)
    return files


def kept(files: Callable[[DataConfig], Files], config: DataConfig) -> Mapping[str, str]:
    """What `image_files` or `mask_files` finds, which is found once while folders and lists stay as they are: a cell
    asks for each of its lists, and a large data set takes a second each time. Raises what they raise.
    """
    if config.unlabeled_root:  # its folders may be anywhere
        return files(config)
    state = files.__name__, repr(config), _state(config)
    if state not in _KEPT:
        for old in list(_KEPT)[: 1 - _MOST]:
            del _KEPT[old]
        _KEPT[state] = files(config)
    return _KEPT[state]


_KEPT: dict[tuple[object, ...], Files] = {}
_MOST = 4  # images and masks of two data sets


def _state(config: DataConfig) -> tuple[object, ...]:
    """Another one wherever the folders of images and masks, or the lists, hold something else."""
    deep = config.nested or config.ids == "path"
    folders = [Path(config.root) / name for name in (config.images, config.masks)]
    lists = [(str(path), path.stat()) for path in list_paths(config) if path.is_file()]
    return (
        *(changes(folder, deep) for folder in folders if folder.is_dir()),
        *((path, status.st_mtime_ns, status.st_size) for path, status in lists),
    )


def _image_files(config: DataConfig) -> Files:
    found = _images(config)
    doubled = any(len(names) > 1 for names in found.values())
    named = {item: entry.image for item, entry in _named(config, found).items()} if doubled else {}
    return _decided(Path(config.root) / config.images, found, named, _words(config.image_suffix))


def _mask_files(config: DataConfig) -> Files:
    folder = Path(config.root) / config.masks
    found = _candidates(folder, _words(config.mask_suffix), config)
    images = _images(config) if config.ids == "path" else {}
    named = {item: entry.mask for item, entry in _named(config, images).items() if entry.mask}
    every = {name: [name] for names in found.values() for name in names} if named else {}
    other = set()
    for item, path in named.items():
        if (name := _tail(path, every)) and name not in found.get(item, []):
            found[item] = [name]
            other.add(item)
    files = _decided(folder, found, named, _words(config.mask_suffix))
    files.chosen |= other
    return files


def _shared(config: DataConfig) -> bool:
    """Whether images and masks may be in one folder, so that a file could be taken for both."""
    images, masks = (os.path.realpath(Path(config.root) / name) for name in (config.images, config.masks))
    return os.path.commonpath([images, masks]) in (images, masks)


def _own(config: DataConfig, images: Files, masks: Files) -> dict[str, str]:
    """Id -> which of the two is not there, where one file was found as its image and as its mask."""
    tops = [os.path.realpath(files.folder) for files in (images, masks)]
    same = [
        item
        for item in images.keys() & masks.keys()
        if os.path.join(tops[0], images[item]) == os.path.join(tops[1], masks[item])
    ]
    named = _named(config, _images(config) if config.ids == "path" else {}) if same else {}
    return {item: _missing(named.get(item), images[item], masks[item]) for item in same}


def _missing(entry: Entry | None, image: str, mask: str) -> str:
    """The image, where the list names the file as the mask alone; else the mask."""
    as_mask = entry is not None and _tail(entry.mask, {mask: []}) != ""
    as_image = entry is not None and _tail(entry.image, {image: []}) != ""
    return "image" if as_mask and not as_image else "mask"


def chosen_digest(images: Files, masks: Files, ids: Iterable[str]) -> str:
    """sha256 in hex over the files that lists choose for these ids by their paths, where the names of the ids mean
    others or several; empty where there are none, as with most data sets.
    """
    named = [(kind, files) for kind, files in (("image", images), ("mask", masks)) if files.chosen]
    lines = [
        f"{kind} {item} {files[item]}"
        for item in ids
        for kind, files in named
        if item in files.chosen and item in files
    ]
    return digest(lines) if lines else ""


def image_path(config: DataConfig, item: str) -> Path:
    """Where the image of an id belongs: `**` stands for the sub-folder that it may be in."""
    return _place(Path(config.root) / config.images, item + shown_suffix(config.image_suffix), config)


def mask_path(config: DataConfig, item: str) -> Path:
    """Where the mask of an id belongs; as `image_path`."""
    return _place(Path(config.root) / config.masks, item + shown_suffix(config.mask_suffix), config)


def list_lines(config: DataConfig, path: Path) -> list[tuple[str, int]]:
    """(id, line number) of a list of this data set. Raises UserError as `read_entries` does.

    With data.ids=path an id is an image's path below its folder, without suffix; a list may write more in front.
    """
    entries = read_entries(path, config.image_suffix, config.ids == "path")
    if config.ids != "path":
        return [(entry.item, entry.line) for entry in entries]
    images = _images(config)
    return [(_tail(entry.item, images) or entry.item, entry.line) for entry in entries]


def list_ids(config: DataConfig, path: Path) -> list[str]:
    """The ids of a list of this data set, in its order; as `list_lines`."""
    return [item for item, _ in list_lines(config, path)]


def _words(suffix: str) -> tuple[str, ...]:
    return tuple(suffix.split()) or ("",)


def _place(folder: Path, name: str, config: DataConfig) -> Path:
    return folder / "**" / name if config.nested and config.ids != "path" else folder / name


def _images(config: DataConfig) -> dict[str, list[str]]:
    return _candidates(Path(config.root) / config.images, _words(config.image_suffix), config)


def _candidates(folder: Path, suffixes: tuple[str, ...], config: DataConfig) -> dict[str, list[str]]:
    """Id -> the files that it may mean, those of an exact suffix before those of one in other letters (.JPG)."""
    names = below(folder) if config.nested or config.ids == "path" else files_in(folder)
    found: dict[str, list[str]] = {}
    for wanted, change in ((suffixes, str), (tuple(suffix.lower() for suffix in suffixes), str.lower)):
        for name in names:
            if not (changed := change(name)).endswith(wanted):
                continue
            if len(wanted) == 1 and change is not str and name.endswith(suffixes):
                continue  # found already
            suffix = next(suffix for suffix in wanted if changed.endswith(suffix))
            item = name[: len(name) - len(suffix)]
            item = item if config.ids == "path" else item.rpartition("/")[2]
            there = found.setdefault(item, [])
            if name not in there and (change is str or not any(_beside(name, other) for other in there)):
                there.append(name)
    return found


def _beside(name: str, other: str) -> bool:
    """Whether two files lie in one folder: of an id's a.jpg and a.JPG there, the first is meant."""
    return name.rpartition("/")[0] == other.rpartition("/")[0]


def _rank(name: str, suffixes: tuple[str, ...]) -> tuple[int, str]:
    """Sorts the files of an id by their suffixes, as the data set names these, and by their names."""
    ends = (place for place, suffix in enumerate(suffixes) if name.lower().endswith(suffix.lower()))
    return next(ends, len(suffixes)), name


def _decided(
    folder: Path, found: Mapping[str, list[str]], named: Mapping[str, str], suffixes: tuple[str, ...]
) -> Files:
    """One file an id: the only one, else the one that a list names, else the one right below the folder. A list that
    names the first of several has chosen none: another file beside it changes nothing.
    """
    files = Files(folder)
    for item, names in found.items():
        top = [name for name in names if "/" not in name]
        usual = names[0] if len(names) == 1 else top[0] if len(top) == 1 else ""
        by_list = _tail(named.get(item, ""), {name: [name] for name in names}) if len(names) > 1 else ""
        if by_list or usual:
            files[item] = by_list or usual
        else:
            files.doubles[item] = names
        if by_list and by_list != (usual or min(top or names, key=lambda name: _rank(name, suffixes))):
            files.chosen.add(item)
    return files


def _tail(path: str, known: Mapping[str, list[str]]) -> str:
    """The longest end of a path (with folders) that is known; empty where none is."""
    parts = PurePosixPath(path).parts
    ends = ("/".join(parts[start:]) for start in range(len(parts)))
    return next((end for end in ends if end in known), "")


def _named(config: DataConfig, images: Mapping[str, list[str]]) -> dict[str, Entry]:
    """The paths that the lists which are there write for each id. `images` knows ids that are paths."""
    named: dict[str, Entry] = {}
    paths = config.ids == "path"
    for path in list_paths(config):
        if path.is_file():
            status = path.stat()
            for entry in _entries(str(path), status.st_mtime_ns, status.st_size, config.image_suffix, paths):
                if not (entry.image or entry.mask):
                    continue
                item = (_tail(entry.item, images) or entry.item) if paths else entry.item
                known = named.get(item, entry)
                named[item] = Entry(item, entry.line, entry.image or known.image, entry.mask or known.mask)
    return named


@lru_cache(maxsize=64)
def _entries(path: str, changed: int, size: int, suffix: str, paths: bool) -> tuple[Entry, ...]:
    """Of a list that can be read; what is wrong with another is said where it is asked for."""
    try:
        return tuple(read_entries(Path(path), suffix, paths))
    except UserError:
        return ()
