"""`gta show`."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Sequence
from dataclasses import asdict
from json import dumps
from typing import TYPE_CHECKING, Any

from gta.cli import composing, grammar, options
from gta.cli.grammar import Words
from gta.errors import UserError

if TYPE_CHECKING:
    from gta.cell import Cell
    from launch.show.inspect import CellDetails


@grammar.command(
    "show", examples=["gta show gta/92/seed0", "gta show gta/1/50/seed0 sweep=shapes", "gta show 1a2b3c --json"]
)
@grammar.words("CELL", 1)
@options.as_json
def command(words: Words, json: bool) -> int:
    """One cell: its config, attempts, code and result.

    Also its environment, and what gta eval recorded of it. First the settings that are not the schema's defaults; the
    split lists with their digests and known names; code (commit, changes, digest of the tree). With sweep=NAME only the
    cells of that grid are meant, also those that never ran: of such a one its config, signature and lists, and the
    command that runs it.

    With --json one object: signature, folder, cell, result, evaluations, failure, damaged, config {changed, default,
    neutral}, split, method (of one of your own: its source), attempts, code, environment; of a cell that never ran
    also `runs`, the command.
    """
    details, cell = find(words.names[0], words.overrides)
    runs = composing.shell_line("multirun", *words.overrides, "--cells", words.names[0])
    if json:
        print(dumps(as_json(details) | ({"runs": runs} if cell else {}), indent=1))
        return 0
    if cell:
        never_ran(cell, runs)
    show(details)
    return 0


def find(name: str, overrides: Sequence[str]) -> tuple[CellDetails, Cell | None]:
    """What is known of a cell; with the cell where it never ran. Raises UserError where there is none of this name."""
    from launch.grid import names
    from launch.show.inspect import CellDetails

    if composing.no_grid(overrides):
        try:
            return CellDetails.read(names.find(name, composing.named_cells(overrides)).folder), None
        except UserError as error:
            raise UserError(f"{error} One that never ran is shown with its grid: add sweep=NAME.") from None
    _, grid = composing.recorded_grid(overrides)
    found = names.find(name, names.of_grid(grid))
    if found.folder.frozen:
        return CellDetails.read(found.folder), None
    cell = next(cell for cell in grid if cell.signature == found.signature)
    identity = None if cell.not_at_hand else cell.identity()
    return CellDetails.planned(cell.folder, identity, asdict(cell.config)), cell


def never_ran(cell: Cell, runs: str) -> None:
    """Say what would run, and what is not known of it."""
    from gta import recipe

    print(f"{cell.title} never ran. This runs it:\n  {runs}\n{recipe.line([cell.config])}")
    if cell.not_at_hand:
        print(f"Its signature is not known here: not at hand are {', '.join(cell.not_at_hand)}.")
    else:
        print(f"signature {cell.signature}")
    print()


def as_json(details: CellDetails) -> dict[str, Any]:
    return {
        "signature": details.folder.signature,
        "folder": str(details.folder.path),
        "cell": details.identity and details.identity.as_dict(),
        "result": details.result and details.result.as_dict(),
        "evaluations": [{"name": one.name, **one.as_dict()} for one in details.evaluated],
        "failure": details.failure and details.failure.as_dict(),
        "damaged": details.damaged,
        "config": {"changed": details.changed(), "default": details.at_default(), "neutral": details.neutral()},
        "split": details.split(),
        "method": details.method(),
        "attempts": [{"number": one.number, "heartbeat": one.beat, **one.as_dict()} for one in details.attempts],
        "code": details.code(),
        "environment": details.environment(),
    }


def show(details: CellDetails) -> None:
    """Print the parts, what matters most first."""
    print(f"{details.title}\n{details.folder.path}")
    for problem in details.damaged:
        print(f"damaged: {problem}")
    if details.damaged:
        print(f"`gta repair {details.folder.signature[:8]}` says what can be made again.")
        if any("of version" in problem for problem in details.damaged):
            print("What is of another version is whole: read it with the version of gta that wrote it.")
    scores = {name: value for name, value in details.scores().items() if value is not None}
    part("result", scores or {"": "none yet"})
    evaluations_table(details)
    part("settings that are not the schema's defaults", details.changed())
    part("split", details.split())
    if own := details.method():
        part("the method, one of your own", own)
    attempts_table(details)
    part("code of the last attempt", details.code() or {"": "not recorded"})
    part("environment of the last attempt", details.environment() or {"": "not recorded"})
    part("settings that cannot change a result", details.neutral())
    print("\nsettings at their defaults")
    text = "  ".join(f"{name}={value}" for name, value in details.at_default().items())
    print(textwrap.fill(text, 118, initial_indent="  ", subsequent_indent="  ", break_long_words=False))


def evaluations_table(details: CellDetails) -> None:
    """One line for each protocol and network by which the cell was scored, where there are any."""
    if not details.evaluated:
        return
    from tabulate import tabulate

    print("\nscored by any protocol (evaluations/)")
    rows = [
        (one.name, one.evaluation, one.network, f"{one.miou:.2f}", f"{one.iteration} ({one.which})", one.commit or "")
        for one in details.evaluated
    ]
    headers = ("name", "protocol", "network", "mIoU (%)", "iteration", "code")
    print(textwrap.indent(tabulate(rows, headers=headers, tablefmt="plain", disable_numparse=True), "  "))


def part(title: str, values: dict[str, Any]) -> None:
    print(f"\n{title}")
    width = max((len(name) for name in values), default=0)
    for name, value in values.items():
        print(f"  {name:<{width}}  {text_of(value)}".rstrip() if name else f"  {value}")


def text_of(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def attempts_table(details: CellDetails) -> None:
    """One line an attempt: when, how long, where, from which iteration, how it ended."""
    from tabulate import tabulate

    from launch.show.words import duration

    print("\nattempts")
    rows = []
    for one in details.attempts:
        lasted = "" if one.lasted is None else duration(one.lasted)
        ended = one.ended or ("running" if one.alive() else "died without a word")
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(one.time)) if one.time else ""
        why = (one.error if one.ended == "failed" else one.why) or one.error or ""
        rows.append((one.number, when, lasted, one.node or one.host, one.job, one.began, f"{ended}  {why}".strip()))
    headers = ("", "began", "lasted", "on", "job", "from iteration", "ended")
    if not rows:
        print("  none yet")
        return
    print(textwrap.indent(tabulate(rows, headers=headers, tablefmt="plain", disable_numparse=True), "  "))
