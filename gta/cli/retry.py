"""`gta retry`: which resources it gives, and what it says where there is nothing to run again."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from gta.cli import grammar, multirun, options
from gta.cli.grammar import Parsed, Words, option
from gta.errors import UserError

UNITS = {"m": 1, "h": 60, "d": 1440}


def minutes(text: str) -> int:
    """Minutes of 90, 90m, 2h, 1.5h, 1d, 2:30:00 (as Slurm writes hours) or 1-12:00:00."""
    if match := re.fullmatch(r"(?:(\d+)-)?(\d+):(\d\d):(\d\d)", text):
        days, hours, rest, seconds = (int(part or 0) for part in match.groups())
        return days * 1440 + hours * 60 + rest + (seconds > 0)
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)([mhd]?)", text):
        value = round(float(match[1]) * UNITS[match[2] or "m"])
        if value > 0:
            return value
    raise UserError("give minutes, or 90m, 2h, 1d or 12:00:00.")


def gigabytes(text: str) -> int:
    match = re.fullmatch(r"(\d+)(?:g|gb)?", text, re.IGNORECASE)
    if not match or not int(match[1]):
        raise UserError("give whole GB of memory a node, such as --mem 64.")
    return int(match[1])


def count(text: str) -> int:
    if not text.isdecimal():
        raise UserError("give a whole number of GPUs or CPUs.")
    return int(text)


RESOURCES: dict[str, tuple[str, str, Callable[[str], Any], str]] = {
    # option: (setting, what stands for the value, what reads it, help)
    "mem": ("site.mem_gb", "GB", gigabytes, "GB of a node's job: 64, 64G."),
    "time": ("site.time_limit", "TIME", minutes, "Minutes, or 90m, 2h, 1d, H:MM:SS."),
    "gpus": ("site.gpus_per_node", "N", count, "GPUs a node."),
    "cpus": ("site.cpus_per_rank", "N", count, "CPUs a rank."),
    **{
        name: (f"site.{name}", "NAME", str, f"Slurm's --{name}.")
        for name in ("partition", "account", "qos", "constraint", "exclude")
    },
}
_resources = grammar.together(
    *(
        option(f"--{name}", metavar=metavar, type=Parsed(name, parse), old=name, help=help)
        for name, (_, metavar, parse, help) in RESOURCES.items()
    )
)


@grammar.command(
    "retry",
    exit_codes="as multirun; 0 where there is nothing to run again",
    examples=[
        "gta retry sweep=shapes",
        "gta retry sweep=voc_blender hydra/launcher=slurm site=slurm --oom --mem 64 --time 2h",
        "gta retry sweep=voc_blender gta/662/seed0 'cps/*' hydra/launcher=slurm",
        "gta retry sweep=voc_blender gta/662/seed0 --new-order",
    ],
)
@grammar.words("CELL")
@option("--oom", is_flag=True, help="Only cells that ran out of memory.")
@option("--new-order", is_flag=True, help="Only cells that diverged, with other batches from the last checkpoint on.")
@options.filters
@_resources
@options.wait
@options.budget
def command(
    words: Words, oom: bool, new_order: bool, states: tuple[str, ...], methods: tuple[str, ...], wait: bool,
    budget: float | None, **resources: Any,
) -> int:  # fmt: skip
    """Run failed and lost cells again, with more memory or time.

    All those of the grid, or those that are named (signature, its beginning, words such as gta/92/seed0, or a pattern
    of these) or picked (--state, --method); one that was cancelled only when it is named, or by --state cancelled. They
    go on from their last checkpoints. Takes the words of multirun (hydra/launcher=slurm, ...) and does what it does.

    Resources cannot change a result; any other is site.NAME=value. A setting that can change a result makes another
    cell: for that, say multirun.

    A cell that diverged (a loss or a network that is not finite) would do so again. --new-order lets it go on from its
    last good checkpoint with images in another order and other crops, drawn from another seed. That changes its number:
    result.json, MLflow, show and the table's footer say from which iteration on.
    """
    if not words.overrides:
        raise UserError("retry takes the words of multirun: gta retry sweep=NAME [CELL ...] [--mem 64].")
    if any(word.startswith(("retry=", "cells=")) for word in words.overrides):
        raise UserError("--retry and --cells are multirun's; here, name the cells: gta retry sweep=NAME gta/92/seed0.")
    if oom and new_order:
        raise UserError("--oom and --new-order pick different cells: give one of them.")
    overrides = [*words.overrides, *as_settings(resources)]
    asked = {"cells": words.names, "states": states, "methods": methods, "wait": wait, "budget": budget}
    report = multirun.launch(overrides, {**asked, "oom": oom, "new_order": new_order, "again": True})
    if report.nothing:
        known = any(entry.cell.folder.path.exists() for entry in report.entries)
        print(nothing(words.overrides, "ran out of memory" if oom else "diverged" if new_order else "", known))
        return 0
    return multirun.finish(report, overrides)


def as_settings(resources: dict[str, Any]) -> list[str]:
    """The resources that were asked for, as overrides of the site."""
    return [
        f"{RESOURCES[name][0]}={multirun.in_hydras_words(value)}"
        for name, value in resources.items()
        if value is not None
    ]


def nothing(overrides: Sequence[str], what: str, known: bool) -> str:
    """What to say when there is nothing to run again. `what` had to be true of a cell, where not any failure is meant;
    `known`: some cell of the grid was submitted once.
    """
    from gta.config import Config
    from gta.fields import describe

    rows = describe(Config)
    changing = [word for word in overrides if (row := rows.get(word.partition("=")[0])) and not row["neutral"]]
    changing += [word for word in overrides if word.startswith("method.") and not word.startswith("method.label")]
    if not known and changing:
        return (
            f"No cell of this grid was ever submitted: {' '.join(dict.fromkeys(changing))} can change a result, so it "
            "names other cells. retry takes resources only (--mem 64, --time 2h, ...); for other cells, say multirun."
        )
    return f"No cell of this grid {what or 'failed or got lost'}."
