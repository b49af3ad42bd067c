"""`gta drill`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gta.cli import composing, grammar
from gta.cli.grammar import Parsed, Words, option
from gta.errors import UserError
from gta.sweep import Sweep
from gta.text import did_you_mean
from launch.drill.points import Inside

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from gta.cell import Cell
    from gta.certificate import Certificate

PLACES = tuple(Inside)


def _ranks(text: str) -> tuple[int, ...]:
    numbers = text.split(",")
    if not all(number.strip().isdecimal() and int(number) for number in numbers):
        raise UserError("give numbers of ranks, such as --ranks 1,2.")
    return tuple(dict.fromkeys(map(int, numbers)))


def _places(text: str) -> tuple[str, ...]:
    names = tuple(name for name in text.split(",") if name)
    for name in names:
        if name not in PLACES:
            raise UserError(f"{name} is no point; {did_you_mean(name, PLACES)}")
    return names


@grammar.command(
    "drill",
    exit_codes="0 identical, 1 not, or a run came to no result, 2 something to mend first",
    examples=[
        "gta drill method=gta data.split=1/50",
        "gta drill gta/662/seed0 sweep=voc_blender",
        "gta drill gta/662/seed0 sweep=voc_blender site=slurm --slurm",
        "gta drill method=gta data.split=1/50 schedule.group_size=4 --ranks 1,2",
    ],
)
@grammar.words("CELL")
@option("--slurm", is_flag=True, help="As jobs of Slurm, interrupted by scontrol requeue.")
@option("--ranks", type=Parsed("numbers", _ranks), metavar="N,N", default=(),
        help="Also how far runs on these numbers of ranks (of a node) are from the first of them; on one number, from "
             "the cell's own.")  # fmt: skip
@option("--iterations", type=click.IntRange(min=1), metavar="N", default=8, help="Length of the runs (8).")
@option("--points", type=Parsed("names", _places), metavar="NAME,...", default=(),
        help=f"Only the points inside of these: {', '.join(PLACES)}.")  # fmt: skip
def command(
    words: Words, slurm: bool, ranks: tuple[int, ...], iterations: int, points: tuple[str, ...]
) -> int:  # fmt: skip
    """Prove that a cell resumes bit for bit.

    One cell's config (any method, model, data), with a schedule of a few iterations: it is trained undisturbed, and
    once more with interruptions: SIGTERM between two steps; kill -9 inside a step, an evaluation, a save, the write of
    the result. They are jobs as multirun makes them, in runs/drills; the sweep's own cells are left alone.

    Every checkpoint that was saved (networks, optimizers, buffers), the best weights, every journal line (but times),
    result.json and the pictures are compared. The certificate is printed, kept in results/NAME/drill, and shown in the
    report.

    With --slurm on the site's cluster: scontrol requeue inside a step, an evaluation, a save, and between two steps.
    Other ranks (--ranks) round otherwise: how far that goes is said in numbers.
    """
    master, cell = _cell(words, slurm)
    slurm = slurm or "slurm" in str(master.hydra.launcher._target_).lower()
    from launch.drill import clusters
    from launch.drill.drill import Asked, drill

    asked = Asked(
        clusters.on_slurm(master) if slurm else clusters.here,
        slurm,
        iterations,
        [Inside(name) for name in points],
        ranks,
    )
    click.echo(f"{cell.title} ({cell.signature[:8]})", err=True)
    certificate = drill(cell, asked, lambda text: click.echo(text, err=True))
    click.echo(certificate.shown(), nl=False)
    _keep(certificate, Sweep(str(master.sweep_name), cell.config.variant).results(cell.config.paths.results))
    return int(not certificate.well)


def _cell(words: Words, slurm: bool) -> tuple[DictConfig, Cell]:
    """The composed config, for its launcher, and the cell that is meant. Raises UserError for several."""
    from launch.grid import names

    said = any(word.startswith(composing.LAUNCHER) for word in words.overrides)
    master, cells = composing.grid([*words.overrides, *([f"{composing.LAUNCHER}slurm"] if slurm and not said else [])])
    if len(words.names) > 1 or (len(cells) > 1 and not words.names):
        known = ", ".join(one.name for one in names.of_grid(cells)[:2])
        raise UserError(f"drill takes one cell, and this is a grid of {len(cells)}: name one ({known}, ...).")
    if not words.names:
        return master, cells[0]
    signature = names.find(words.names[0], names.of_grid(cells)).signature
    return master, next(cell for cell in cells if cell.signature == signature)


def _keep(certificate: Certificate, results: Path) -> None:
    """Write the certificate, as a record and as text."""
    from gta.files import write_text

    path = certificate.file(results)
    path.parent.mkdir(parents=True, exist_ok=True)
    certificate.write(path)
    write_text(path.with_suffix(".txt"), certificate.shown())
    click.echo(f"certificate: {os.path.relpath(path.with_suffix('.txt'))}", err=True)
