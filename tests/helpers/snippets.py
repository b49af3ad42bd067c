"""The pages of the documentation, taken apart: fenced snippets, code in running text, tables, links and headings."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.helpers.program import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def named(path: Path) -> str:
    """A page as it is called in the name of a test."""
    return str(path.relative_to(ROOT))


@dataclass(frozen=True)
class Snippet:
    """One fenced block. `language` is what follows the fence; `line` is that of its first line."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{named(self.page)}:{self.line}"

    @property
    def path(self) -> str:
        """Where a YAML snippet says that it belongs: its first line is a comment that names the file."""
        found = re.match(r"# ((?:conf|sweeps)/[\w/]+\.yaml)\n", self.text)
        assert found, f"{self}: the first line of a YAML snippet says where it belongs: # conf/... or # sweeps/..."
        return found[1]

    @property
    def own_method(self) -> str:
        """The file in ./methods that a Python snippet says it is; empty for one that is none."""
        found = re.match(r"# (methods/\w+\.py)\n", self.text)
        return found[1] if found else ""

    def executed(self) -> dict[str, Any]:
        """The names that a Python snippet defines. One whose first line names its file can be imported from then on."""
        place = re.match(r"# ([\w/]+)\.py\n", self.text)
        name = place[1].replace("/", ".") if place else re.sub(r"\W", "_", str(self))
        module = sys.modules[name] = ModuleType(name)  # dataclasses look their module up
        exec(compile(f"from __future__ import annotations\n{self.text}", str(self), "exec"), module.__dict__)
        return module.__dict__

    def commands(self) -> Iterator[str]:
        """The lines of a bash snippet, without comments; one that ends with a backslash goes on with the next."""
        for line in re.sub(r"\\\n\s*", "", self.text).splitlines():
            if command := line.split("#")[0].strip():
                yield command


def snippets(page: Path, language: str = "") -> list[Snippet]:
    """The fenced blocks of a page, in order: all of them, or those of one language."""
    text = page.read_text()
    found = [Snippet(page, text.count("\n", 0, m.start()) + 2, m[1], m[2]) for m in _FENCE.finditer(text)]
    return [snippet for snippet in found if language in ("", snippet.language)]


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", page.read_text())


def table(page: Path, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    text = page.read_text().partition(f"\n## {heading}\n")[2]
    assert text, f"{named(page)} has no heading {heading}"
    rows = re.findall(r"^\| (.*) \|$", text.partition("\n## ")[0], re.MULTILINE)
    return [re.split(r" \| ", row) for row in rows[2:]]


def inline(page: Path, beginning: str) -> list[str]:
    """Code in running text (`make test`) that begins so."""
    return [code for code in re.findall(r"`([^`\n]+)`", prose(page)) if code.startswith(beginning)]


def links(page: Path) -> list[str]:
    """The targets of the links and pictures of a page that lie in this project: path, path#anchor or #anchor."""
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)) if "://" not in target]


def anchors(page: Path) -> set[str]:
    """What a page's headings are linked by, as GitHub makes it: small letters, a hyphen for each space."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in words}
