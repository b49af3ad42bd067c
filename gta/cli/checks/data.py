"""Data sets and initial weights: the chosen ones must be there, the others are listed with what to do for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from gta.config import MISSING, DataConfig, ModelConfig
from gta.data.spec import LABELED, UNLABELED, check_layout, own_ratio, split_folder
from gta.data.splits.known import known_name
from gta.data.splits.lists import digest
from gta.data.splits.split import load_split
from gta.errors import UserError
from gta.finding import Line, missing, ok, problem

MODELS = Path(__file__).parents[2] / "conf" / "model"


def chosen(splits: Sequence[DataConfig]) -> Iterator[Line]:
    """A data set of the cells asked for, and the splits of it that they use: every file of the lists must be there."""
    config = splits[0]
    what, root = f"data {config.name}", Path(config.root)
    if config.generator is not None and not root.exists():
        yield ok(what, f"{root} is generated on first use")
        return
    try:
        check_layout(replace(config, split=MISSING))
    except UserError as error:
        yield problem(what, str(error).replace(f"Data set {config.name}: ", "", 1))
    else:
        yield ok(what, str(root))
    absent = []
    for split in splits:
        folder = split_folder(split)
        if all((folder / name).is_file() for name in (LABELED, UNLABELED)):
            yield _loaded(split)
        elif own_ratio(split) is not None and not folder.exists():
            yield ok(f"split {split.split}", "drawn from the train list on first use")
        else:
            absent.append(split)
    if absent:
        names = ", ".join(split.split for split in absent)
        advice = f"`gta splits import FOLDER --family {config.split_family} data=...` brings a public repository's."
        yield problem(f"split {names}", f"no labeled.txt and unlabeled.txt in {split_folder(absent[0])}", advice)


def _loaded(config: DataConfig) -> Line:
    try:
        split = load_split(config)
    except UserError as error:
        return problem(f"split {config.split}", str(error))
    name = known_name(digest(split.labeled)) or f"{config.split_family}, no published list"
    counts = f"{len(split.labeled)} labeled, {len(split.unlabeled)} unlabeled, {len(split.val)} validation images"
    return ok(f"split {config.split}", f"{name}: {counts}")


def others(known: Mapping[str, DataConfig]) -> Iterator[Line]:
    """Data sets that were not asked for: whether they could be. Their lists are not looked at."""
    for name, config in known.items():
        if config.generator is not None:
            yield ok(f"data={name}", f"{config.root}, generated on first use")
            continue
        try:
            check_layout(replace(config, split=MISSING))
            yield ok(f"data={name}", config.root)
        except UserError as error:
            first = str(error).partition(". It is expected")[0].partition(": ")[2]
            lists = "; its lists come by `gta splits import`" if "{split_dir}" in config.val_list else ""
            advice = f"Put it into {config.root}, or name its place with paths.data= or data.root={lists}."
            yield missing(f"data={name}", first, advice)


def weights(models: Iterable[ModelConfig], folder: str) -> Iterator[Line]:
    """Initial weights of the networks asked for; then of those that are shipped."""
    looked_at = set()
    for model in models:
        if model.weights in looked_at:
            continue
        looked_at.add(model.weights)
        path = Path(model.weights)
        if model.weights == "random":
            yield ok("weights", f"{model.encoder} starts from random weights")
        elif path.is_file():
            yield ok("weights", f"{path}, {path.stat().st_size / 1e6:.0f} MB")
        else:
            place = f"{_place(model.encoder)} Put the file there, or model.weights=FILE, or model.weights=random."
            yield problem("weights", f"{path} is not there", place.strip())
    for shipped in sorted(MODELS.glob("*.yaml")):
        file = str(yaml.safe_load(shipped.read_text()).get("weights", "")).replace("${paths.weights}", folder)
        if file == "random" or file in looked_at:
            continue
        if Path(file).is_file():
            yield ok(f"model={shipped.stem}", f"{file}, {Path(file).stat().st_size / 1e6:.0f} MB")
        else:
            yield missing(f"model={shipped.stem}", f"{file} is not there", _place(shipped.stem))


def _place(encoder: str) -> str:
    """Where its weights can be had: what the head of its YAML says."""
    path = MODELS / f"{encoder}.yaml"
    if not path.is_file():
        return ""
    head = " ".join(line.lstrip("# ") for line in path.read_text().splitlines() if line.startswith("#"))
    start = head.find("Initial weights:")
    return head[start:].strip() if start >= 0 else ""
