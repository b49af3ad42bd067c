"""The words of `site.sbatch` beside the site's fields: which of them ask for the same, and which one counts.

A word of `site.sbatch` counts more than a field, which has a default, in hyphens or underscores. What is said on the
command line counts more than what a file says, and of two there the later: so `retry --mem 64` replaces the
`mem-per-gpu` of a site.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gta.config import Config, SiteConfig
from gta.errors import UserError
from gta.ranges import LINE, shown

# field of the site -> sbatch's options that ask for the same, the field's own first
_SAME = {
    "mem_gb": ("mem", "mem-per-cpu", "mem-per-gpu"),
    "gpus_per_node": ("gpus-per-node", "gpus", "gpus-per-task", "gpus-per-socket", "gres"),
    "cpus_per_rank": ("cpus-per-task", "cpus-per-gpu"),
    "time_limit": ("time",),
    "warning_seconds": ("signal",),
    **{name: (name,) for name in ("partition", "account", "qos", "constraint", "exclude")},
}
_FIELDS = {option: field for field, options in _SAME.items() for option in options}
_REFUSED = {
    "nodes": "say site.nodes, by which cells are trained",
    "ntasks": "say site.nodes and site.ranks, by which cells are trained",
    "ntasks-per-node": "say site.ranks, by which cells are trained",
    "clusters": "cells are watched where they were sent from: run this on a login node of that cluster",
    **dict.fromkeys(("job-name", "comment"), "by it a launcher finds its jobs again"),
    **dict.fromkeys(("array", "output", "wrap", "wait", "parsable", "test-only"), "the launcher says it itself"),
}


_OPTION = re.compile(r"[A-Za-z][A-Za-z0-9-]*")


def words(options: Mapping[str, Any]) -> dict[str, str]:
    """sbatch options by their long names, with hyphens. Of one that is there in two spellings, the later counts."""
    return {name.replace("_", "-"): str(value) for name, value in options.items()}


def flags(options: Mapping[str, Any]) -> dict[str, Any]:
    """As sbatch is told: `true` is an option without a value, and `false` is none."""
    given = words(options)
    shown = {name: value for name, value in given.items() if value.lower() != "false"}
    return {name: True if value.lower() == "true" else value for name, value in shown.items()}


def rivals(options: Mapping[str, Any]) -> set[str]:
    """All options that ask for what these ask for, these among them: none of them is to be there a second time."""
    found = set()
    for name, value in words(options).items():
        field = _field(name, value)
        found |= {name, *(_SAME[field] if field else ())}
    return found


def _field(name: str, value: str) -> str | None:
    """The site's field that asks for the same as an option."""
    if name == "gres" and not _count(value, in_gres=True):
        return None  # lscratch:10
    return _FIELDS.get(name)


def settled(config: Config, overrides: Sequence[str]) -> Config:
    """The config without those words of `site.sbatch` that the command line says otherwise (see the module)."""
    if not config.site.sbatch:
        return config
    last: dict[str, str] = {}  # field -> what spoke of it last: the field, or a word
    said: set[str] = set()
    mine = words(config.site.sbatch)
    for name, value in _said(overrides):
        field = name if name in _SAME else _field(name, mine.get(name, value))
        if field and (name != field or value not in ("", "null")):
            last[field] = name
            said.add(name)
    dropped = {name for name, value in mine.items() if _replaced(name, last.get(_field(name, value) or ""), said)}
    if not dropped:
        return config
    kept = {name: value for name, value in mine.items() if name not in dropped}
    return replace(config, site=replace(config.site, sbatch=kept))


def _replaced(word: str, last: str | None, said: Collection[str]) -> bool:
    """Whether the command line ends with something else than this word: `last`, a field or another word."""
    return last is not None and last != word and (last in _SAME or word not in said)


def _said(overrides: Sequence[str]) -> list[tuple[str, str]]:
    """The site's fields and words of `sbatch` on a command line, in order: (mem_gb, 64), (mem-per-gpu, 8G)."""
    found = []
    for override in overrides:
        match = re.match(r"[+~]*site\.(?:(sbatch)\.)?([\w-]+)=(.*)", override)
        if match and not match[1] and match[2] == "sbatch":  # a mapping: {gres: "gpu:2", nice: 100}
            names = re.findall(r"[{,]\s*['\"]?([\w-]+)['\"]?\s*:", match[3])
            found += [(name.replace("_", "-"), "") for name in names]
        elif match:
            found.append((match[2].replace("_", "-") if match[1] else match[2], match[3].strip("'\"")))
    return found


def gpus(site: SiteConfig) -> int | None:
    """GPUs that a cell's job asks for on all of its nodes, by whichever option; None where the site does not say."""
    given = {name: value for name, value in words(site.sbatch).items() if _field(name, value) == "gpus_per_node"}
    if not given:
        return None if site.gpus_per_node is None else site.gpus_per_node * site.nodes
    counts = {name: _count(value, in_gres=name == "gres") for name, value in given.items() if value.lower() != "false"}
    if "gpus" in counts:
        return counts["gpus"]
    if "gpus-per-task" in counts:
        return counts["gpus-per-task"] * site.ranks * site.nodes
    return max(counts.values(), default=0) * site.nodes


def gpus_per_node(site: SiteConfig) -> int | None:
    """The same, on the node that has most of them."""
    total = gpus(site)
    return None if total is None else -(-total // site.nodes)


def gpus_in(gres: str) -> int:
    """GPUs among generic resources, of a job or a node: 6 in `gpu:a100:4(S:0-1),gpu:v100:2,tmp:9`, 0 in `(null)`."""
    return _count(gres, in_gres=True)


def _count(text: str, in_gres: bool) -> int:
    """GPUs in `4`, `a100:4`, `a100:2,v100:1`; of generic resources in `gpu:a100:4,lscratch:10`, `gpu`."""
    total = 0
    for part in re.split(r",(?![^(]*\))", text):
        name, *rest = re.sub(r"\(.*?\)", "", part).strip().split(":")
        if in_gres and name not in ("gpu", "gres/gpu"):
            continue
        last = rest[-1] if rest else "1" if in_gres else name
        total += int(last) if last.isdigit() else 1 if part.strip() else 0
    return total


def check_lines(params: Mapping[str, Any]) -> None:
    """Raises UserError for what would become more than one line of a batch script: a launcher's parameters also come
    from the command line (hydra.launcher.partition=...), and never were a site's.
    """
    for name, value in params.items():
        if name in ("setup", "teardown"):
            continue
        for text in [*value, *value.values()] if isinstance(value, Mapping) else [value]:
            if not LINE.holds(str(text)):
                raise UserError(f"hydra.launcher.{name} is {shown(str(text))}; it must be {LINE.what}.")
    for name in words(params.get("additional_parameters") or {}):
        if not _OPTION.fullmatch(name):
            raise UserError(f"hydra.launcher.additional_parameters: {name!r} is no option of sbatch's.")


def check_site(site: SiteConfig) -> None:
    """Raises UserError for a word that is not a site's to say, and for a kind of GPU without a number."""
    for name in words(site.sbatch):
        if not _OPTION.fullmatch(name):
            raise UserError(f"site.sbatch: {name!r} is no option of sbatch's; give long names (gres), without --.")
        if name in _REFUSED:
            raise UserError(f"site.sbatch.{name}: {_REFUSED[name]}; leave it out.")
    if site.gpu_type and gpus_per_node(site) is None:
        raise UserError(f"site.gpu_type={site.gpu_type}: say how many, site.gpus_per_node=1.")
