"""The options that several commands have, each declared once."""

from __future__ import annotations

import re
from typing import Any

import click

from gta.cli.grammar import Parsed, option, together
from gta.errors import UserError
from gta.text import did_you_mean

STATES = (
    "damaged", "failed", "held", "stuck", "suspended", "lost", "unknown", "running", "starting", "ending", "requeued",
    "stopped", "cancelled", "queued", "never run", "done",
)  # fmt: skip


def _hours(text: str) -> float | None:
    if text.lower() in ("none", "null", ""):
        return None
    try:
        hours = float(text)
    except ValueError:
        hours = -1.0
    if not hours >= 0:  # also NaN
        raise UserError("give GPU-hours, as in --budget 200.")
    return hours


def _parted(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """The names of an option that may be repeated, and be given several at once, parted by commas."""
    return tuple(name for text in value for name in text.split(",") if name)


def _protocols(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """The protocols that are named; a comma within brackets (scales=[0.5,1.0]) parts none."""
    return tuple(dict.fromkeys(name for text in value for name in re.split(r",(?![^\[]*\])", text) if name))


def _cells(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
    from gta.cli import candidates

    return list(candidates.cells(incomplete, ()))


def _states(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """The board's words. Raises UserError for another."""
    found = tuple(name.replace("-", " ").replace("_", " ") for name in _parted(ctx, param, value))
    for name in found:
        if name not in STATES:
            raise UserError(f"--state {name}: there is no such state; {did_you_mean(name, STATES)}")
    return found


def _state_words(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    before, comma, last = incomplete.rpartition(",")
    words = [name.replace(" ", "-") for name in STATES]
    return [f"{before}{comma}{word}" for word in words if word.startswith(last) and word not in before.split(",")]


def _rows(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from gta.cli import candidates

    return [name for name in candidates.methods() if name.startswith(incomplete)]


retry = option(
    "--retry",
    type=click.Choice(["none", "failed", "cancelled", "all"]),
    default="none",
    old="retry",
    help="Also run cells again that failed, were cancelled, or both.",
)
cells = option(
    "--cells",
    metavar="NAME",
    multiple=True,
    callback=_parted,
    old="cells",
    shell_complete=_cells,
    help="Only these cells of the grid (signature, its beginning, gta/92/seed0, 'gta/*'); may be repeated.",
)
filters = together(
    option("--state", "states", metavar="STATE", multiple=True, callback=_states, shell_complete=_state_words,
           help="Only cells that are so (failed, queued, never-run ...); several parted by commas."),
    option("--method", "methods", metavar="NAME", multiple=True, callback=_parted, shell_complete=_rows,
           help="Only cells of this method or row (gta, 'gta*'); several parted by commas."),
)  # fmt: skip
budget = option(
    "--budget",
    type=Parsed("hours", _hours),
    metavar="HOURS",
    old="budget",
    help="Refuse what would cost more GPU-hours than this.",
)
wait = option(
    "--wait/--no-wait",
    default=True,
    old="wait",
    help="Watch the cells until they are over (the default), or leave them to Slurm at once.",
)
after = option(
    "--after",
    metavar="NAME",
    multiple=True,
    callback=_parted,
    shell_complete=_cells,
    help="Slurm starts these cells only once the named ones are done (signature, gta/92/seed0, 'fully_supervised/*').",
)
table = together(
    option("--baseline", metavar="ROW", default="", old="baseline", shell_complete=_rows,
           help="Differences to this row, and what can be said about them."),
    option("--published", metavar="WORD", default="true", old="published",
           help="Published rows beside ours: true (those with the table's encoder; the default), all, false, or "
                "methods, parted by commas."),
    option("--best/--no-best", default=True, old="best",
           help="Each seed's best evaluation in brackets (the default), or without."),
    option("--missing", is_flag=True, help="Name every missing cell with its reason and the command that fills it."),
)  # fmt: skip
rows = together(
    option("--networks", is_flag=True, help="A row for each network that was scored, not for the headline alone."),
    option("--score", type=click.Choice(["last", "best", "both"]), default=None,
           help="Columns of the last iteration, of the best evaluation, or of each of them, marked so. Default: the "
                "last, with the best in brackets."),
    option("--protocol", "protocols", metavar="NAME", multiple=True, callback=_protocols,
           help="Columns of what gta eval recorded: sliding_window, or with other settings of evaluation, "
                "sliding_window+flip=true; own is that of training. Several parted by commas."),
    option("--bootstrap", is_flag=True,
           help="Intervals over resamples of the validation images, of what gta eval found in each of them."),
)  # fmt: skip
paper = together(
    option("--style", type=click.Choice(["full", "paper"]), default="full",
           help="full (the default), or paper: also results/NAME/paper.tex."),
    option("--caption", metavar="LATEX", default="", help="With --style paper: its caption."),
    option("--label", metavar="NAME", default="", help="With --style paper: its label. Default: tab:NAME."),
    option("--decimals", metavar="N", type=click.IntRange(0, 4), default=None,
           help="With --style paper: decimals of a mean (default 2); its deviation has one less, but one at least."),
)  # fmt: skip
network = together(
    option("--network", metavar="NAME", default="", old="network",
           help="Which network: student, teacher, or, of eval, all. Default: the one that the method is scored by."),
    option("--which", type=click.Choice(["last", "best"]), default="last", old="which",
           help="Weights of the last iteration (the default), or of the best evaluation."),
    option("--device", metavar="DEVICE", default="auto", old="device", help="auto (the default), cpu or cuda."),
    option("--checkpoint", metavar="FILE", type=click.Path(), default="", old="checkpoint",
           help="A checkpoint of the public GTA-Seg, U2PL or UniMatch V2 code, in place of a cell."),
)  # fmt: skip
as_json = option("--json", "json", is_flag=True, help="One JSON object, for scripts.")
cfg = together(
    option("-c", "--cfg", "cfg", type=click.Choice(["job", "hydra", "all"]), default=None,
           help="Print the composed config as Hydra does, and run nothing: the cell's, Hydra's own, or both."),
    option("-p", "--package", "package", metavar="NAME", default=None,
           help="Of the config, only this part (schedule)."),
    option("--resolve", is_flag=True, help="With --cfg: with ${...} filled in."),
)  # fmt: skip
yes = option("--yes", is_flag=True, help="Do it, without asking.")
