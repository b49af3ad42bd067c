"""Texts that are to stay what they are: files in tests/golden, which a test compares with what it made."""

from __future__ import annotations

import pytest

from tests.helpers.program import ROOT


def same_as_golden(name: str, text: str) -> None:
    """Fails where the file says otherwise. Delete it and run again to write it anew; then look at the difference."""
    path = ROOT / "tests/golden" / name
    if not path.exists():
        path.write_text(text, encoding="utf-8")
        pytest.fail(f"tests/golden/{name} was not there; it has been written")
    assert text == path.read_text(encoding="utf-8")
