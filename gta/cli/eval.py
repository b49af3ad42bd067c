"""`gta eval`."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gta.cellfolder import CellFolder, readable
from gta.cli import composing, grammar, options
from gta.cli.grammar import Words, option
from gta.cli.trained import HERE, changed, load, val_ids
from gta.errors import UserError
from gta.text import first_line

if TYPE_CHECKING:
    from gta.cellfolder import Result
    from gta.config import Config
    from gta.evaluations import Evaluation

ALL = "all"  # of the networks


@grammar.command(
    "eval",
    instead=["checkpoint"],
    exit_codes="0; 1 some of the cells could not be scored, or their scores not be recorded; 2 something to mend first",
    examples=[
        "gta eval gta/92/seed0 --which best",
        "gta eval gta/92/seed0 evaluation.protocol=sliding_window evaluation.scales=[0.75,1.0] evaluation.flip=true",
        "gta eval sweep=shapes evaluation.protocol=original_size,sliding_window --network all",
        "gta eval --checkpoint ckpt.pth --network teacher data=voc_blender model=resnet101",
        "gta eval --checkpoint best.pth --network teacher data=voc_blender model=dinov2_base",
    ],
)
@grammar.words("CELL")
@options.network
@option("--again", is_flag=True, help="Score anew what is recorded already.")
def command(words: Words, again: bool, **asked: str) -> int:
    """Per-class IoU and mIoU of cells or a checkpoint.

    On the validation list. A cell is named by its signature or the beginning of it, as plan and status show it, by
    words such as gta/92/seed0, or by its folder; a grid (sweep=NAME) means all of its cells that are done. --checkpoint
    FILE is a checkpoint of the public GTA-Seg or U2PL code (model_state, teacher_state) or of UniMatch V2's (model,
    model_ema), loaded without executing anything in it, into the network that the overrides describe; it says what of
    it matched.

    The protocol is the cell's; another one for this once: evaluation.protocol, evaluation.crop, evaluation.window,
    evaluation.stride, evaluation.scales, evaluation.flip. Several values, parted by commas, are several protocols: each
    image is read once for all of them, and a pass that they share is made once.

    What a cell that is done scores is recorded in its folder (evaluations/), with what was right and wrong in each
    image, and reaches MLflow by the next sync; what is there is not scored again. `gta table --protocol` shows it.
    """
    mine = [word for word in words.overrides if word.startswith(HERE)]
    protocols = list(_protocols(mine))
    if asked["checkpoint"]:
        rest = tuple(word for word in words.overrides if word not in mine)
        return _of_checkpoint([Words(words.names, (*rest, *one)) for one in protocols], **asked)
    scoring = _Scoring(protocols, asked["network"], asked["which"], asked["device"], again)
    cells = _cells(Words(words.names, tuple(word for word in words.overrides if word not in mine)))
    if len(cells) == 1 and words.names:
        ((title, folder),) = cells.items()
        _show_classes(scoring.of(folder, title))
        _say(scoring.problems)  # it was asked for its numbers, and these are there
        return 0
    return _of_several(cells, scoring)


def _protocols(words: Sequence[str]) -> Iterator[list[str]]:
    """The words of each protocol that words with several values stand for. Raises UserError for a word that is none."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import OverrideParseException

    parser = OverridesParser.create()
    each: list[list[str]] = []
    for word in words:
        name = word.partition("=")[0]
        try:
            said = parser.parse_override(word) if name.startswith("evaluation.") else None
        except OverrideParseException as error:
            raise UserError(f"{word}: {first_line(error)}.") from None
        several = said is not None and said.is_sweep_override()
        each.append([f"{name}={value}" for value in said.sweep_string_iterator()] if said and several else [word])
    for one in itertools.product(*each):
        yield list(one)


def _cells(words: Words) -> dict[str, CellFolder]:
    """What they are called -> their folders. Raises UserError where none is said, or there is none."""
    from launch.grid import names

    apart = {name: CellFolder(Path(name)) for name in words.names}
    inside = [name for name, folder in apart.items() if not folder.config_file.exists()]
    found = {name: folder for name, folder in apart.items() if name not in inside}
    if composing.no_grid(words.overrides):
        if not words.names:
            raise UserError("eval takes cells or a grid: gta eval gta/92/seed0, or gta eval sweep=NAME.")
        known = names.known(composing.runs_folder(words.overrides)) if inside else []
    elif words.names and not any(word.startswith("sweep=") for word in words.overrides):
        wrong = next(word for word in words.overrides if not word.startswith(composing.RUNS))
        raise UserError(f"{wrong}: of a trained cell, this changes only {', '.join(HERE)} ...")
    else:
        known = composing.named_cells(words.overrides)
    chosen = names.find_all(inside, known) if inside or words.names else known
    return found | {str(cell): cell.folder for cell in chosen}


def _of_checkpoint(each: Sequence[Words], **asked: str) -> int:
    from gta.scoring import describe
    from gta.train.evaluate import evaluate

    for words in each:
        trained = load(words, **asked)
        ids = val_ids(trained.config)
        _check_labeled(trained.config, ids)
        score = evaluate({"it": trained.network}, trained.config, ids, trained.device, 0)["it"]
        _classes(trained.config.data.classes, {"IoU (%)": score.iou})
        print(f"\nmIoU {score.miou:.2f} % ({trained.source}, {describe(trained.config)})")
    return 0


def _of_several(cells: dict[str, CellFolder], scoring: _Scoring) -> int:
    """Score cells one after the other; one that cannot be scored does not keep the others out."""
    waiting = []
    for folder in [one for one in cells.values() if one.frozen][:1]:
        scoring.configs(folder)  # what no cell can be scored by is no matter of one cell
    for title, folder in cells.items():
        try:
            if folder.result() is None:
                waiting.append(title)
                continue
            for one in scoring.of(folder, title):
                print(f"{title}: {_line(one)}{'' if one in scoring.new else ', recorded before'}", flush=True)
        except UserError as error:
            scoring.problems.append(f"{title}: {error}")
    if waiting:
        print(f"{len(waiting)} of {len(cells)} cells are not done, and were not scored.")
    _say(scoring.problems)
    return int(bool(scoring.problems))


@dataclass
class _Scoring:
    """What is asked for of each cell: by which protocols (in settings), which networks, which weights."""

    protocols: list[list[str]]
    network: str
    which: str
    device: str
    again: bool

    def __post_init__(self) -> None:
        self.problems: list[str] = []
        self.new: list[Evaluation] = []

    def configs(self, folder: CellFolder) -> dict[str, Config]:
        """Each protocol in words -> the cell's config by it. Raises UserError for what no protocol is."""
        from gta.compose.compose import read_config
        from gta.compose.validate import check_evaluation
        from gta.scoring import describe

        frozen = read_config(folder.config_file)
        found: dict[str, Config] = {}
        for words in self.protocols:
            config = changed(frozen, words)
            check_evaluation(config)
            found.setdefault(describe(config), replace(config, site=replace(config.site, device=self.device)))
        return found

    def of(self, folder: CellFolder, title: str) -> list[Evaluation]:
        """The evaluations of a cell, those that are recorded read, the others made and recorded. Raises UserError."""
        by_words, result = self.configs(folder), folder.result()
        known = self._recorded(folder, result, by_words)
        if known is not None:
            return known
        self._check_weights(folder)
        return self._made(folder, title, list(by_words.values()), result)

    def _recorded(
        self, folder: CellFolder, result: Result | None, by_words: dict[str, Config]
    ) -> list[Evaluation] | None:
        """What is recorded, where that is all: a cell that is not done goes on; a part of the images is no score."""
        from gta import evaluations

        if self.again or result is None or self._partly or _elsewhere(folder, list(by_words.values())):
            return None
        names = [self.network or result.headline] if self.network != ALL else list(result.networks)
        if self.network == ALL and self.which == "best":
            names = [result.headline]  # no other's are kept
        found = []
        for words, config in by_words.items():
            for name in names:
                scores = result.networks.get(name)
                iteration = (scores.best if self.which == "best" else scores.last).iteration if scores else None
                one = evaluations.find(folder, config.evaluation.protocol, words, name, self.which, iteration)
                if one is None or not _counted(folder, one):
                    return None
                found.append(one)
        return found

    @property
    def _partly(self) -> bool:
        return any(word.startswith("schedule.eval_images") for words in self.protocols for word in words)

    def _check_weights(self, folder: CellFolder) -> None:
        """Raises UserError where they are gone of a cell that is done, which nothing makes again."""
        there = {"last": folder.has_checkpoint, "best": folder.best_file.exists()}
        if not folder.done or there[self.which]:
            return
        other = next((which for which, whole in there.items() if whole), None)
        advice = f"its {other} ones are there (--which {other})" if other else "it cannot be scored any more"
        raise UserError(f"its {self.which} weights are gone (`gta gc` removes those of cells that are done); {advice}.")

    def _made(self, folder: CellFolder, title: str, configs: list[Config], result: Result | None) -> list[Evaluation]:
        from gta import evaluations
        from gta.train.evaluate import count
        from gta.train.record import record_of
        from gta.train.run import load_network, load_networks, prepare_device

        device = prepare_device(configs[0])
        if self.network == ALL:
            networks, iteration = load_networks(configs[0], folder, device, self.which)
        else:
            name, network, iteration = load_network(configs[0], folder, device, self.network, self.which)
            networks = {name: network}
        ids = val_ids(configs[0])
        for config in configs:
            _check_labeled(config, ids)
        why = self._unrecorded(folder, result, ids)
        if not why and _elsewhere(folder, configs):
            why = "the pictures are read from another folder (data.root) than the cell's own"
        found = []
        for config, counts in zip(configs, count(networks, configs, ids, device, by_image=True), strict=True):
            for name, counted in counts.items():
                one, by_image = record_of(folder, config, ids, name, self.which, iteration, counted)
                found.append(one)
                try:
                    if not why:
                        evaluations.write(folder, one, by_image)
                except OSError as error:
                    why = f"{error.filename or folder.evaluations_folder} cannot be written ({error.strerror or error})"
        self.new += found
        if why:
            self.problems.append(f"{title}: not recorded, {why}.")
        return found

    def _unrecorded(self, folder: CellFolder, result: Result | None, ids: list[str]) -> str:
        """Why the scores are not written down; empty where they are."""
        from gta.data.lists import digest

        identity = folder.identity()
        if result is None:
            return "the cell is not done"
        if self._partly:
            return "a part of the images was scored"
        if identity is None or identity.digests.get("val") != digest(ids):
            return "the val list is another than when the cell was frozen"
        return ""


def _elsewhere(folder: CellFolder, configs: Sequence[Config]) -> bool:
    """Whether the pictures are of another folder than the cell's: they may be others under the same names."""
    from gta.compose.compose import read_config

    own = Path(read_config(folder.config_file).data.root).resolve()
    return any(Path(config.data.root).resolve() != own for config in configs)


def _counted(folder: CellFolder, one: Evaluation) -> bool:
    """Whether what was counted in each image is there, and can be read; else it is made again."""
    from gta import evaluations

    return readable(lambda: evaluations.read_by_image(folder, one), say=lambda _: None) is not None


def _check_labeled(config: Config, ids: list[str]) -> None:
    from gta.data.present import check_any_labeled, scored_crop

    check_any_labeled(config.data, ids[: config.schedule.eval_images or None], scored_crop(config.evaluation))


def _show_classes(found: Sequence[Evaluation]) -> None:
    """The classes of one cell, a column an evaluation."""
    heads = ["IoU (%)"] if len(found) == 1 else [f"IoU {number}" for number in range(1, len(found) + 1)]
    _classes(found[0].classes, dict(zip(heads, (one.iou for one in found), strict=True)))
    print()
    for head, one in zip(heads, found, strict=True):
        print(f"{'' if len(found) == 1 else f'{head}: '}mIoU {_line(one)}")


def _line(one: Evaluation) -> str:
    return f"{one.miou:.2f} % ({one.network}, iteration {one.iteration}, {one.signature[:8]}, {one.evaluation})"


def _classes(classes: Sequence[str], iou: dict[str, list[float | None]]) -> None:
    from tabulate import tabulate

    shown = [["-" if value is None else f"{value:.2f}" for value in column] for column in iou.values()]
    rows = list(zip(classes, *shown, strict=True))
    aligned = ("left", *("right" for _ in shown))
    print(tabulate(rows, headers=["class", *iou], disable_numparse=True, colalign=aligned))


def _say(problems: Sequence[str]) -> None:
    for problem in problems:
        print(problem, file=sys.stderr)
