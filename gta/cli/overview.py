"""The one screen of what is here: the sweeps, how far each is, and which commands come next."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING

from gta.cli import composing
from gta.errors import UserError

if TYPE_CHECKING:
    from launch.show.sweeps import SweepStanding

_PATHS = "paths."
_FIRST = "shapes"  # the sweep that needs nothing


def asked(overrides: Sequence[str]) -> bool:
    """Whether words name no grid: nothing is said, or only where things are."""
    return all(word.startswith(_PATHS) for word in overrides)


def show(
    overrides: Sequence[str], command: str, json: bool = False, unfit: Sequence[str] = (), options: Sequence[str] = ()
) -> int:
    """List the sweeps for a command that was given none. `unfit`: options that need one. Raises UserError for those;
    `options`: others that were given, which the command that is shown keeps.
    """
    if unfit:
        raise UserError(f"{' '.join(unfit)} {'is' if len(unfit) == 1 else 'are'} of a grid: say which, sweep=NAME.")
    if json:
        print(dumps({"sweeps": [sweep.as_dict() for sweep in found(overrides)]}, indent=1))
        return 0
    _list(found(overrides))
    print(f"\nSay which: {composing.shell_line(command, 'sweep=NAME', *overrides, *options)}")
    return 0


def screen() -> int:
    """What `gta` alone prints."""
    from gta.cli.version import described

    print(f"{described()}, in {Path.cwd()}\n")
    sweeps = found(())
    _list(sweeps)
    print("\nNext")
    lines = [*_next(sweeps), ("gta COMMAND --help", "more about one command"), ("gta --help", "all commands")]
    width = max(len(line) for line, _ in lines)
    for line, what in lines:
        print(f"  {line:<{width}}  {what}")
    return 0


def found(overrides: Sequence[str]) -> list[SweepStanding]:
    """All sweeps; those that are begun first."""
    composing.runs_must_be_a_folder(composing.runs_folder(overrides))
    hydra = composing.start()
    from launch.show.sweeps import sweeps

    return sorted(sweeps(hydra, composing.protected(overrides)), key=lambda one: (not one.begun, bool(one.trouble)))


def _list(sweeps: Sequence[SweepStanding]) -> None:
    """A line for each sweep, within the window where its reason allows it."""
    from launch.show.words import cut

    room = shutil.get_terminal_size((160, 24)).columns
    name = max(len(sweep.name) for sweep in sweeps)
    far = max((len(sweep.far()) for sweep in sweeps if not sweep.trouble), default=0)
    print(f"{'sweep':<{name}}  {'how far':<{far}}  what it is")
    for sweep in sweeps:
        if sweep.trouble:
            print(f"{sweep.name:<{name}}  cannot be used: {sweep.trouble}")
        else:
            print(cut(f"{sweep.name:<{name}}  {sweep.far():<{far}}  {sweep.about}".rstrip(), room))


def _next(sweeps: Sequence[SweepStanding]) -> list[tuple[str, str]]:
    """Commands that go on from here, with what they do."""
    usable = [sweep for sweep in sweeps if not sweep.trouble]
    first = next((sweep.name for sweep in usable if sweep.name == _FIRST), usable[0].name if usable else "NAME")
    whole = [sweep.name for sweep in usable if sweep.whole]
    going = [sweep.name for sweep in usable if sweep.begun and not sweep.whole]
    lines = []
    if going:
        lines.append((f"gta status sweep={going[0]}", "where every cell stands"))
        lines.append((f"gta multirun sweep={going[0]}", "run what is missing, and print the table"))
    if whole:
        lines.append((f"gta table sweep={whole[0]}", "its table"))
        lines.append((f"gta report sweep={whole[0]}", "one HTML file with the table, curves and pictures"))
    if not going and not whole:
        lines.append((f"gta plan sweep={first}", "what would run, and what that would cost"))
        lines.append((f"gta multirun sweep={first}", "run it, watch it, print the table"))
        lines.append(("gta doctor", "what is there, and what is missing"))
    return lines
