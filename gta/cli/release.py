"""`gta release`."""

from __future__ import annotations

from functools import partial

from gta.cli import grammar, options
from gta.cli.grammar import Parsed, Words, option
from gta.cli.hold import EXIT_CODES, asked
from gta.errors import UserError

MOST = 2**32 - 2  # Slurm's largest


def _priority(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= MOST:
        raise UserError(
            f"give Slurm's priority, 1 to {MOST:,}; what cells have: `squeue --me --Format=JobID,PriorityLong`."
        )
    return int(text)


@grammar.command(
    "release",
    exit_codes=EXIT_CODES,
    examples=[
        "gta release 'gta/92/*' sweep=voc_classic",
        "gta release gta/92/seed0 --priority 1000",
    ],
)
@grammar.words("CELL")
@options.filters
@option(
    "--priority",
    type=Parsed("number", _priority),
    metavar="NUMBER",
    help="Slurm's own priority from now on; the higher, the sooner. Most clusters let users only lower it.",
)
def command(words: Words, states: tuple[str, ...], methods: tuple[str, ...], priority: int | None) -> int:
    """Let cells go that were held in Slurm; with --priority, also say which of those that wait come first.

    A hold of an administrator's is not a user's to lift: what Slurm has against it is said. Cells are named as for
    cancel; without names all of the grid are meant, or those that --state and --method pick.

    --priority sets the number by which Slurm orders the queue (`scontrol update Priority=`), of cells that wait; those
    that are held are released first. What an operator sets is fixed: Slurm no longer ages it. What other users set may
    be for now only: where Slurm says so (not persistent), that is told. To give it back to Slurm, hold the cells and
    release them again without --priority; a release alone changes nothing of it.
    """
    from launch.slurm.holding import prioritise, release

    question = release if priority is None else partial(prioritise, priority=priority)
    return asked("release", words, states, methods, question)
