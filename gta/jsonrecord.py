"""A JSON file as a typed record: one reader, one writer, a version, and one sentence for a file that is broken."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import stat
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import cache, partial
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, ClassVar, Self, Union, get_args, get_origin, get_type_hints

from gta.errors import UserError
from gta.files import Put, write_text
from gta.masking import masked_values

VERSION = 1  # of the records; one without a version is of the first
OTHER_VERSION = "use the version of gta that wrote it"
UNREAD = "cannot be read ("  # so begins what is wrong where the system did not give what a file holds
MOST, MOST_INT = 1e15, 2**63  # no number of a record is larger: what is, is no time, score or count


REPAIR = "`gta repair CELL` says what can be made again of it"  # remedy of most records of a cell


class BrokenRecord(UserError):
    """A record that is there and cannot be read. `path` is the file, `reason` what is wrong with it; of the `remedy`,
    the word CELL is put as the cell's name.
    """

    def __init__(self, path: Path, reason: str, remedy: str):
        super().__init__(f"{path} {reason}: {remedy.replace('CELL', _cell_of(path))}.")
        self.path = path
        self.reason = reason

    @property
    def brief(self) -> str:
        """Such as `attempts/0001.json: empty`, for a line that says which cell it is."""
        return f"{named(self.path)}: {self.reason.removeprefix('is ')}"


def named(path: Path) -> str:
    """A file's name within its cell's folder."""
    return f"{path.parent.name}/{path.name}" if path.parent.name in _FOLDERS else path.name


def _cell_of(path: Path) -> str:
    """The signature of the cell whose folder a file is in: the name that it always has."""
    folder = path if path.parent.name == "cells" else path.parent
    return (folder.parent if folder.name in _FOLDERS else folder).absolute().name


_FOLDERS = ("attempts", "artifacts", "evaluations")


def contents(path: Path, remedy: str) -> bytes | None:
    """What is in a file; None where there is none. Raises BrokenRecord, also for what is no file: a pipe is not waited
    for.
    """
    descriptor = opened(path, remedy)
    if descriptor is None:
        return None
    try:
        with os.fdopen(descriptor, "rb") as file:
            return file.read()
    except OSError as error:
        raise BrokenRecord(path, f"{UNREAD}{error.strerror})", remedy) from None


def opened(path: Path, remedy: str) -> int | None:
    """The descriptor of a file that is read, None where there is none; errors as of `contents`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BrokenRecord(path, f"{UNREAD}{error.strerror})", remedy) from None
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise BrokenRecord(path, f"is {'a folder' if stat.S_ISDIR(mode) else 'no file'}", remedy)
    return descriptor


def text_in(path: Path, remedy: str) -> str | None:
    """As `contents`, of a text (UTF-8)."""
    data = contents(path, remedy)
    try:
        return None if data is None else data.decode()
    except UnicodeDecodeError:
        raise BrokenRecord(path, "is not text", remedy) from None


@dataclasses.dataclass(frozen=True, kw_only=True)
class JsonRecord:
    """One JSON object in a file. Fields are of plain kinds, enumerations, or dataclasses of these; unknown fields of a
    file are passed over.
    """

    REMEDY: ClassVar[str] = "remove it, and run the command again"
    UNWRITTEN: ClassVar[frozenset[str]] = frozenset()  # fields that the file's name or place says

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """The record at `path`; None where there is none. Raises BrokenRecord."""
        text = text_in(path, cls.REMEDY)
        return None if text is None else cls.parse(path, text)

    @classmethod
    def parse(cls, path: Path, text: str) -> Self:
        """The record that `text` is, as it stands at `path`. Raises BrokenRecord."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            raise BrokenRecord(path, "is not JSON" if text.strip() else "is empty", cls.REMEDY) from None
        if not isinstance(values, dict):
            raise BrokenRecord(path, "is not a JSON object", cls.REMEDY)
        if (version := values.get("version", VERSION)) != VERSION:
            if type(version) is not int or version < 1:  # no version wrote that
                raise BrokenRecord(path, f"has a version that is none ({version!r:.40})", cls.REMEDY)
            reason = f"is of version {version}, and this program reads {VERSION}"
            raise BrokenRecord(path, reason, OTHER_VERSION)
        try:
            return cls.of(values)
        except KeyError as error:
            raise BrokenRecord(path, f"has no {error.args[0]}", cls.REMEDY) from None
        except (TypeError, ValueError, OverflowError) as error:
            raise BrokenRecord(path, f"does not hold what it should ({error})", cls.REMEDY) from None

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """From a JSON object. KeyError for a field that is missing and has no default, TypeError or ValueError for a
        value that is not what the field declares.
        """
        return _made(cls, {name: value for name, value in values.items() if name not in cls.UNWRITTEN}, "")

    def as_dict(self) -> dict[str, Any]:
        """What is written, without the version."""
        return {name: value for name, value in dataclasses.asdict(self).items() if name not in self.UNWRITTEN}

    def text(self) -> str:
        """What is written, passwords left out. Raises ValueError for NaN and infinity, which JSON does not know."""
        values = {"version": VERSION, **masked_values(self.as_dict())}
        made = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False)
        # an error's words may hold what no reader takes
        return _NULL.sub(r"\1?", made.encode("utf-8", "replace").decode()) + "\n"

    def write(self, path: Path, put: Put = write_text) -> None:
        """Write the record to `path`, atomically; `put`: with others (`gta.files.together`)."""
        put(path, self.text())


Check = Callable[[Any, str], Any]  # the value of a field of this name, where it is of its kind; else TypeError


@cache
def _fields(cls: type) -> dict[str, tuple[Check, bool]]:
    """Name -> the check of its declared kind, and whether a file must have the field."""
    hints = get_type_hints(cls)
    absent = dataclasses.MISSING
    return {
        item.name: (_check(hints[item.name]), item.default is absent and item.default_factory is absent)
        for item in dataclasses.fields(cls)
    }


def _made(cls: type, values: Mapping[str, Any], prefix: str) -> Any:
    """The dataclass `cls` of the values of a JSON object."""
    known: dict[str, Any] = {}
    for name, (check, needed) in _fields(cls).items():
        if name in values:
            known[name] = check(values[name], prefix + name)
        elif needed:
            raise KeyError(prefix + name)
    return cls(**known)


@cache
def _check(kind: Any) -> Check:
    """What a value is held to, of a declared kind: made once, since a command over many cells asks a million times."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return lambda value, name: value
    if origin in (Union, UnionType):
        optional, one = NoneType in inner, _check(next(one for one in inner if one is not NoneType))
        return lambda value, name: None if value is None and optional else one(value, name)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return lambda value, name: kind(value)
    plain = _plain(kind)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        made = partial(_made, kind)
        return lambda value, name: made(value, f"{name}.") if isinstance(value, dict) else plain(value, name)
    if origin is list:
        item = _check(inner[0])
        return lambda value, name: [item(v, name) for v in value] if isinstance(value, list) else plain(value, name)
    if origin is dict:
        return _mapping(inner[1], plain)
    return plain


def _plain(kind: Any) -> Check:
    origin = get_origin(kind)
    expected = (int, float) if kind is float else (origin or kind)

    def plain(value: Any, name: str) -> Any:
        fits = isinstance(value, expected) and (kind is bool or not isinstance(value, bool))
        if origin or not fits or not _sound(value, kind):
            raise TypeError(f"{name} is {value!r:.80}")
        return float(value) if kind is float else value

    return plain


def _mapping(kind: Any, otherwise: Check) -> Check:
    check = _check(kind)

    def of_texts(value: Any, name: str) -> Any:
        if not isinstance(value, dict):
            return otherwise(value, name)
        sound = not any(type(one) is not str or _UNSOUND.search(one) for one in value.values())
        return dict(value) if sound else of_any(value, name)

    def of_any(value: Any, name: str) -> Any:
        if not isinstance(value, dict):
            return otherwise(value, name)
        return {key: check(one, f"{name}.{key}") for key, one in value.items()}

    return of_texts if kind is str else of_any


def _sound(value: Any, kind: Any) -> bool:
    """Whether a plain value can be computed with, or be shown: no infinity, half a character, or null byte."""
    if isinstance(value, str):
        return not _UNSOUND.search(value)
    return bool(abs(value) <= (MOST if kind is float else MOST_INT))  # False of NaN


_UNSOUND = re.compile("[\0\ud800-\udfff]")
_NULL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")  # as JSON writes it; a backslash that is text is two
