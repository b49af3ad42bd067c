"""The method of docs/guides/own-method.md is held to the contract, by the test that the page shows."""

from __future__ import annotations

from tests.helpers.program import ROOT
from tests.helpers.snippets import snippets

_, shown = [snippet.executed() for snippet in snippets(ROOT / "docs/guides/own-method.md", "python")]
TestPseudoLabel = shown["TestPseudoLabel"]
