"""`gta show`."""

from __future__ import annotations

import textwrap
import time
from json import dumps
from typing import TYPE_CHECKING, Any

from gta.cli import composing, grammar, options
from gta.cli.grammar import Words

if TYPE_CHECKING:
    from launch.show.inspect import Facts


@grammar.command("show", examples=["gta show gta/92/seed0", "gta show 1a2b3c --json"])
@grammar.words("CELL", 1)
@options.as_json
def command(words: Words, json: bool) -> int:
    """One cell: its config, attempts, code and result.

    Also its environment. First the settings that are not the schema's defaults; the split lists with their digests and
    known names; code (commit, changes, digest of the tree). With sweep=NAME only the cells of that grid are meant.

    With --json one object: signature, folder, cell, result, config {changed, default, neutral}, split, attempts, code,
    environment.
    """
    from launch.grid.names import find
    from launch.show.inspect import Facts

    facts = Facts.read(find(words.names[0], composing.named_cells(words.overrides)).folder)
    if json:
        print(dumps(as_json(facts), indent=1))
    else:
        show(facts)
    return 0


def as_json(facts: Facts) -> dict[str, Any]:
    return {
        "signature": facts.folder.name,
        "folder": str(facts.folder),
        "cell": facts.identity,
        "result": facts.result,
        "failure": facts.failure,
        "config": {"changed": facts.changed(), "default": facts.at_default(), "neutral": facts.neutral()},
        "split": facts.split(),
        "attempts": [{"number": record.number, "heartbeat": record.beat, **record.fields} for record in facts.attempts],
        "code": facts.code(),
        "environment": facts.environment(),
    }


def show(facts: Facts) -> None:
    """Print the parts, what matters most first."""
    print(f"{facts.title}\n{facts.folder}")
    scores = {name: value for name, value in facts.scores().items() if value is not None}
    part("result", scores or {"": "none yet"})
    part("settings that are not the schema's defaults", facts.changed())
    part("split", facts.split())
    attempts_table(facts)
    part("code of the last attempt", facts.code() or {"": "not recorded"})
    part("environment of the last attempt", facts.environment() or {"": "not recorded"})
    part("settings that cannot change a result", facts.neutral())
    print("\nsettings at their defaults")
    text = "  ".join(f"{name}={value}" for name, value in facts.at_default().items())
    print(textwrap.fill(text, 118, initial_indent="  ", subsequent_indent="  ", break_long_words=False))


def part(title: str, values: dict[str, Any]) -> None:
    print(f"\n{title}")
    width = max((len(name) for name in values), default=0)
    for name, value in values.items():
        print(f"  {name:<{width}}  {text_of(value)}".rstrip() if name else f"  {value}")


def text_of(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def attempts_table(facts: Facts) -> None:
    """One line an attempt: when, how long, where, from which iteration, how it ended."""
    from tabulate import tabulate

    from launch.show.board import duration

    print("\nattempts")
    rows = []
    for record in facts.attempts:
        fields = record.fields
        began = fields.get("time")
        lasted = duration(fields.get("end_time", record.beat) - began) if began else ""
        ended = record.ended or ("running" if record.alive() else "died without a word")
        why = fields.get("why") or fields.get("error") or ""
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(began)) if began else ""
        where = fields.get("node") or fields.get("host")
        begun = fields.get("from")
        rows.append((record.number, when, lasted, where, fields.get("job"), begun, f"{ended}  {why}".strip()))
    headers = ("", "began", "lasted", "on", "job", "from iteration", "ended")
    if not rows:
        print("  none yet")
        return
    print(textwrap.indent(tabulate(rows, headers=headers, tablefmt="plain", disable_numparse=True), "  "))
