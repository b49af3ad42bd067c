"""The method of docs/guides/own-method.md is held to the contract, by the test that the page shows."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

from tests.helpers.own_method import put
from tests.helpers.program import ROOT
from tests.helpers.snippets import snippets

method, test = snippets(ROOT / "docs/guides/own-method.md", "python")
with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
    put(Path(folder), method.text, Path(method.own_method).stem)
    TestPseudoLabel = test.executed()["TestPseudoLabel"]
