"""The public split lists by digest: which list this is, who uses it, and which training set it belongs to."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from gta.config import DataConfig
from gta.data.lists import digest

_FILE = Path(__file__).with_name("known_splits.json")


@dataclass(frozen=True)
class KnownSet:
    """A data set whose training ids are known. `folder` is what public code calls it; `train` digests all its ids (of
    ADE20K, which numbers them, as these numbers are; empty where it is not on record); `unrecorded`: label count ->
    share of the lists that UniMatch-V2 publishes and whose digests are not on record.
    """

    key: str
    title: str
    folder: str
    ids: str
    train: str
    train_n: int
    val_n: int
    unrecorded: dict[str, str] = field(default_factory=dict, hash=False)

    def has(self, ids: Iterable[str]) -> bool:
        """Whether all of these look like ids of this data set."""
        return all(re.fullmatch(self.ids, item) for item in ids)


@dataclass(frozen=True)
class KnownList:
    """A published list. kind: labeled, val, train, ...; `lists` says where it is published, as REPOSITORY:PATH."""

    set: str
    kind: str
    n: int
    name: str
    digest: str
    lists: tuple[str, ...]
    unlabeled: str = ""  # digest of the unlabeled list that goes with it, where that is known

    @property
    def repositories(self) -> list[str]:
        return list(dict.fromkeys(place.split(":")[0] for place in self.lists))


@lru_cache(maxsize=1)
def known_sets() -> dict[str, KnownSet]:
    return {key: KnownSet(key, **values) for key, values in _content()["sets"].items()}


@lru_cache(maxsize=1)
def _by_digest() -> dict[str, KnownList]:
    entries = [KnownList(**{**entry, "lists": tuple(entry["lists"])}) for entry in _content()["lists"]]
    return {**{e.unlabeled: e for e in entries if e.unlabeled}, **{e.digest: e for e in entries}}


@lru_cache(maxsize=1)
def _content() -> dict:  # type: ignore[type-arg]
    return json.loads(_FILE.read_text(encoding="utf-8"))


def known_list(list_digest: str) -> KnownList | None:
    """The published list of this digest; for the digest of an unlabeled list, the labeled list it goes with."""
    return _by_digest().get(list_digest)


def known_name(list_digest: str) -> str | None:
    """`u2pl 662 (VOC blender, 1/16)` for the digest of a published list, None for any other."""
    found = known_list(list_digest)
    if found is None:
        return None
    return found.name if found.digest == list_digest else f"{found.name}, its unlabeled list"


def set_of(ids: Sequence[str]) -> KnownSet | None:
    """The known data set that all of these ids look like ids of; None where there is none such."""
    return next((known for known in known_sets().values() if known.has(ids)), None)


def set_in_folder(name: str) -> KnownSet | None:
    """The known data set whose lists public code keeps in a folder of this name (`pascal`, `cityscapes`)."""
    return next((known for known in known_sets().values() if known.folder == name), None)


def describe(ids: Sequence[str]) -> str:
    """One line that says what a list is: its name and who uses it, or that it is unknown, with its digest."""
    full = digest(ids)
    found = known_list(full)
    if found is None:
        like = counted(set_of(ids), ids)
        return f"unknown list, {len(ids)} ids, sha256 {full}" + (f" ({like})" if like else "")
    name = known_name(full)
    if found.kind != "labeled":
        return f"{name}, {len(ids)} ids, sha256 {full}"
    users = found.repositories
    if len(users) == 1:
        title = known_sets()[found.set].title
        return f"{name}: this is {users[0]}'s {title} {found.n}, which no other code base uses, sha256 {full}"
    return f"{name}, {len(ids)} ids, sha256 {full}"


def counted(known: KnownSet | None, labeled: Sequence[str]) -> str | None:
    """What the number of labeled ids tells where no digest of the data set's published lists is on record."""
    share = known.unrecorded.get(str(len(labeled))) if known else None
    if known is None or share is None or not known.has(labeled):
        return None
    return (
        f"as many as UniMatch-V2's {share} of {known.title} has, whose digest is not on record: this may be it or not"
    )


def set_of_config(config: DataConfig) -> KnownSet | None:
    """The known data set that a config is of: its lists are kept in the folder that public code keeps them in. Ids tell
    nothing: other data sets (Pascal Context, say) have ids of the same form.
    """
    folder = Path(config.split_dir).name
    return set_in_folder(folder) if folder != config.split_family else None


def set_by_number(config: DataConfig, labeled: Sequence[str]) -> KnownSet | None:
    """The known data set of lists that are said to be UniMatch's, and are as many as such a list whose digest is not on
    record.
    """
    known = set_of_config(config)
    return known if config.split_family.startswith("unimatch") and counted(known, labeled) else None


def unlabeled_name(labeled: Sequence[str], unlabeled: Sequence[str]) -> str | None:
    """The name of an unlabeled list that makes the whole training set with a published labeled one; else None."""
    found = known_list(digest(labeled))
    whole = found is not None and known_sets()[found.set].train == digest({*labeled, *unlabeled})
    return f"{found.name}, its unlabeled list" if found and found.kind == "labeled" and whole else None


def incomplete(labeled: Sequence[str], unlabeled: Sequence[str], known: KnownSet | None = None) -> str | None:
    """What is wrong where the two lists are not together the whole training set of the data set `known`.

    Without it the published list tells which: a labeled or an unlabeled list that is known by its digest. None where
    they are whole, or where nothing is known of them.
    """
    both = {*labeled, *unlabeled}
    if known is None:
        lists = (known_list(digest(labeled)), known_list(digest(unlabeled)))
        known = next((known_sets()[found.set] for found in lists if found and found.kind == "labeled"), None)
    if known is None or digest(both) == known.train:
        return None
    counts = f"{len(labeled)} labeled and {len(unlabeled)} unlabeled ids"
    if len(both) != known.train_n:
        return f"{counts} are {len(both)} images, not the {known.train_n} of {known.title}'s training set"
    if not known.train and known.has(both):
        return None
    return f"{counts} are as many as {known.title}'s training set has ({known.train_n}), but not the same images"
