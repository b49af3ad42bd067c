"""`gta hold`, and what `gta release` shares with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gta.cli import composing, grammar, options
from gta.cli.grammar import Words

if TYPE_CHECKING:
    from launch.show.holding import Ask

EXIT_CODES = "0 well, 1 Slurm refused it for a cell, or does not answer, 2 something to mend first"


@grammar.command(
    "hold",
    exit_codes=EXIT_CODES,
    examples=[
        "gta hold 'gta/92/*' sweep=voc_classic",
        "gta hold sweep=voc_blender --state queued --method 'unimatch*'",
    ],
)
@grammar.words("CELL")
@options.filters
def command(words: Words, states: tuple[str, ...], methods: tuple[str, ...]) -> int:
    """Keep cells that wait in Slurm from starting, until gta release.

    Their jobs stay in the queue, held (`scontrol uhold`, a task of an array by itself). What runs goes on. Cells are
    named as for cancel; without names all of the grid are meant, or those that --state and --method pick.

    The board calls such cells held. A multirun that watches leaves them alone, and does not wait for them: once they
    are released, the same multirun watches them again.
    """
    from launch.slurm.holding import hold

    return asked("hold", words, states, methods, hold)


def asked(name: str, words: Words, states: tuple[str, ...], methods: tuple[str, ...], question: Ask) -> int:
    """Ask Slurm about the jobs of the cells that are meant, and print what came of each."""
    from launch.show.filters import Filter
    from launch.show.holding import ask

    chosen, everyone = composing.meant(name, words, Filter(states, methods))
    found = ask(chosen, everyone, question)
    told = [said for said in found if words.names or said.waits or said.failed]
    for said in told:
        print(f"{said.cell}: {said.text}")
    if not told:
        print(f"None of the {len(chosen)} cells waits in Slurm.")
    return 1 if any(said.failed for said in found) else 0
