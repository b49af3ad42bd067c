"""All that the folder of one cell says of it, and what differs between two. Imports neither Hydra nor torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gta import evaluations
from gta.cellfolder import Attempt, BrokenRecord, CellFolder, Failure, Identity, NewOrder, Result, readable
from gta.cellrecords import in_words
from gta.config import Config
from gta.data.splits.known import known_name
from gta.errors import UserError
from gta.evaluations import Evaluation
from gta.fields import describe
from gta.masking import masked_values
from launch.state.damage import damage, history

_CODE = ("commit", "dirty", "tree", "snapshot")  # of an attempt's environment
Values = dict[str, Any]
Differences = dict[str, tuple[Any, Any]]


@dataclass(frozen=True)
class CellDetails:
    """The parts of a cell's folder. `config`: dotted name -> value. `damaged`: a few words for each record that cannot
    be read, and is None or empty here. `evaluated`: what it scores by any protocol, as far as that can be read.
    """

    folder: CellFolder
    identity: Identity | None
    config: Values
    attempts: list[Attempt]
    result: Result | None
    failure: Failure | None
    damaged: list[str]
    orders: list[NewOrder]
    evaluated: list[Evaluation] = field(default_factory=list)

    @classmethod
    def read(cls, folder: CellFolder) -> CellDetails:
        """Raises UserError where the cell was never frozen."""
        if not folder.frozen:
            raise UserError(f"{folder.path}: this cell was never submitted, so there is nothing of it yet.")
        attempts = history(folder)
        hurt = damage(folder, attempts)
        identity, config = readable(folder.identity, _nobody), _config(folder, hurt)
        result, failure = readable(folder.result, _nobody), readable(folder.failure, _nobody)
        orders = result.orders if result else readable(folder.orders, _nobody) or []
        hurt = list(dict.fromkeys(hurt))
        evaluated = evaluations.all_of(folder)
        return cls(folder, identity, flat(config), attempts, result, failure, hurt, orders, evaluated)

    @classmethod
    def planned(cls, folder: CellFolder, identity: Identity | None, config: Values) -> CellDetails:
        """Of a cell that is not frozen yet; `identity`: None where its lists or weights are not at hand."""
        return cls(folder, identity, flat(config), [], None, None, [], [])

    @property
    def title(self) -> str:
        short = self.folder.signature[:8]
        return f"{self.identity.title} ({short})" if self.identity else f"cell {short}"

    def changed(self) -> Values:
        """The settings that can change a result and are not the schema's defaults; a method's, all of them."""
        return {name: value for name, value in self.config.items() if not neutral(name) and not _default(name, value)}

    def at_default(self) -> Values:
        changed = self.changed()
        return {name: value for name, value in self.config.items() if name not in changed and not neutral(name)}

    def neutral(self) -> Values:
        """Settings that cannot change a result, where they are not the schema's defaults."""
        return {name: value for name, value in self.config.items() if neutral(name) and not _default(name, value)}

    def code(self) -> Values:
        """Of the last attempt: commit, dirty, tree, snapshot."""
        last = self._environment()
        if not last.get("commit"):  # of a record of before, which calls code that git tells nothing of clean
            last = {**last, "dirty": None}
        return {name: last[name] for name in _CODE if last.get(name) is not None}

    def maths(self) -> Values:
        """The versions of the maths that the cell is made of."""
        params = self.identity.params if self.identity else {}
        return {name: text for name, text in params.items() if name.startswith("maths.")}

    def environment(self) -> Values:
        """Of the last attempt: host, versions, hardware; dotted names."""
        return flat({name: value for name, value in self._environment().items() if name not in _CODE})

    def _environment(self) -> Values:
        return self.attempts[-1].environment if self.attempts else {}

    def split(self) -> Values:
        """The lists: name, sizes, digests and, where they are published ones, what they are known as."""
        cell = self.identity
        if cell is None:
            return {}
        made: Values = {
            "dataset": cell.dataset, "split": cell.split, "split_family": cell.split_family, "ratio": cell.ratio,
        }  # fmt: skip
        for name, count in (("labeled", cell.labels), ("unlabeled", cell.unlabeled), ("val", cell.val)):
            digest = cell.digests.get(name, "")
            made[name] = f"{count} ids, sha256 {digest[:16]}" + (f", {known}" if (known := known_name(digest)) else "")
        made["weights"] = cell.digests.get("weights")
        return made

    def method(self) -> Values:
        """Of a user's own method: the digest of its source, and the copy of it that is here."""
        digest = self.identity.digests.get("method") if self.identity else None
        file = self.folder.method_file
        copy = {"copy": str(file)} if file.is_file() else {}
        return {"source": f"sha256 {digest[:16]}", **copy} if digest else {}

    def scores(self) -> Values:
        """What came of it: network, evaluation, iteration, mIoU of each network; or the error."""
        batches = {"batches": words} if (words := in_words(self.orders)) else {}
        if self.result is None:
            return {"error": self.failure.error, **batches} if self.failure else batches
        found = self.result
        made: Values = {"headline": found.headline, "evaluation": found.evaluation, "iteration": found.iteration}
        for network, scores in found.networks.items():
            made[f"mIoU {network}, last"] = scores.last.miou
            made[f"mIoU {network}, best"] = scores.best.miou
            made[f"iteration of the best {network}"] = scores.best.iteration
        return made | batches


def _config(folder: CellFolder, hurt: list[str]) -> Values:
    """The frozen config; where it cannot be read that is added to what is damaged."""
    try:
        return folder.settings() or {}
    except BrokenRecord as error:
        hurt.append(error.brief)
        return {}


def _source(details: CellDetails) -> Values:
    return {f"method.{name}": text for name, text in details.method().items() if name == "source"}


def _nobody(text: str) -> None:
    """Who hears nothing of a damaged record, since it is named among all that are."""


def flat(value: Values, prefix: str = "") -> Values:
    """Nested mappings under dotted names, to be shown: lists stay whole, passwords are left out."""
    made: Values = {}
    for name, inner in value.items():
        if isinstance(inner, dict) and inner:
            made |= flat(inner, f"{prefix}{name}.")
        else:
            made[f"{prefix}{name}"] = masked_values(inner)
    return made


_ROWS = describe(Config)


def neutral(name: str) -> bool:
    """Whether a setting cannot change a result. Settings of methods can, but for the label."""
    parts = name.split(".")
    known = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
    return next((bool(_ROWS[name]["neutral"]) for name in known if name in _ROWS), False)


def _default(name: str, value: Any) -> bool:
    """Whether a setting is the schema's default; a generator that is not there is one, too."""
    return name in _ROWS and not name.startswith("method.") and _ROWS[name]["default"] == value


def differences(a: Values, b: Values) -> Differences:
    """Name -> its two values, where they differ; None where one has no such name."""
    names = [*a, *(name for name in b if name not in a)]
    return {name: (a.get(name), b.get(name)) for name in names if a.get(name) != b.get(name)}


def compare(a: CellDetails, b: CellDetails) -> dict[str, Differences]:
    """Part -> what differs in it, by name; all parts, in the order in which they matter."""
    settings = differences(a.config, b.config)
    return {
        "config": {name: pair for name, pair in settings.items() if not neutral(name)},
        "split": differences(a.split(), b.split()),
        "code": differences(a.code() | a.maths() | _source(a), b.code() | b.maths() | _source(b)),
        "environment": differences(a.environment(), b.environment()),
        "config that cannot change a result": {name: pair for name, pair in settings.items() if neutral(name)},
        "result": differences(a.scores(), b.scores()),
    }
