"""Which version runs."""

from __future__ import annotations

from importlib import metadata

from gta.provenance.code import running

DISTRIBUTION = "gta-seg"


def described() -> str:
    """`gta-seg 0.1.0`, with the commit, and whether files differ from it, where the code is a checkout or a copy."""
    try:
        version = f"{DISTRIBUTION} {metadata.version(DISTRIBUTION)}"
    except metadata.PackageNotFoundError:
        version = f"{DISTRIBUTION}, not installed"
    code = running()
    if not code["commit"]:
        return version
    return f"{version} (commit {code['commit'][:9]}{', with changes' * code['dirty']})"
