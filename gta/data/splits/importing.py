"""Public folders of split lists -> the expected place: found, verified against each other and val, written bare."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from gta.config import DataConfig
from gta.data.listing import list_ids
from gta.data.lists import digest, list_text, parse, read_ids, read_texts
from gta.data.spec import LABELED, train_path, val_path
from gta.data.splits.draw import write_lists
from gta.data.splits.known import KnownSet, describe, incomplete, known_list, known_name, set_of, set_of_config
from gta.errors import UserError
from gta.files import write_text

_LABELED = re.compile(r"(?<!un)(?=labeled|supervised)")  # U2PL: labeled.txt; CPS: x_labeled_1-8.txt; PS-MT: supervised


@dataclass
class PublicLists:
    """The id lists of a public folder: name -> ids of those that can be read, name -> what is wrong of the others."""

    lists: dict[str, list[str]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    def partner(self, name: str) -> str | None:
        """The unlabeled list that lies beside a labeled one; None where there is none."""
        path = PurePosixPath(name)
        other = path.with_name(_LABELED.sub("un", path.name)).as_posix()
        return other if other != name and (other in self.lists or other in self.problems) else None

    def pairs(self) -> list[tuple[str, str]]:
        """(labeled, unlabeled) names of all lists that come in pairs."""
        return [(name, other) for name in {**self.lists, **self.problems} if (other := self.partner(name))]


def read_public_lists(path: Path, suffix: str = "") -> PublicLists:
    """Every .txt list of a folder or an archive (or the one file). Raises UserError where there is none."""
    source = PublicLists()
    for name, content in read_texts(path).items():
        where = name or path.name
        try:
            source.lists[where] = [
                entry.item for entry in parse(content, f"{path}/{name}" if name else str(path), suffix)
            ]
        except UserError as error:
            source.problems[where] = str(error)
    if not source.lists and not source.problems:
        raise UserError(f"{path} holds no list: none of its files ends in .txt.")
    return source


def _of_set(source: PublicLists, known: KnownSet | None) -> PublicLists:
    """Without the lists of another known data set: a public repository holds those of several."""
    others = [name for name, ids in source.lists.items() if known and set_of(ids) not in (known, None)]
    return PublicLists({name: ids for name, ids in source.lists.items() if name not in others}, source.problems)


@dataclass
class Imported:
    """What came of an import: a line for each list that is in place now, and for each that was refused."""

    folder: Path
    accepted: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def import_lists(config: DataConfig, source_path: Path) -> Imported:
    """Write the split lists of a public folder into `config.split_dir`, a folder a label count (`662`), and val.txt.

    Where a family has two lists of one length, the one with the shorter public name gets the count, the others keep
    their names (UniMatch: `1_16` becomes 662, `u2pl_1_16` stays). A list is refused, and said so, where it cannot be
    read, shares an image with its unlabeled list or with val, is not the whole training set with its unlabeled list, or
    is of another data set. Lists that are there already and equal are left alone. Raises UserError where nothing
    can be imported, or where other lists are in the place.
    """
    known = set_of_config(config)
    inside = source_path / known.folder if known else source_path
    source = _of_set(read_public_lists(inside if inside.is_dir() else source_path, config.image_suffix), known)
    done = Imported(Path(config.split_dir))
    val = _val(config, source, known, done)
    train = _train(config)
    paired: set[str] = set()
    wanted: dict[str, tuple[str, list[str], list[str]]] = {}
    for labeled, unlabeled in sorted(source.pairs(), key=lambda pair: (len(pair[0]), pair)):
        paired |= {labeled, unlabeled}
        wrong = next((source.problems[name] for name in (labeled, unlabeled) if name in source.problems), None)
        wrong = wrong or _wrong(source.lists[labeled], source.lists[unlabeled], val, train, known)
        if wrong:
            done.refused.append(f"{labeled}: {wrong}" if labeled not in wrong else wrong)
            continue
        name = str(len(source.lists[labeled]))
        if name in wanted:
            if digest(wanted[name][1]) == digest(source.lists[labeled]):
                continue  # one list under two names
            name = _public_name(labeled)
        wanted[name] = labeled, source.lists[labeled], source.lists[unlabeled]
    for name, problem in source.problems.items():
        if name not in paired:
            done.refused.append(problem)
    for name, ids in source.lists.items():
        if name not in paired and _LABELED.search(PurePosixPath(name).name) and digest(ids) not in _whole(known):
            done.refused.append(f"{name}: there is no unlabeled list beside it")
    if not wanted:
        raise UserError("\n  ".join([f"{source_path} holds no pair of lists for {config.name}.", *done.refused]))
    for name, (public, labeled_ids, unlabeled_ids) in sorted(wanted.items(), key=lambda item: (len(item[0]), item)):
        write_lists(config, done.folder / name, labeled_ids, unlabeled_ids)
        done.accepted.append(f"{name}: {describe(labeled_ids)}, and {len(unlabeled_ids)} unlabeled (from {public})")
    if val:
        _write_val(done, val, config.image_suffix)
    return done


def _public_name(labeled: str) -> str:
    """A folder's name from where a list is published: `u2pl_1_16/labeled.txt` is `u2pl_1_16`."""
    path = PurePosixPath(labeled)
    return "_".join([*path.parent.parts, *([path.stem] if path.name != LABELED else [])])


def _wrong(
    labeled: list[str], unlabeled: list[str], val: list[str], train: set[str] | None, known: KnownSet | None
) -> str | None:
    """The first thing that is wrong with a pair of lists; None where nothing is."""
    if known and not known.has([*labeled, *unlabeled]):
        return f"not all of its ids are ids of {known.title}"
    if shared := set(labeled) & set(unlabeled):
        return f"{len(shared)} images are labeled and unlabeled at once, {min(shared)} for one"
    if shared := {*labeled, *unlabeled} & set(val):
        return f"{len(shared)} images are in the validation list too, {min(shared)} for one"
    if wrong := incomplete(labeled, unlabeled, known):
        return wrong
    if known is None and train is not None and {*labeled, *unlabeled} != train:
        both = len({*labeled, *unlabeled})
        return f"labeled and unlabeled together are {both} images, not the {len(train)} of the train list"
    return None


def _val(config: DataConfig, source: PublicLists, known: KnownSet | None, done: Imported) -> list[str]:
    """The validation ids: those that come with the lists, else those of the data set, else none.

    A repository may hold a val.txt a data set. Of a known data set it is the list that is known as its own; of another
    the one val.txt there is.
    """
    found = {name: ids for name, ids in source.lists.items() if PurePosixPath(name).name == "val.txt"}
    different = {digest(ids): ids for name, ids in sorted(found.items(), key=lambda item: (len(item[0]), item[0]))}
    known_ones = [ids for ids in different.values() if known and _is_val(ids, known)]
    if not known and len(different) > 1:
        raise UserError(
            f"The lists hold {len(different)} different validation lists ({', '.join(sorted(found))}): name the folder "
            f"of {config.name} alone."
        )
    ids = next(iter([*known_ones, *different.values()]), [])
    if not ids and val_path(config).is_file():
        ids = list_ids(config, val_path(config))
    if ids and known and not _is_val(ids, known):
        done.refused.append(f"val.txt: {describe(ids)}, which is not {known.title}'s validation list")
        return []
    if not ids and not known:
        done.refused.append("val.txt: there is none, here or in the data set, so no list could be checked against it")
    if not ids and known and val_path(config).parent == done.folder:
        done.refused.append(f"val.txt: there is none here, but {config.name} needs it in {done.folder}")
    return ids


def _is_val(ids: list[str], known: KnownSet) -> bool:
    """By its digest; where nothing of the data set is on record, by form and number of its ids."""
    found = known_list(digest(ids))
    if not known.train and found is None:
        return known.has(ids) and len(ids) == known.val_n
    return found is not None and found.set == known.key and found.kind == "val"


def _train(config: DataConfig) -> set[str] | None:
    path = train_path(config)
    return set(list_ids(config, path)) if path.is_file() else None


def _whole(known: KnownSet | None) -> set[str]:
    return {known.train} if known and known.train else set()


def _write_val(done: Imported, ids: list[str], suffix: str) -> None:
    path = done.folder / "val.txt"
    if path.is_file():
        if digest(read_ids(path, suffix)) != digest(ids):
            raise UserError(f"{path} is another validation list than the one to import: remove it first.")
    else:
        write_text(path, list_text(sorted(ids), suffix))
    done.accepted.append(f"val.txt: {known_name(digest(ids)) or describe(ids)}, {len(ids)} ids")
