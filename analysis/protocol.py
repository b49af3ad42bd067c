"""What the numbers of a table mean: its footer, what its runs disagree in, what published rows are compared with."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

import pandas as pd

from analysis import unlike
from analysis.cells import TableCell
from analysis.entry import SeedScore
from analysis.published import TableProtocol
from analysis.view import USUAL, View
from gta.provenance.environment import TREE
from gta.recipe import remarkable

MEASURE = "mIoU in percent: mean ± sample standard deviation over (n) seeds, "  # + at which evaluation
BEST = "In brackets the mean of each seed's best evaluation, picked on the validation set"
_TRACES = (  # notes with digests, and with versions and folders
    "Data: ", "Labeled lists: ", "Code: ", "Scored once more by code: ", unlike.OTHER_ROUNDING, unlike.SEVERAL_ROOTS,
)  # fmt: skip


def traces(note: str) -> bool:
    """Whether a note of the footer is there to trace the numbers: digests of lists, commits, versions, folders."""
    return note.startswith(_TRACES)


def notes(used: pd.DataFrame, cells: Sequence[TableCell], best: bool = True, view: View = USUAL) -> list[str]:
    """The footer: data, lists by name and digest, evaluation, network, seeds, code; MIXED where runs do not agree.

    `used` are the runs that the table's numbers come from, a row each, of the headline network.
    """
    text = [MEASURE + view.at]
    if best and not view.apart:
        text.append(BEST)
    if used.empty:
        return [f"{note}." for note in text]
    wanted = {cell.signature: cell for cell in cells}
    used = used.sort_values(["labels", "seed"])
    vals = [_named(digest, cell.val_list) for digest, cell in _with(used, "digest_val", wanted)]
    text.append(f"Data: {_several(used['dataset'])}; val list {_several(vals, 'lists')}")
    labeled = [
        f"{name} {_several((_short(d) for d in digests), 'lists')}" for name, digests in _lists(used, wanted).items()
    ]
    text.append("Labeled lists: " + ", ".join(labeled))
    if view.protocols:
        by_name = {name: _how(evaluations(used, cells, name)) for name in view.protocols}
        text.append("Evaluation: " + "; ".join(f"{name}: {words}" for name, words in by_name.items()))
    else:
        text.append(f"Evaluation: {_how(used['evaluation'])}")
    network_of = dict(zip(used["signature"], used["network"], strict=True))
    text += _training([cell for cell in cells if cell.signature in network_of])
    networks: dict[str, dict[str, None]] = {}
    for cell in cells:
        if cell.signature in network_of:
            networks.setdefault(network_of[cell.signature], {})[cell.row] = None
    parts = [f"{network} ({_listed(rows)})" for network, rows in networks.items()]
    named = ", ".join(parts if len(parts) > 1 else networks)
    text.append(f"Network: {'as each row says; the headline is ' if view.networks else ''}{named}")
    text.append(_seeds(cells, set(network_of)))
    text.append(f"Code: {_several(_commits(used), 'commits')}")
    if versions := _timm(used):
        text.append(f"timm: {_several(versions, 'versions')}")
    text += unlike.notes(used, cells)
    text += _orders(used, wanted)
    return [f"{note}." for note in text]


def _how(words: Iterable[str]) -> str:
    """Evaluations in words; those that were not asked for alike are said to be mixed."""
    found = list(dict.fromkeys(words))
    mixed = len({_as_asked(one) for one in found}) > 1
    return _several(found, "evaluations") if mixed else " or ".join(found)


def evaluations(used: pd.DataFrame, cells: Iterable[TableCell], protocol: str) -> list[str]:
    """By which evaluations, in words and each once, numbers of that protocol were scored; "": that of training."""
    return list(dict.fromkeys([cell.protocol(protocol).words for cell in cells] if protocol else used["evaluation"]))


def scored_by(scores: Iterable[SeedScore]) -> list[str]:
    """What is to be said of networks that were scored once more, by another protocol than in training."""
    commits = _scored_by(scores)
    return [f"Scored once more by code: {_several(commits, 'commits')}."] if commits else []


def _training(cells: Sequence[TableCell]) -> list[str]:
    """How the cells were trained; where they differ in a thing, with the rows or columns that have it."""
    parts = [_by_whom(values, cells) for values in _by_part(cells) if remarkable(values)]
    return [f"Training: {'; '.join(parts)}"] if parts else []


def _seeds(cells: Sequence[TableCell], with_numbers: set[str]) -> str:
    """The seeds that have numbers, and those of which no cell has one yet."""
    have = {cell.seed for cell in cells if cell.signature in with_numbers}
    lack = sorted({cell.seed for cell in cells} - have)
    text = f"Seeds: {', '.join(map(str, sorted(have)))}"
    return text + (f" (no number yet of {', '.join(map(str, lack))})" if lack else "")


def _by_whom(values: Sequence[str], cells: Sequence[TableCell]) -> str:
    distinct = list(dict.fromkeys(values))
    if len(distinct) == 1:
        return distinct[0]
    for who in ([cell.row for cell in cells], [cell.column for cell in cells]):
        pairs = dict.fromkeys(zip(values, who, strict=True))
        if len(pairs) == len(set(who)):  # each row, or column, has one value
            return ", ".join(f"{one} ({_listed(w for value, w in pairs if value == one)})" for one in distinct)
    return " or ".join(distinct)


def _listed(names: Iterable[str]) -> str:
    """Names of rows or columns, of which some have commas in them."""
    names = list(names)
    return ("; " if any(", " in name for name in names) else ", ").join(names)


def _orders(used: pd.DataFrame, wanted: dict[str, TableCell]) -> list[str]:
    """A sentence that names the runs which diverged and went on with other batches than their seed's."""
    named = [
        f"{wanted[run['signature']].row} {wanted[run['signature']].column} seed {run['seed']} ({run['order']})"
        for _, run in used.iterrows()
        if run["order"]
    ]
    return [f"Diverged, and went on with other batches: {', '.join(named)}"] if named else []


def mixed(
    used: pd.DataFrame, cells: Sequence[TableCell], view: View = USUAL, scores: Iterable[SeedScore] = ()
) -> list[str]:
    """In what the runs, and the `scores` of them that a table shows, do not agree: "2 commits (a1b2c3d4e, f5...)", ...;
    empty where they do.

    A run, or a score, without a commit is of an unknown one. Labeled lists must agree within a column only.
    """
    if used.empty:
        return []
    wanted = {cell.signature: cell for cell in cells}
    groups = {
        "commits": _commits(used),
        "versions of timm": _timm(used, {cell.signature for cell in cells if cell.encoder.startswith("timm:")}),
        "commits that scored once more": _scored_by(scores),
        **{
            f"evaluations by {name}" if name else "evaluations": [
                _as_asked(words) for words in evaluations(used, cells, name)
            ]
            for name in view.protocols or ("",)
        },
        "val lists": [_named(digest, cell.val_list) for digest, cell in _with(used, "digest_val", wanted)],
        "orders of the batches": [order or "the first" for order in used["order"]],
    }
    for name, digests in _lists(used, wanted, by_column=True).items():
        groups[f"labeled lists of {name}"] = [_short(digest) for digest in digests]
    found = {name: list(dict.fromkeys(values)) for name, values in groups.items()}
    told = [f"{len(v)} {name} ({', '.join(x or 'unknown' for x in v)})" for name, v in found.items() if len(v) > 1]
    with_numbers = set(used["signature"])
    told += unlike.mixed(used, cells)
    return told + _trained_otherwise([cell for cell in cells if cell.signature in with_numbers])


def _trained_otherwise(cells: Sequence[TableCell]) -> list[str]:
    """In what cells differ that the sweep declares to be trained alike (`TableCell.alike`)."""
    groups: dict[str, list[TableCell]] = {}
    for cell in cells:
        if cell.alike:
            groups.setdefault(cell.alike, []).append(cell)
    by_part = zip(*map(_by_part, groups.values()), strict=True)
    differing = [any(len(set(values)) > 1 for values in part) for part in by_part]
    told = [_by_whom(values, cells) for values, differs in zip(_by_part(cells), differing, strict=False) if differs]
    return [f"training settings that no file of a sweep varies ({'; '.join(told)})"] if told else []


def _by_part(cells: Sequence[TableCell]) -> list[tuple[str, ...]]:
    """For each part of the training what the cells say of it."""
    return list(zip(*(cell.training for cell in cells), strict=True))


def of_table(used: pd.DataFrame, cells: Sequence[TableCell]) -> TableProtocol:
    """What published numbers are compared with. `used`: the runs of all networks that have rows. `dataset` is empty
    where the cells are of several.
    """
    networks = frozenset(used["network"])
    if used["headline"].all() and "teacher" in networks:
        networks -= {"student"}  # those of the rows without a teacher, and whoever names the student has one beside it
    datasets = {cell.dataset for cell in cells}
    lists: dict[int, frozenset[str]] = {}
    for cell in cells:
        families = frozenset(cell.lists.split(" ")[0].split("/")) if cell.lists else frozenset()
        # Where the cells of a column are on several lists, a published number is on the list of all of them or none.
        lists[cell.labels] = lists.get(cell.labels, families) & families
    return TableProtocol(
        dataset=datasets.pop() if len(datasets) == 1 else "",
        encoders=frozenset(cell.encoder for cell in cells),
        evaluations=frozenset(used["evaluation"]),
        lists=lists,
        networks=networks,
        random=_of_rows([(cell.random, cell.row) for cell in cells]),
        scaled=_of_rows([(cell.scaled, cell.row) for cell in cells]),
        part=next((cell.val_list for cell in cells if cell.val_list.startswith("first ")), ""),
    )


def _of_rows(said: Sequence[tuple[str, str]]) -> str:
    """What is said of rows (the words, the row), and of which where not of all; empty where nothing is."""
    rows = {text: list(dict.fromkeys(row for other, row in said if other == text)) for text, _ in said if text}
    return ", ".join(
        text if all(other == text for other, _ in said) else f"{text} ({_listed(of)})" for text, of in rows.items()
    )


def _lists(used: pd.DataFrame, wanted: dict[str, TableCell], by_column: bool = False) -> dict[str, list[str]]:
    """Name of a labeled list (the published one, or family and column) or of a column -> digests, without doubles."""
    found: dict[str, dict[str, None]] = {}
    for _, run in used.iterrows():
        cell = wanted[run["signature"]]
        name = cell.column if by_column else cell.lists or f"{run['split_family']} {cell.column}"
        found.setdefault(name, {})[run["digest_labeled"]] = None
    return {name: list(digests) for name, digests in found.items()}


def _as_asked(evaluation: str) -> str:
    """The protocol without what a network makes of it: one that sees patches alone is shown images of whole patches."""
    return re.sub(r", sides rounded to multiples of \d+", "", evaluation)


def _with(used: pd.DataFrame, field: str, wanted: dict[str, TableCell]) -> list[tuple[str, TableCell]]:
    return [(run[field], wanted[run["signature"]]) for _, run in used.iterrows()]


def _commits(used: pd.DataFrame) -> list[str]:
    """Short hashes; a run that was resumed under other code has several."""
    return [short_commit(part.strip()) for text in used["commit"] for part in str(text).split(",")]


def _scored_by(scores: Iterable[SeedScore]) -> list[str]:
    """Short hashes of the code that scored once more, "" where that is unknown; of scores of training there is none."""
    return [short_commit(score.commit) for score in scores if score.commit is not None]


def _timm(used: pd.DataFrame, backbones: Collection[str] = ()) -> list[str]:
    """The versions of timm that made the networks, of those runs that name one; "" of a run of `backbones` (signatures
    of cells with an encoder of timm's) that names none.
    """
    named = [text for text, run in zip(used["timm"], used["signature"], strict=True) if text or run in backbones]
    return [part.strip() for text in named for part in str(text).split(",")]


def short_commit(commit: str) -> str:
    """9 digits of a commit, and, after a `+`, the digest of a tree with uncommitted changes; of code without a commit
    what it is called by, the digest of its tree ("tree:01234567").
    """
    name, plus, tree = commit.partition("+")
    if name.startswith(TREE):
        return commit
    return name[:9] + plus + tree


def _named(digest: str, name: str) -> str:
    return f"{name} {_short(digest)}" if name else _short(digest)


def _short(digest: str) -> str:
    return str(digest)[:8]


def _several(values: Iterable[str], mixed: str = "") -> str:
    """The distinct values; where `mixed` is given and there are several, said so: they should be one."""
    names = list(dict.fromkeys(str(value) or "unknown" for value in values))
    text = ", ".join(names)
    return f"{text} (MIXED {mixed})" if mixed and len(names) > 1 else text
