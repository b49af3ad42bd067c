"""Data sets and initial weights: the chosen ones must be there, the others are listed with what to do for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from gta.config import MISSING, Config, DataConfig, ModelConfig
from gta.data.lists import digest
from gta.data.spec import LABELED, UNLABELED, all_labeled, check_classes, layout, own_ratio, split_folder
from gta.data.splits.draw import check_drawn
from gta.data.splits.known import known_name
from gta.data.splits.split import load_split
from gta.errors import UserError
from gta.finding import Finding, missing, ok, problem
from gta.text import human_bytes


def chosen(splits: Sequence[DataConfig]) -> Iterator[Finding]:
    """A data set of the cells asked for, and the splits of it that they use: every file of the lists must be there."""
    config = splits[0]
    what, root = f"data {config.name}", Path(config.root)
    if config.generator is not None and not root.exists():
        yield ok(what, f"{root} is generated on first use")
        return
    yield _layout(config, what)
    absent = []
    for split in splits:
        folder = split_folder(split)
        if all((folder / name).is_file() for name in (LABELED, UNLABELED)) or all_labeled(split):
            yield _loaded(split)
        elif own_ratio(split) is not None and not folder.exists():
            yield ok(f"split {split.split}", "drawn from the train list on first use")
        else:
            absent.append(split)
    if absent:
        names = ", ".join(split.split for split in absent)
        advice = f"`gta splits import FOLDER --family {config.split_family} data=...` brings a public repository's."
        yield problem(f"split {names}", f"no labeled.txt and unlabeled.txt in {split_folder(absent[0])}", advice)


def _layout(config: DataConfig, what: str) -> Finding:
    try:
        check_classes(config)
    except UserError as error:
        return problem(what, str(error))
    found = layout(replace(config, split=MISSING))
    return problem(what, found.explained()) if found.trouble else ok(what, config.root)


def _loaded(config: DataConfig) -> Finding:
    try:
        split = load_split(config)
        check_drawn(config)
    except UserError as error:
        return problem(f"split {config.split}", str(error))
    name = known_name(digest(split.labeled)) or f"{config.split_family}, no published list"
    counts = f"{len(split.labeled)} labeled, {len(split.unlabeled)} unlabeled, {len(split.val)} validation images"
    return ok(f"split {config.split}", f"{name}: {counts}")


def others(known: Mapping[str, Config], asked_for: str) -> Iterator[Finding]:
    """The data sets of `known` (by the word after `data=`) but the one asked for: whether they could be.

    Their lists are not looked at.
    """
    for name, config in ((name, cell.data) for name, cell in known.items() if cell.data.name != asked_for):
        if config.generator is not None:
            yield ok(f"data={name}", f"{config.root}, generated on first use")
            continue
        trouble = layout(replace(config, split=MISSING)).trouble
        if not trouble:
            yield ok(f"data={name}", config.root)
            continue
        lists = "; its lists come by `gta splits import`" if "{split_dir}" in config.val_list else ""
        advice = f"Put it into {config.root}, or name its place with paths.data= or data.root={lists}."
        yield missing(f"data={name}", trouble, advice)


def weights(models: Iterable[ModelConfig], known: Mapping[str, Config]) -> Iterator[Finding]:
    """Initial weights of the networks asked for; then of the others of `known` (by the word after `model=`)."""
    looked_at = set()
    for model in models:
        if model.weights in looked_at:
            continue
        looked_at.add(model.weights)
        if model.weights == "random":
            yield ok("weights", f"{model.encoder} starts from random weights")
        else:
            mend = "Put the file there, or model.weights=FILE, or model.weights=random."
            yield _weights("weights", model, problem, mend)
    for name, model in ((name, cell.model) for name, cell in known.items()):
        if model.weights != "random" and model.weights not in looked_at:
            yield _weights(f"model={name}", model, missing)


def _weights(what: str, model: ModelConfig, absent: Callable[[str, str, str], Finding], mend: str = "") -> Finding:
    path = Path(model.weights)
    if path.is_file():
        return ok(what, f"{path}, {human_bytes(path.stat().st_size)}")
    source = f"Initial weights: {model.weights_source}" if model.weights_source else ""
    return absent(what, f"{path} is not there", f"{source} {mend}".strip())
