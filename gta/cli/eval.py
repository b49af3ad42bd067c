"""`gta eval`."""

from __future__ import annotations

import itertools
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gta.cellfolder import CellFolder
from gta.cli import composing, grammar, options, outputs
from gta.cli.evaluating import Scoring, check_labeled, of_the_machine
from gta.cli.grammar import Words, option
from gta.cli.trained import PART, apart, load, refuse_other, val_ids
from gta.errors import UserError
from gta.text import first_line

if TYPE_CHECKING:
    from gta.evaluations import Evaluation


@grammar.command(
    "eval",
    instead=["checkpoint"],
    exit_codes="0; 1 some of the cells could not be scored, or what they score not be recorded as theirs; "
    "2 something to mend first",
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
    evaluation.stride, evaluation.scales, evaluation.flip, evaluation.batch (images or windows that pass at once),
    evaluation.precision. Several values, parted by commas, are several protocols: each image is read once for all of
    them that have one batch, and a pass that they share is made once.

    A grid with schedule.eval_images means the cells that were trained so, where there are any; of others it scores
    so many images, for this once.

    What a cell that is done scores is recorded in its folder (evaluations/), with what was right and wrong in each
    image, and reaches MLflow by the next sync; what is there is not scored again. `gta table --protocol` shows it.
    """
    mine, others = apart(words.overrides)
    protocols = list(_protocols(mine))
    if asked["checkpoint"]:
        return _of_checkpoint([Words(words.names, (*others, *one)) for one in protocols], **asked)
    scoring = Scoring(protocols, asked["network"], asked["which"], asked["device"], again)
    cells, scoring.protocols = _meant(words.names, others, mine, protocols)
    try:
        if len(cells) == 1 and words.names:
            _of_one(cells, scoring)
        else:
            _of_several(cells, scoring)
    finally:  # whatever ends it, Ctrl-C too: what was not recorded is said
        for sentence in (*scoring.remarks, *scoring.problems):
            print(sentence, file=sys.stderr)
    return int(bool(scoring.problems))


def _protocols(words: Sequence[str]) -> Iterator[list[str]]:
    """The words of each protocol that words with several values stand for. Raises UserError for a word that is none."""
    from gta.compose.overrides import parsed, values

    each: list[list[str]] = []
    for word, said in zip(words, parsed(words), strict=True):
        several = word.startswith("evaluation.") and said.is_sweep_override()
        each.append([f"{said.key_or_group}={value}" for value in values(said)] if several else [word])
    for one in itertools.product(*each):
        yield list(one)


def _meant(
    names: Sequence[str], others: Sequence[str], mine: Sequence[str], protocols: list[list[str]]
) -> tuple[dict[str, CellFolder], list[list[str]]]:
    """The cells that are meant, as `_cells`, and by which protocols. A grid with `schedule.eval_images` is that of the
    cells which were trained so, where there are any that are done: that is their own protocol; else it is a part of the
    images for this once.
    """
    part = [word for word in mine if word.startswith(PART)]
    if part and not composing.no_grid(others):
        with suppress(UserError):  # a name that is of no such cell, say
            cells = _cells(Words(tuple(names), (*others, *part)))
            if any(folder.done for folder in cells.values()):
                return cells, [[word for word in one if not word.startswith(PART)] for one in protocols]
    return _cells(Words(tuple(names), tuple(others))), protocols


def _cells(words: Words) -> dict[str, CellFolder]:
    """What they are called -> their folders. Raises UserError where none is said, or there is none."""
    from launch.grid import names

    of_names = {name: CellFolder(Path(name)) for name in words.names}
    inside = [name for name, folder in of_names.items() if not folder.config_file.exists()]
    found = {name: folder for name, folder in of_names.items() if name not in inside}
    if words.names:
        refuse_other(words.overrides)
    if composing.no_grid(words.overrides):
        if not words.names:
            raise UserError("eval takes cells or a grid: gta eval gta/92/seed0, or gta eval sweep=NAME.")
        known = names.known(composing.runs_folder(words.overrides)) if inside else []
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
        check_labeled(trained.config, ids)
        score = evaluate({"it": trained.network}, trained.config, ids, trained.device, 0)["it"]
        _classes(trained.config.data.classes, {"IoU (%)": score.iou})
        print(f"\nmIoU {score.miou:.2f} % ({trained.source}, {describe(trained.config)})")
    return 0


def _of_one(cells: dict[str, CellFolder], scoring: Scoring) -> None:
    ((title, folder),) = cells.items()
    try:
        found = scoring.of(folder, title)
    except (RuntimeError, MemoryError) as error:
        if why := of_the_machine(error):
            raise UserError(f"{title}: {why}.") from error
        raise
    _show_classes(found, scoring)


def _of_several(cells: dict[str, CellFolder], scoring: Scoring) -> None:
    """Score cells one after the other; one that cannot be scored does not keep the others out."""
    scoring.check(folder for folder in cells.values() if folder.frozen)
    waiting = []
    for title, folder in cells.items():
        try:
            if folder.result() is None:
                waiting.append(title)
                continue
            found = scoring.of(folder, title)
        except UserError as error:
            scoring.problems.append(f"{title}: {error}")
        except OSError as error:
            scoring.problems.append(f"{title}: {outputs.said(error)}")
        except (RuntimeError, MemoryError) as error:
            why = of_the_machine(error)
            if why is None:
                traceback.print_exception(error)
                why = f"{type(error).__name__}: {first_line(error)}, an error of the program: its stack trace is above"
            scoring.problems.append(f"{title}: {why}.")
        else:
            for one in found:
                print(f"{title}: {_line(one, scoring)}", flush=True)
    if waiting:
        print(f"{len(waiting)} of {len(cells)} cells are not done, and were not scored.")


def _show_classes(found: Sequence[Evaluation], scoring: Scoring) -> None:
    """The classes of one cell, a column an evaluation."""
    heads = ["IoU (%)"] if len(found) == 1 else [f"IoU {number}" for number in range(1, len(found) + 1)]
    _classes(found[0].classes, dict(zip(heads, (one.iou for one in found), strict=True)))
    print()
    for head, one in zip(heads, found, strict=True):
        print(f"{'' if len(found) == 1 else f'{head}: '}mIoU {_line(one, scoring)}")


def _line(one: Evaluation, scoring: Scoring) -> str:
    known = "" if one in scoring.new else ", recorded before"
    return f"{one.miou:.2f} % ({one.network}, iteration {one.iteration}, {one.signature[:8]}, {one.evaluation}){known}"


def _classes(classes: Sequence[str], iou: dict[str, list[float | None]]) -> None:
    from tabulate import tabulate

    shown = [["-" if value is None else f"{value:.2f}" for value in column] for column in iou.values()]
    rows = list(zip(classes, *shown, strict=True))
    aligned = ("left", *("right" for _ in shown))
    print(tabulate(rows, headers=["class", *iou], disable_numparse=True, colalign=aligned))
