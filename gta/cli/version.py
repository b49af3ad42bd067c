"""Which version runs."""

from __future__ import annotations

from importlib import metadata

from gta.provenance.code import running
from gta.provenance.environment import commit

DISTRIBUTION = "gta-seg"


def described() -> str:
    """`gta-seg 0.1.0`, with the commit, and whether files differ from it; where git tells none, the code's digest."""
    try:
        version = f"{DISTRIBUTION} {metadata.version(DISTRIBUTION)}"
    except metadata.PackageNotFoundError:
        version = f"{DISTRIBUTION}, not installed"
    code = running()
    if not code["commit"]:
        return f"{version} ({commit()})"
    return f"{version} (commit {code['commit'][:9]}{', with changes' * code['dirty']})"
