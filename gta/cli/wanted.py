"""The cells that the table of a grid should hold, the commands that make those which are missing, and whose numbers
MLflow does not have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gta.cli import composing
from gta.errors import UserError
from gta.masking import masked
from gta.text import some

if TYPE_CHECKING:
    import pandas as pd

    from analysis.cells import Protocol, TableCell
    from gta.cell import Cell
    from gta.cellfolder import Result
    from launch.state.ledger import Entry

_NAMED = 6  # rows or columns in a sentence
OWN = "own"  # the protocol of training
NO_RECORD = "no record here"  # of a cell that nothing at hand tells: whether it ran elsewhere is not known


def wanted(
    entries: Sequence[Entry], overrides: Sequence[str], axes: Sequence[str] = (), protocols: Sequence[str] = ()
) -> list[TableCell]:
    """What the table should hold, with the ledger's reasons and the commands that make what is missing; `axes`: what
    the sweep's file varies; `protocols`: by which networks were scored (`gta table --protocol`). Raises UserError for a
    protocol that is none.
    """
    from analysis.cells import TableCell
    from gta import recipe
    from gta.data.splits.known import known_name
    from gta.encoders import title
    from launch.grid.axes import alike

    retry = _retry(entries)
    beside: dict[tuple[str, str], list[str]] = {}
    for entry in entries:
        beside.setdefault((entry.cell.row, entry.cell.column), []).append(entry.cell.signature)
    return [
        TableCell(
            signature=entry.cell.signature,
            row=entry.cell.row,
            column=entry.cell.column,
            labels=entry.cell.sizes.labeled,
            seed=entry.cell.config.seed,
            reason=entry.reason if entry.cell.recorded else NO_RECORD,
            fill=_fill(entry, overrides, retry),
            dataset=entry.cell.config.data.name,
            encoder=title(entry.cell.config.model),
            lists=known_name(entry.cell.digests.get("labeled", "")) or "",
            val_list=_val_list(entry.cell),
            training=recipe.parts(entry.cell.config),
            alike=alike(entry.cell, axes),
            settings=_settings(entry.cell),
            paper=entry.cell.paper_row,
            protocols=tuple(
                protocol(name, entry.cell, overrides, beside[entry.cell.row, entry.cell.column]) for name in protocols
            ),
        )
        for entry in entries
    ]


def _settings(cell: Cell) -> dict[str, str]:
    """All that makes the cell but its seed, and the lists that a table compares by themselves."""
    from analysis.cells import WEIGHTS

    digests = {"unlabeled": "unlabeled list", "weights": WEIGHTS, "method": "source of the method"}
    told = {title: cell.digests[name][:8] for name, title in digests.items() if name in cell.digests}
    return {name: text for name, text in cell.params.items() if name != "seed"} | told


def _val_list(cell: Cell) -> str:
    """What the validation list is called where it is a published one, and how much of it is scored, if not all."""
    from gta.data.splits.known import known_name

    name, first = known_name(cell.digests.get("val", "")) or "", cell.config.schedule.eval_images
    return f"first {first} images of {name}".rstrip() if 0 < first < (cell.sizes.val or first + 1) else name


def _retry(entries: Sequence[Entry]) -> str:
    """The --retry of the one multirun that makes all cells which are not being made: none, failed, cancelled or all."""
    from launch.state.ledger import RETRY, to_run

    stopped = [entry for entry in entries if any(to_run(entry, retry) for retry in RETRY)]
    return next((retry for retry in RETRY if all(to_run(entry, retry) for entry in stopped)), "all")


def _fill(entry: Entry, overrides: Sequence[str], retry: str) -> str:
    """The command that makes a missing cell; for one that runs or waits already, the command that shows it."""
    from launch.state.ledger import State, to_run

    if entry.state is State.DONE:
        return "gta sync"  # its number is in its folder, and not in MLflow
    if entry.state is State.DAMAGED:
        return composing.shell_line("show", entry.cell.signature, *overrides)
    if not to_run(entry, retry):
        return composing.shell_line("status", *overrides)
    return composing.shell_line("multirun", *overrides, *([] if retry == "none" else ["--retry", retry]))


def protocol(name: str, cell: Cell, overrides: Sequence[str], seeds: Sequence[str]) -> Protocol:
    """One protocol (own, sliding_window, sliding_window+flip=true) of a cell, in words, and the command that scores the
    grid of these overrides so; of one whose overrides eval would take for other protocols, the cells that stand with it
    in one entry, `seeds` by their signatures. Raises UserError for settings that are none of `evaluation`.
    """
    from analysis.cells import Protocol
    from gta.cli.trained import HERE, PART, changed
    from gta.scoring import describe

    first, *others = name.split("+")
    words = ([] if first == OWN else [f"evaluation.protocol={first}"]) + [f"evaluation.{word}" for word in others]
    if wrong := [word for word in others if "=" not in word]:
        raise UserError(f"--protocol {name}: write NAME+setting=value; {wrong[0]} has no value.")
    told = describe(changed(cell.config, words))
    apart = any(word.startswith(HERE) and not word.startswith(PART) for word in overrides)
    where = [*seeds, *(word for word in overrides if word.startswith(composing.RUNS))] if apart else overrides
    return Protocol(name, told, composing.shell_line("eval", *where, *words))


def unrecorded(cells: Sequence[TableCell], runs: str) -> list[str]:
    """A sentence on the columns, or, of all columns, the rows, none of whose cells has a record in the folder of
    `runs`; none where there is no such.
    """
    without = {cell.signature for cell in cells if cell.reason == NO_RECORD}
    columns = dict.fromkeys(cell.column for cell in cells)
    bare = [column for column in columns if all(c.signature in without for c in cells if c.column == column)]
    rows = dict.fromkeys(cell.row for cell in cells)
    named = [*bare] or [row for row in rows if all(c.signature in without for c in cells if c.row == row)]
    if not named:
        return []
    return [
        f"No cell of {some(named, _NAMED)} has a record in {masked(runs)}, and its lists are not at hand: a copy of "
        "the folder of runs needs these cells too, if they ever ran."
    ]


def otherwise(frame: pd.DataFrame, entries: Sequence[Entry], evaluated: bool) -> list[Entry]:
    """The cells that are done by their own records, and not, or with other scores, or of another network, evaluation or
    code, by MLflow's; where it is asked for what was `evaluated` by other protocols, also those of which MLflow knows
    less of that, or more.
    """
    from gta import evaluations

    headline = frame[frame["headline"] & (frame["status"] == "FINISHED")]
    told = {str(run["signature"]): run for _, run in headline.iterrows()}
    done = [entry for entry in entries if entry.result is not None]
    found = [entry for entry in done if not _as_recorded(told.get(entry.cell.signature), entry.result)]
    if evaluated:
        known: dict[str, set[tuple[Any, ...]]] = {}
        for _, run in frame.iterrows():
            known.setdefault(run["signature"], set()).update(_evaluation(one) for one in run["evaluations"])
        own = {
            entry.cell.signature: {_evaluation(one.as_dict()) for one in evaluations.all_of(entry.cell.folder)}
            for entry in done
        }
        unlike = {signature for signature, scores in own.items() if scores != known.get(signature, set())}
        found = [entry for entry in done if entry in found or entry.cell.signature in unlike]
    return found


def _as_recorded(run: pd.Series | None, result: Result | None) -> bool:
    """Whether a run (`analysis.runs.load`) has what the cell's own record says of its headline."""
    if run is None or result is None:
        return False
    last, best = result.scores.last, result.scores.best
    scores = (last.miou, result.iteration, best.miou, best.iteration) == tuple(
        run[name] for name in ("miou_last", "iteration", "miou_best", "best_iteration")
    )
    whose = (result.headline, result.evaluation) == (run["network"], run["evaluation"])
    return scores and whose and result.commit in (None, "", run["commit"])


def unfounded(frame: pd.DataFrame, entries: Sequence[Entry]) -> list[tuple[str, str]]:
    """Of cells whose numbers MLflow has, and which no record here bears out: what is the matter, and with which."""
    from launch.state.ledger import State

    numbered = set(frame[frame["headline"] & (frame["status"] == "FINISHED")]["signature"])
    found = [entry for entry in entries if entry.result is None and entry.cell.signature in numbered]
    damaged = [entry.cell for entry in found if entry.state is State.DAMAGED]
    gone = [entry.cell for entry in found if entry.state is not State.DAMAGED]
    return [(why, _told(cells)) for why, cells in ((NO_RECORD, gone), ("a damaged record", damaged)) if cells]


def _told(cells: Sequence[Cell]) -> str:
    names = [f"{cell.row} {cell.column} seed {cell.config.seed}" for cell in cells]
    return f"{len(cells)} cell{'s' * (len(cells) != 1)}: {some(names, _NAMED)}"


def _evaluation(values: Mapping[str, Any]) -> tuple[Any, ...]:
    """What tells two evaluations of a cell apart: which one it is, and what a table shows of it."""
    return tuple(values.get(name) for name in ("network", "which", "evaluation", "iteration", "miou", "commit"))
