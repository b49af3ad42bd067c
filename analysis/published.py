"""Published numbers beside ours: `published/*.yaml`, and what of each number's protocol differs from the table's.

A file has `title`, `datasets` (ours to which it belongs), `sources` (key -> text), `defaults`, and `rows`: a method
with `numbers` by label count. Each number has a source, a list family, an encoder, an evaluation and what was scored
(its own, the row's or the defaults'); one that lacks any of them is refused. An evaluation is in the words of
`gta.scoring.describe`, but for what stands in brackets (where it is known from: by its code). A `note` says what else a
reader must know of a number, such as a log that ends early. `unrecorded` names the list families whose digests nobody
here has: a table cannot know whether its lists are these.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gta.errors import UserError

FOLDER = Path(__file__).with_name("published")
NOT_STATED = "not stated"
_KEYS = ("source", "lists", "encoder", "evaluation", "scored")


@dataclass(frozen=True)
class PublishedNumber:
    """One published mIoU in percent. `lists`: a list family (u2pl, cps); `scored`: network and epoch, in words; `note`:
    what else a reader must know of it; `recorded`: whether the list's digest is on record.
    """

    miou: float
    source: str
    lists: str
    encoder: str
    evaluation: str
    scored: str
    note: str = ""
    recorded: bool = True


@dataclass(frozen=True)
class PublishedRow:
    """A published row: label count -> number."""

    method: str
    encoder: str
    numbers: dict[int, PublishedNumber]


@dataclass(frozen=True)
class TableProtocol:
    """What a table's own numbers are. `lists`: label count -> families that share the list (none: unknown); `scored`:
    last, or best; `networks`: those that are scored where a method has several (none: unknown); `part`: of which
    validation images alone the numbers are, in words, where not of all; `random`: which rows, in words, began with
    random weights (those of all published numbers are pretrained); `scaled`: at which size images enter the networks,
    in words, where it is not their own.
    """

    dataset: str
    encoders: frozenset[str]
    evaluations: frozenset[str]
    lists: Mapping[int, frozenset[str]]
    scored: str = "last"
    networks: frozenset[str] = frozenset()
    part: str = ""
    random: str = ""
    scaled: str = ""


@dataclass(frozen=True)
class PlacedRow:
    """A row as it stands in a table: column -> number and its marks, the marks of the whole row."""

    method: str
    marks: str
    numbers: dict[str, tuple[PublishedNumber, str]]


def load_rows(dataset: str, folder: Path = FOLDER) -> list[PublishedRow]:
    """The published rows of our data set. Raises UserError for a file that lacks what a number must carry."""
    return [row for path in sorted(folder.glob("*.yaml")) for row in read_rows(path, dataset)]


def read_rows(path: Path, dataset: str | None = None) -> list[PublishedRow]:
    """The rows of one file ([] where it is of another data set). Raises UserError as `load_rows` does."""
    try:
        text = path.read_text(encoding="utf-8")
        if dataset is not None and dataset not in text:
            return []  # without the time that parsing takes
        content = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: this is no YAML ({' '.join(str(error).split())}).") from None
    if not isinstance(content, dict) or not {"datasets", "sources", "rows"} <= content.keys():
        raise UserError(f"{path}: published numbers need datasets, sources and rows.")
    if dataset is not None and dataset not in content["datasets"]:
        return []
    return [_row(path, content, row) for row in content["rows"]]


def _row(path: Path, content: Mapping[str, Any], row: Mapping[str, Any]) -> PublishedRow:
    shared = {**content.get("defaults", {}), **row}
    method = str(row.get("method", ""))
    numbers = {}
    for count, value in row.get("numbers", {}).items():
        where = f"{path}: {method or 'a row without a method'}, {count} labels"
        own = value if isinstance(value, dict) else {"miou": value}
        fields = {key: own.get(key, shared.get(key)) for key in _KEYS}
        for key, text in fields.items():
            if not isinstance(text, str) or not text.strip():
                raise UserError(f"{where}: this number has no {key}; a number without one does not go in.")
        if fields["source"] not in content["sources"]:
            raise UserError(f"{where}: its source {fields['source']!r} is none of the file's sources.")
        miou = own.get("miou")
        if isinstance(miou, bool) or not isinstance(miou, int | float) or not 0 <= miou <= 100:
            raise UserError(f"{where}: {miou!r} is no mIoU in percent.")
        if not method or isinstance(count, bool) or not isinstance(count, int):
            raise UserError(f"{where}: a row needs a method and whole label counts.")
        numbers[count] = PublishedNumber(
            **{**fields, "miou": float(miou), "source": content["sources"][fields["source"]]},
            note=str(own.get("note", row.get("note", ""))),
            recorded=fields["lists"] not in content.get("unrecorded", ()),
        )
    encoder = next((number.encoder for number in numbers.values()), "")
    return PublishedRow(method, encoder, numbers)


def choose(rows: Iterable[PublishedRow], protocol: TableProtocol, wanted: str) -> list[PublishedRow]:
    """`true`: the rows of the table's encoder; `all`: every row; `false`: none; or methods, parted by commas.

    Raises UserError for a method that has no published number here.
    """
    rows = [row for row in rows if set(row.numbers) & set(protocol.lists)]
    if wanted.lower() in ("false", "no", "none", ""):
        return []
    if wanted.lower() == "all":
        return rows
    if wanted.lower() in ("true", "yes"):
        return [row for row in rows if row.encoder in protocol.encoders]
    parts = re.split(r",(?![^()]*\))", wanted)  # a comma in a name's brackets parts nothing
    names = [name.strip().lower() for name in parts if name.strip()]
    for name in names:
        if not any(row.method.lower() == name for row in rows):
            have = ", ".join(dict.fromkeys(row.method for row in rows)) or "none"
            raise UserError(
                f"--published {wanted}: there is no published row {name!r} for this table; there are: {have}."
            )
    return [row for row in rows if row.method.lower() in names]


def beside(
    rows: Iterable[PublishedRow], protocol: TableProtocol | Mapping[str, TableProtocol], columns: Mapping[str, int]
) -> tuple[list[PlacedRow], list[str]]:
    """The rows on the table's columns (name -> label count), and the footnotes that their marks stand for. `protocol`:
    of the table, or of each column: of several columns of one label count a number stands in that from which it differs
    least, the first of several.

    A mark of the whole row holds for each of its numbers here; what holds for some only stands at these.
    """
    own = protocol if isinstance(protocol, Mapping) else dict.fromkeys(columns, protocol)
    marks: dict[str, str] = {}
    placed = []
    sources: dict[str, dict[str, None]] = {}
    for row in rows:
        here = {_nearest(number, count, columns, own): number for count, number in row.numbers.items()}
        here = {column: here[column] for column in columns if column in here}
        differing = {c: differences(number, columns[c], own[c]) for c, number in here.items()}
        common = [text for text in next(iter(differing.values()), []) if all(text in d for d in differing.values())]
        for text in [*common, *(text for found in differing.values() for text in found)]:
            marks.setdefault(text, _letter(len(marks)))
        numbers = {
            column: (number, _marks(marks, [text for text in differing[column] if text not in common]))
            for column, number in here.items()
        }
        placed.append(PlacedRow(row.method, _marks(marks, common), numbers))
        for number in here.values():
            sources.setdefault(number.source, {})[row.method] = None
    notes = [f"{mark}: {text}." for text, mark in marks.items()]
    if sources:
        named = "; ".join(f"{', '.join(methods)}: {source}" for source, methods in sources.items())
        notes.append(f"Published numbers, each a single one and none rerun here, are from: {named}.")
    return placed, notes


def _nearest(number: PublishedNumber, count: int, columns: Mapping[str, int], own: Mapping[str, TableProtocol]) -> str:
    """The column of that label count from which a number differs least; "" where there is none."""
    here = [column for column, labels in columns.items() if labels == count]
    return min(here, key=lambda column: len(differences(number, count, own[column])), default="")


def differences(number: PublishedNumber, count: int, protocol: TableProtocol) -> list[str]:
    """What of the number's protocol is not the table's, and its note: a sentence without its full stop for each."""
    found = []
    if number.encoder not in protocol.encoders:
        found.append(f"another encoder: {number.encoder} (ours: {', '.join(sorted(protocol.encoders))})")
    ours = protocol.lists.get(count, frozenset())
    if number.lists == NOT_STATED:
        found.append("the source does not state the labeled list")
    elif not number.recorded and not ours:
        found.append(f"the labeled list is {number.lists}'s, whose digest is not on record: ours may be it or another")
    elif number.lists not in ours:
        have = f"ours: {'/'.join(sorted(ours))}" if ours else "ours is no published one"
        found.append(f"another labeled list: {number.lists} ({have})")
    if number.evaluation == NOT_STATED:
        found.append("the source does not state the evaluation")
    elif protocol.evaluations and _plain(number.evaluation) not in {_plain(one) for one in protocol.evaluations}:
        found.append(f"another evaluation: {number.evaluation}")
    if protocol.random:
        found.append(f"pretrained encoder (ours: {protocol.random})")
    if protocol.scaled:
        found.append(f"images at their own size (ours: {protocol.scaled})")
    if protocol.part:
        found.append(f"scored on all validation images (ours: {protocol.part})")
    if number.scored == NOT_STATED:
        found.append("the source does not state which network and which epoch were scored")
    else:
        own = "last iteration" if protocol.scored == "last" else "best evaluation"
        named = re.search(r"\b(student|teacher)\b", number.scored)  # what names none is of a method that has one
        another = bool(named and protocol.networks and named[1] not in protocol.networks)
        if another:
            own += f" of the {'/'.join(sorted(protocol.networks))}"
        if another or not number.scored.startswith(protocol.scored):
            found.append(f"scored: {number.scored} (ours: {own})")
    return [*found, number.note] if number.note else found


def _plain(evaluation: str) -> str:
    """Without what stands in brackets: what the words are there for, not what is done. How many images it is of is
    said by itself (`TableProtocol.part`).
    """
    return re.sub(r" \([^)]*\)|, first [\d,]+ images", "", evaluation)


def _marks(marks: Mapping[str, str], texts: Iterable[str]) -> str:
    order = list(marks)
    return ", ".join(marks[text] for text in sorted(texts, key=order.index))


def _letter(index: int) -> str:
    """a, b, ... z, aa, ab, ..."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("a") + rest) + letters
    return letters
