"""With which code, and where, the attempts of a drill ran: from their records, for its certificate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gta.cellfolder import Attempt
from gta.provenance.environment import commit_of

PACKAGES = ("torch", "numpy", "opencv-python-headless")


def about(attempts: Sequence[Attempt]) -> dict[str, Any]:
    """`commits`, `machines` and `packages` of a certificate: those of all attempts."""
    found = [attempt.environment for attempt in attempts]
    packages = found[0].get("packages", {}) if found else {}
    return {
        "commits": list(dict.fromkeys(map(_code, found))),
        "machines": list(dict.fromkeys(map(_machine, found))),
        "packages": {name: str(packages[name]) for name in PACKAGES if name in packages},
    }


def _code(environment: Mapping[str, Any]) -> str:
    return commit_of(environment) or "unknown"


def _machine(environment: Mapping[str, Any]) -> str:
    gpus = ", ".join(dict.fromkeys(environment.get("gpus") or ["no GPU"]))
    return f"{environment.get('host')}: {environment.get('cpu')}, {gpus}"
