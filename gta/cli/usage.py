"""`gta usage`."""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING

from gta.cli import composing, grammar, options
from gta.cli.grammar import Words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launch.slurm.accounts import JobUse
    from launch.state.ledger import Entry


@grammar.command(
    "usage",
    exit_codes="0; 2 something to mend first",
    examples=[
        "gta usage sweep=shapes",
        "gta usage sweep=voc_blender site=mycluster --method 'gta*'",
        "gta usage sweep=shapes --json",
    ],
)
@grammar.words()
@options.filters
@options.as_json
def command(words: Words, states: tuple[str, ...], methods: tuple[str, ...], json: bool) -> int:
    """What cells used of what was asked for, and the lines of the site's profile that would fit.

    For each method: time, memory and cores of its jobs by Slurm's accounting (sacct: MaxRSS is sampled, and of all
    ranks of a node the largest one counts), seconds an iteration and the GPU's use by the cells' journals (of rank
    0's GPU). A time limit for a whole cell is proposed from the speed of the cells so far. Where the cluster keeps no
    accounting, or does not answer, that is said, and nothing is proposed of memory and cores. Of a method 20 cells
    are looked at, those that are done first. Nothing is changed.

    With --json one object: sweep, variant, accounting (true; false: there is none; null: it does not answer, or no
    job was one of Slurm's), usage [{method, cells, done, jobs, longest (s), iteration (s), whole (s), asked_minutes,
    memory (MiB of a node), asked_memory, out_of_memory (cells), process_memory (MiB), data_wait (percent), cores,
    asked_cores, gpus, gpu_percent, gpu_memory (MiB), gpu_size (MiB)}], proposed [lines, or a remark behind #]; null
    where unknown.
    """
    master, cells = composing.recorded_grid(words.overrides)
    from launch.grid.grid import sweep_of
    from launch.show import usage
    from launch.show.filters import Filter

    entries = Filter(states, methods).of(composing.look(cells))
    looked = usage.sampled(entries)
    starts, accounting, said = _accounts(looked)
    found = usage.usages(looked, starts)
    lines = usage.proposed(found, cells[0].config.site)
    if json:
        sweep = sweep_of(master)
        made = {"sweep": sweep.name, "variant": sweep.variant, "accounting": accounting}
        print(dumps({**made, "usage": [one.as_dict() for one in found], "proposed": lines}, indent=1))
        return 0
    if not found:
        print("No cell has begun: what they use is known once one has.")
        return 0
    for one in found:
        print("\n".join(usage.lines(one)))
    print(f"\n{said}")
    if lines:
        print("Lines of the site's profile that would fit (conf/site/NAME.yaml):")
    print("\n".join(f"  {line}" for line in lines) or "Nothing else to propose: what was asked for fits.")
    return 0


def _accounts(looked: Sequence[Entry]) -> tuple[list[JobUse], bool | None, str]:
    """What the accounting says of the cells' jobs; whether there is one; and a sentence about it."""
    from launch.show import usage
    from launch.slurm import accounts
    from launch.state.jobs import Unknown

    names = usage.jobs(looked)
    if not names:
        return [], None, "No job of Slurm's ran these cells: time, memory and GPU are as their journals say."
    answer = accounts.used(names)
    if answer is None:
        return [], False, "This cluster keeps no accounting: memory and cores of the jobs are not known."
    if isinstance(answer, Unknown):
        return [], None, f"Memory and cores of the jobs are not known now: {answer.why}."
    starts = [start for start in answer if names[start.job] in ("", start.name)]  # ids come round again
    return starts, True, f"By the accounting of {len({start.job for start in starts})} jobs, and the cells' journals."
