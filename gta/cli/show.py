"""`gta show`."""

from __future__ import annotations

import textwrap
import time
from json import dumps
from typing import TYPE_CHECKING, Any

from gta.cli import composing, grammar, options
from gta.cli.grammar import Words

if TYPE_CHECKING:
    from launch.show.inspect import CellDetails


@grammar.command("show", examples=["gta show gta/92/seed0", "gta show 1a2b3c --json"])
@grammar.words("CELL", 1)
@options.as_json
def command(words: Words, json: bool) -> int:
    """One cell: its config, attempts, code and result.

    Also its environment. First the settings that are not the schema's defaults; the split lists with their digests and
    known names; code (commit, changes, digest of the tree). With sweep=NAME only the cells of that grid are meant.

    With --json one object: signature, folder, cell, result, failure, damaged, config {changed, default, neutral},
    split, method (of one of your own: its source), attempts, code, environment.
    """
    from launch.grid.names import find
    from launch.show.inspect import CellDetails

    details = CellDetails.read(find(words.names[0], composing.named_cells(words.overrides)).folder)
    if json:
        print(dumps(as_json(details), indent=1))
    else:
        show(details)
    return 0


def as_json(details: CellDetails) -> dict[str, Any]:
    return {
        "signature": details.folder.signature,
        "folder": str(details.folder.path),
        "cell": details.identity and details.identity.as_dict(),
        "result": details.result and details.result.as_dict(),
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
        lasted = duration((one.end_time or one.beat) - one.time) if one.time else ""
        ended = one.ended or ("running" if one.alive() else "died without a word")
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(one.time)) if one.time else ""
        why = (one.error if one.ended == "failed" else one.why) or one.error or ""
        rows.append((one.number, when, lasted, one.node or one.host, one.job, one.began, f"{ended}  {why}".strip()))
    headers = ("", "began", "lasted", "on", "job", "from iteration", "ended")
    if not rows:
        print("  none yet")
        return
    print(textwrap.indent(tabulate(rows, headers=headers, tablefmt="plain", disable_numparse=True), "  "))
