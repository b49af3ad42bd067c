"""Records and checkpoints that are cut, emptied, replaced, flipped or gone, while nothing runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.faults.kinds.kind import Did, Kind, did, set_world
from tests.faults.world import World

Break = Callable[[Path, Random], None]
RECORDS = ("cell.json", "submitted.json", "result.json", "mlflow.json", "config.yaml", "attempts/0001.json")


def _gone(path: Path, draw: Random) -> None:
    path.unlink()


def _folder(path: Path, draw: Random) -> None:
    path.unlink()
    path.mkdir()


def _text(text: str) -> Break:
    return lambda path, draw: path.write_text(text) and None


def _cut(path: Path, draw: Random) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(draw.random() * len(data))])


def _version(path: Path, draw: Random) -> None:
    try:
        path.write_text(json.dumps({**json.loads(path.read_text()), "version": 99}))
    except ValueError:  # YAML
        path.write_text("version: 99\n")


def _other_types(path: Path, draw: Random) -> None:
    try:
        values = json.loads(path.read_text())
    except ValueError:
        path.write_text("[1, 2]\n")
        return
    name = draw.choice(sorted(values))
    values[name] = draw.choice((None, [], {}, "text", -1, True, 1e308))
    path.write_text(json.dumps(values))


def flip(path: Path, draw: Random) -> None:
    data = bytearray(path.read_bytes())
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    path.write_bytes(bytes(data))


def _not_text(path: Path, draw: Random) -> None:
    path.write_bytes(b"\xff\xfe" + path.read_bytes())


BREAKS: dict[str, Break] = {
    "cut": _cut, "empty": _text(""), "a list": _text("[]"), "null": _text("null"), "words": _text("oops"),
    "version 99": _version, "another type": _other_types, "not text": _not_text, "a folder": _folder, "gone": _gone,
}  # fmt: skip


def _record(world: World, draw: Random) -> Did:
    at = set_world(world, draw, "half", "done")
    folders = sorted((world.runs / "cells").iterdir())
    folder = draw.choice(folders)
    record = draw.choice([name for name in RECORDS if (folder / name).is_file()])
    how = draw.choice(sorted(BREAKS))
    BREAKS[how](folder / record, draw)
    return did(f"{at}, {folder.name[:4]}/{record}: {how}")


def _other_cell(world: World, draw: Random) -> Did:
    """A record of another cell lies in its place."""
    grid, state = draw.choice(("two", "four")), draw.choice(("half", "done"))
    world.set(grid, state)
    source, target = draw.sample(sorted((world.runs / "cells").iterdir()), 2)
    names = [name for name in (*RECORDS, "checkpoint.pt") if (source / name).is_file() and (target / name).is_file()]
    name = draw.choice(names)
    shutil.copy(source / name, target / name)
    losing = ("checkpoint",) if name == "checkpoint.pt" and (target / "result.json").exists() else ()
    return did(f"{grid} {state}, {target.name[:4]}/{name} of {source.name[:4]}", *losing)


def _journal(world: World, draw: Random) -> Did:
    """What was written is lost, and nothing else: the table stays."""
    at = set_world(world, draw, "half", "done")
    folder = draw.choice(sorted((world.runs / "cells").iterdir()))
    path = folder / "journal.jsonl"
    strange = (
        '{"time": "noon", "kind": "metrics", "iteration": 3, "values": {}}',
        '{"time": 1.0, "kind": "metrics", "iteration": 1e400, "values": {"a": 1}}',
        '{"time": 1.0, "kind": "metrics", "iteration": 3, "values": {"a": []}}',
        '{"time": 1.0, "kind": "metrics", "iteration": [], "values": 3}',
        '{"time": {}, "kind": 7}', "null", "[]", "7", "\x00" * 40,
    )  # fmt: skip
    how = draw.choice(("cut", "empty", "gone", "not text", "a line more", "a line more", "a line more"))
    if how == "a line more":
        line = draw.choice(strange)
        with open(path, "a") as file:
            file.write(line + draw.choice(("", "\n")))
        how += f" ({line[:40]!r})"
    else:
        BREAKS[how](path, draw)
    return did(f"{at}, {folder.name[:4]}/journal.jsonl: {how}", "journal")


def _folder_gone(world: World, draw: Random) -> Did:
    at = set_world(world, draw, "half", "done")
    folder = draw.choice(sorted((world.runs / "cells").iterdir()))
    what = draw.choice((folder, folder / "attempts", folder / "artifacts"))
    if what.exists():
        shutil.rmtree(what)
    return did(f"{at}, {what.relative_to(world.runs)} gone")


def _checkpoint(breaks: dict[str, Break]) -> Callable[[World, Random], Did]:
    def do(world: World, draw: Random) -> Did:
        at = set_world(world, draw, "half", "half", "half", "done")
        folder = world.runs / "cells" / world.wanted.last
        name = "best.pt" if draw.random() < 0.2 else "checkpoint.pt"
        how = draw.choice(sorted(breaks))
        breaks[how](folder / name, draw)
        losing = ("checkpoint",) if at.endswith("done") else ()
        return did(f"{at}, {name}: {how}", *losing)

    return do


DAMAGE: dict[str, Break] = {name: BREAKS[name] for name in ("cut", "empty", "words", "gone", "a folder")}

KINDS = (
    Kind("a record broken", "cut, empty, another type, not text, a folder, gone ...", _record, 12),
    Kind("a record of another cell", "in the place of this one's", _other_cell, 3),
    Kind("a journal broken", "cut, empty, gone, strange lines", _journal, 5),
    Kind("a cell's folder gone", "or its attempts, its artifacts", _folder_gone, 2),
    Kind("a checkpoint broken", "cut, empty, foreign, gone", _checkpoint(DAMAGE), 4),
    Kind("a flipped bit in a checkpoint", "one, anywhere", _checkpoint({"one bit": flip}), 5),
)
