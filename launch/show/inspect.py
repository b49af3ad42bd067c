"""All that the folder of one cell says of it, and what differs between two. Imports neither Hydra nor torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gta.config import Config
from gta.data.splits.known import known_name
from gta.errors import UserError
from gta.fields import describe
from launch.state import attempts
from launch.state.ledger import read_json

# what an attempt's record says of the attempt itself; the rest is code and environment
_ATTEMPT = (
    "place", "pid", "started", "time", "job", "log", "ended", "end_time", "from", "saved", "restart", "node", "why",
    "error", "requeue", "rank", "cause",
)  # fmt: skip
_CODE = ("commit", "dirty", "tree", "snapshot")
Values = dict[str, Any]
Differences = dict[str, tuple[Any, Any]]


@dataclass(frozen=True)
class Facts:
    """The parts of a cell's folder. Values are as they were written, under dotted names."""

    folder: Path
    identity: Values  # cell.json
    config: Values  # config.yaml: dotted name -> value
    attempts: list[attempts.Record]
    result: Values | None
    failure: Values | None
    commit: str | None  # of an older record, that has no code of its own

    @classmethod
    def read(cls, folder: Path) -> Facts:
        """Raises UserError where the cell was never frozen, or a file of it cannot be read."""
        try:
            identity = read_json(folder / "cell.json")
            text = (folder / "config.yaml").read_text()
            config = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
            result, failure = read_json(folder / "result.json"), read_json(folder / "failure.json")
        except FileNotFoundError:
            raise UserError(f"{folder}: this cell was never submitted, so there is nothing of it yet.") from None
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise UserError(f"{folder} cannot be read as the folder of a cell: {error}") from None
        if identity is None:
            raise UserError(f"{folder}: this cell was never submitted, so there is nothing of it yet.")
        commit = (result or {}).get("commit")
        return cls(folder, identity, flat(config), attempts.history(folder), result, failure, commit)

    @property
    def title(self) -> str:
        cell = self.identity
        return f"{cell['label']} {cell['split']} seed {cell['seed']} ({self.folder.name[:8]})"

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
        """Of the last attempt: commit, dirty, tree, snapshot; of an older record the commit alone."""
        last = self._last()
        found = {name: last[name] for name in _CODE if last.get(name) is not None}
        return found or ({"commit": self.commit} if self.commit else {})

    def environment(self) -> Values:
        """Of the last attempt: host, versions, hardware; dotted names."""
        return flat({name: value for name, value in self._last().items() if name not in (*_ATTEMPT, *_CODE)})

    def _last(self) -> Values:
        fields = dict(self.attempts[-1].fields) if self.attempts else {}
        return {**fields, **fields.pop("environment", {})}

    def split(self) -> Values:
        """The lists: name, sizes, digests and, where they are published ones, what they are known as."""
        cell, made = self.identity, {}
        for name in ("dataset", "split", "split_family", "ratio"):
            made[name] = cell.get(name)
        for name in ("labeled", "unlabeled", "val"):
            count = cell.get("labels" if name == "labeled" else name)
            digest = cell["digests"].get(name, "")
            made[name] = f"{count} ids, sha256 {digest[:16]}" + (f", {known}" if (known := known_name(digest)) else "")
        made["weights"] = cell["digests"].get("weights")
        return made

    def scores(self) -> Values:
        """What came of it: network, evaluation, iteration, mIoU of each network, hours; or the error."""
        if self.result is None:
            return {"error": self.failure["error"]} if self.failure else {}
        made: Values = {name: self.result.get(name) for name in ("headline", "evaluation", "iteration")}
        for network, score in self.result["networks"].items():
            made[f"mIoU {network}, last"] = score["last"]["miou"]
            best = score.get("best") or {}
            made[f"mIoU {network}, best"] = best.get("miou")
            made[f"iteration of the best {network}"] = best.get("iteration")
        return made


def flat(value: Values, prefix: str = "") -> Values:
    """Nested mappings under dotted names; lists stay whole."""
    made: Values = {}
    for name, inner in value.items():
        made |= flat(inner, f"{prefix}{name}.") if isinstance(inner, dict) and inner else {f"{prefix}{name}": inner}
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


def compare(a: Facts, b: Facts) -> dict[str, Differences]:
    """Part -> what differs in it, by name; all parts, in the order in which they matter."""
    settings = differences(a.config, b.config)
    return {
        "config": {name: pair for name, pair in settings.items() if not neutral(name)},
        "split": differences(a.split(), b.split()),
        "code": differences(a.code(), b.code()),
        "environment": differences(a.environment(), b.environment()),
        "config that cannot change a result": {name: pair for name, pair in settings.items() if neutral(name)},
        "result": differences(a.scores(), b.scores()),
    }
