"""`gta table`, and the table that multirun and report show."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gta.cli import composing, grammar, options, overview
from gta.cli.grammar import Words, option
from gta.errors import UserError
from gta.masking import masked, styled
from gta.text import some

if TYPE_CHECKING:
    import pandas as pd

    from analysis.render import PaperStyle
    from analysis.table import Table
    from analysis.view import View
    from gta.sweep import Sweep
    from launch.state.ledger import Entry

_NAMED = 3  # cells in a sentence
_WIDE = 160  # columns where the output is no terminal


@dataclass(frozen=True)
class Shown:
    """What a table shows (the options of `gta.cli.options.table` and `rows`)."""

    baseline: str = ""
    published: str = "true"
    best: bool = True
    missing: bool = False
    networks: bool = False
    score: str | None = None
    protocols: tuple[str, ...] = ()
    bootstrap: bool = False

    @property
    def view(self) -> View:
        from analysis.view import View

        scores = {None: (), "both": ("last", "best")}.get(self.score, (str(self.score),))
        return View(self.networks, scores, self.protocols)


DEFAULT = Shown()
_AGAIN = "Delete such a run in MLflow, and `gta sync` makes it anew."


@dataclass
class Unread:
    """What MLflow could not tell, each in a sentence or empty: why its store cannot be read, and whose numbers are from
    the cells' own records instead.
    """

    store: str = ""
    numbers: str = ""
    damaged: str = ""  # as `numbers`, of cells that have a record that cannot be read: no fault of MLflow's


@grammar.command(
    "table",
    exit_codes="0, also with cells missing; 1 the table is shown, and MLflow or its files could not be written; "
    "2 something to mend first, or what --strict refuses",
    examples=[
        "gta table sweep=shapes --missing",
        "gta table sweep=voc_blender --baseline supervised --published all --strict",
        "gta table sweep=shapes --networks --score both --protocol own,sliding_window",
        "gta table sweep=shapes --style paper --label tab:shapes --decimals 1",
    ],
)
@grammar.words()
@options.table
@options.rows
@option("--strict", is_flag=True, help="Refuse missing cells, and runs that do not belong together: see above.")
@option("--other-roots", is_flag=True, help="With --strict: accept cells whose pictures were in several folders.")
@options.paper
def command(
    words: Words,
    strict: bool,
    other_roots: bool,
    style: str,
    caption: str,
    label: str,
    decimals: int | None,
    **shown: Any,
) -> int:
    """The results table of a grid.

    From MLflow (brought up to date first): printed, and written to results/NAME/table.{md,tex,html,csv,json}. One
    line says how many cells are missing and the command that fills them; --missing names each with its reason. What
    MLflow cannot be asked for comes from the cells' own records.

    With --style paper also results/NAME/paper.tex, for a paper (booktabs, threeparttable): mean and deviation alone, as
    wide as a column or the page; methods by their titles, digests in comments. Without it a paper.tex of an earlier
    table is removed.

    Settings that make other cells than the sweep's file declares (fewer seeds, say, or another schedule) make a
    variant: its title says what differs, and its files are in results/NAME/variants/WHAT_DIFFERS.

    --networks, --score and --protocol show other numbers of the same runs: a row for each network that was scored,
    columns of the last iteration or of the best evaluation, columns of the protocols by which `gta eval` scored them
    (what it did not yet is missing, with the command that does). The best one was picked on the validation set, so the
    two are never in one entry, but for the usual table's brackets. Such a table has files of its own
    (results/NAME/table-networks-best.csv) and leaves the sweep's page in MLflow as it is.

    --strict refuses a table with cells missing; one whose runs are of several commits, evaluations, lists, versions of
    timm or orders of the batches; one whose cells differ in how they are trained (encoder, weights, iterations,
    batch, crop, optimizer, views) otherwise than by method, data set, split and what the sweep's file varies
    (hydra.sweeper.params); one where seeds of one mean differ in any setting that can change a result, in the kind of
    device, or in the version of torch, OpenCV or Pillow (its patch aside), or one cell does that went on elsewhere; one
    whose cells had their pictures in several folders (data.root), unless --other-roots says that these are copies of
    the same; one whose means are over different classes (one that neither masks nor predictions have is in none); and
    one with numbers of MLflow's whose cells have no record here, or a damaged one.

    With --baseline also results/NAME/significance.csv: the differences paired by seed, with the confidence interval and
    an exact permutation test, Holm-corrected; and below the table, over all columns, interquartile means and
    probabilities of improvement with bootstrap intervals.

    With --bootstrap also results/NAME/bootstrap.csv: of each entry, and of its difference to the baseline on the same
    images, the interval over resamples of the validation images. It is about the images alone, not about the seeds.

    Without a grid: the sweeps there are, and how far each is.
    """
    paper = _paper(style, caption, label, decimals)
    if other_roots and not strict:
        raise UserError("--other-roots is for what --strict refuses: add --strict.")
    if overview.asked(words.overrides):
        unfit = [word for word, given in (("--strict", strict), ("--style", paper)) if given]
        return overview.show(words.overrides, "table", unfit=unfit)
    master, cells = composing.recorded_grid(words.overrides)
    from launch.grid.grid import sweep_of
    from launch.submit.recorder import sync

    sweep = sweep_of(master)
    problems = sync(cells, sweep)
    return show(sweep, composing.look(cells), words.overrides, Shown(**shown), strict, problems, paper, other_roots)


def _paper(style: str, caption: str, label: str, decimals: int | None) -> PaperStyle | None:
    """Raises UserError for an option of the paper's style without it."""
    if style != "paper":
        given = [name for name, value in (("caption", caption), ("label", label), ("decimals", decimals)) if value]
        if given or decimals == 0:
            raise UserError(f"--{(given or ['decimals'])[0]} is for the table of a paper: add --style paper.")
        return None
    from analysis.render import PaperStyle

    return PaperStyle(caption, label) if decimals is None else PaperStyle(caption, label, decimals)


def show(
    sweep: Sweep,
    entries: list[Entry],
    overrides: Sequence[str] = (),
    shown: Shown = DEFAULT,
    strict: bool = False,
    problems: Sequence[str] = (),
    paper: PaperStyle | None = None,
    other_roots: bool = False,
) -> int:
    """Print the table of a grid and write its files; `overrides` are those that the grid was made of. The exit code: 1
    where something of it could not be read or written; that is said below the table, and the `problems` of before.

    Raises UserError for an option that this table cannot have, and, where `strict`, for a table with gaps.
    """
    from analysis import render
    from gta.cli.publishing import publish

    _, made, unread = build(sweep, entries, overrides, shown)
    problems = together(problems, unread)
    paths = entries[0].cell.config.paths
    if strict:
        try:
            made.refuse_gaps(other_roots)
        except UserError:
            say(problems)  # maybe why there are gaps
            raise
    width = shutil.get_terminal_size((_WIDE, 24)).columns
    print(f"\n{render.terminal(made, width, color=sys.stdout.isatty())}\n", file=styled(sys.stdout))
    folder = sweep.results(paths.results)
    try:
        if unread.store and not made.complete and folder.exists():
            problems.append(f"The table's files in {_short(folder)} are left as they are.")
        else:
            files = render.write_tables(made, folder, paper)
            print("\n".join(filter(None, [f"table: {', '.join(map(str, map(_short, files)))}", sweep.unnamed])))
            if not unread.store and not made.view.stem:  # the sweep's page has its table as it usually is
                problems += publish(sweep, entries, made, files)
    except OSError as error:
        problems.append(
            f"The table's files were not written to {_short(folder)} ({error.strerror or error}): mend that, or name "
            "another folder with paths.results=FOLDER, and run `gta table` again."
        )
    print(f"MLflow: make mlflow (or: mlflow ui --backend-store-uri {masked(paths.tracking_uri)})")
    say([*problems, unread.damaged])
    return int(bool(problems))


def say(problems: Sequence[str]) -> None:
    for problem in filter(None, problems):
        print(masked(problem), file=sys.stderr)


def together(problems: Sequence[str], unread: Unread) -> list[str]:
    """Each trouble once: a store that could not be written to often cannot be read either."""
    said = list(dict.fromkeys(problems))
    if unread.store and not any(unread.store in problem for problem in said):
        said.append(unread.store)
    if unread.numbers:
        said = [*said[:-1], f"{said[-1].rstrip('.')}. {unread.numbers}"] if said else [unread.numbers]
    return said


def build(
    sweep: Sweep, entries: list[Entry], overrides: Sequence[str] = (), shown: Shown = DEFAULT
) -> tuple[pd.DataFrame, Table, Unread]:
    """The runs of a grid, the table of them, and what MLflow could not tell; arguments and errors as of `show`."""
    from analysis import own, runs, table
    from gta.cli.wanted import OWN, otherwise, unfounded, unrecorded, wanted
    from gta.tracking import store
    from launch.grid.recorded import told
    from launch.state.damage import damage
    from launch.submit.recorder import named

    paths = entries[0].cell.config.paths
    tagged = [one.tag for one in named(sweep)]  # one query; a grid without a name is asked for cell by cell
    unread = Unread()
    order: list[str] = []
    odd: list[str] = []
    try:
        signatures = None if tagged else [entry.cell.signature for entry in entries]
        frame = runs.load(paths.tracking_uri, signatures, tagged[0] if tagged else None, odd.append)
        order = own.row_order(paths.tracking_uri, sweep.name) if tagged else []
    except UserError as error:
        frame = runs.of_folders([])
        unread.store = str(error)
    if others := otherwise(frame, entries, evaluated=bool(shown.protocols)):
        lost: list[str] = []
        instead = runs.of_folders((entry.cell.folder for entry in others), lost.append)
        frame = runs.joined(frame, instead)
        counted = set(instead["signature"])
        others = [entry for entry in others if entry.cell.signature in counted]
        hurt = [entry for entry in others if damage(entry.cell.folder)]
        unread.numbers = _from_folders([entry for entry in others if entry not in hurt])
        if hurt:
            unread.damaged = f"{_from_folders(hurt)} They are damaged: see `gta status`."
        unread.damaged = "\n".join(filter(None, [unread.damaged, *(f"Not counted: {why}" for why in lost)]))
        if unread.numbers and not unread.store:
            unread.numbers += " " + (store.damage(paths.tracking_uri) or _AGAIN)
    unread.numbers = " ".join(filter(None, [*odd[:_NAMED], unread.numbers]))
    asked = [*shown.protocols, *([OWN] if shown.bootstrap and OWN not in shown.protocols else [])]
    cells = wanted(entries, overrides or [f"sweep={sweep.name}"], sweep.axes, asked)
    made = table.build(
        frame,
        cells,
        title=sweep.title,
        baseline=shown.baseline,
        best=shown.best,
        rows_beside=shown.published,
        order=order,
        view=shown.view,
    )
    made.listed = shown.missing
    for why, which in unfounded(frame, entries):
        made.notes.append(f"{why[:1].upper()}{why[1:]} of {which}; the numbers are MLflow's.")
        made.mixed.append(f"numbers with {why} (of {which})")
    if shown.bootstrap:
        made.count_images(Path(paths.runs) / "cells")
    if text := told(entry.cell for entry in entries):
        made.notes += [f"{text}.", *unrecorded(cells, paths.runs)]
    return frame, made, unread


def _from_folders(others: Sequence[Entry]) -> str:
    if not others:
        return ""
    names = some([entry.cell.signature[:8] for entry in others], _NAMED)
    one = len(others) == 1
    cells = "1 cell has its numbers from its" if one else f"{len(others)} cells have their numbers from their"
    return f"{cells} own records, as MLflow has others or none: {names}."


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
