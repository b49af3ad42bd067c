"""The project's own code as files: which they are, what is in them, and which commit they are from.

Three cases: a git checkout (tracked files as they are now, and new ones that git does not ignore), an installed package
(the package folders), and a snapshot of either (`code.json` beside the packages says what it was made of).
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from gta import INSTALLED, progress

ROOT = Path(__file__).resolve().parents[2]  # where the running code is
RECORD = "code.json"  # of a snapshot
DIFF = "code.diff"
PACKAGES = ("gta", "launch", "analysis", "sweeps")
NEW = (".py", ".yaml", ".yml", ".json")  # of files that git does not track yet, those that can be code
ASIDE = ("tests", "docs", "benchmarks")  # tracked, and never part of a run: another word in them is no other code
_TEXTS = ("json", "yaml", "yml", "toml", "ini", "cfg", "txt")
KEYS = (  # files of passwords and keys, wherever they are: a copy of the code is read by others
    "*.env", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keytab", "*.kdbx", "*.ppk", "id_rsa*", "id_dsa*",
    "id_ecdsa*", "id_ed25519*", "credentials", "service*account*.json",
    *(f"credentials.{kind}" for kind in _TEXTS), *(f"secret*.{kind}" for kind in _TEXTS),
)  # fmt: skip
GIT_SECONDS = 10.0


@dataclass(frozen=True)
class CodeFiles:
    """`files`: path below the root -> content. `commit` is None outside git; `diff`: what tracked files add to it."""

    files: dict[str, bytes]
    commit: str | None = None
    dirty: bool = False
    diff: bytes = b""
    new: list[str] = field(default_factory=list)  # files that the commit knows nothing of

    @property
    def tree(self) -> str:
        return tree_digest(self.files)


def tree_digest(files: Mapping[str, bytes]) -> str:
    """sha256 in hex over the sorted names and the contents."""
    lines = [f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def read_code(root: Path = ROOT) -> CodeFiles:
    """The code at `root` as it is now, a few hundred small files, each read once: a digest and a copy of them agree."""
    if (record := recorded(root)) is not None:
        files = {name: content for name in record["files"] if (content := _content(root / name)) is not None}
        kept = _content(root / record["diff"]) if record["diff"] else None
        return CodeFiles(files, record["commit"], record["dirty"], kept or b"", record["new"])
    if (top := _git(root, "rev-parse", "--show-toplevel")) is None or not _same(top, root):
        packaged = _packaged(root).items()
        return CodeFiles({name: content for name, path in packaged if (content := _content(path)) is not None})
    tracked = [name for name in _names(_git(root, "ls-files", "-z")) if _runs(name)]
    others = _names(_git(root, "ls-files", "--others", "--exclude-standard", "-z", "--", *PACKAGES))
    new = sorted(name for name in others if name.endswith(NEW) and _runs(name))
    names = {*tracked, *new}
    read = progress.steps(names, "reading the code", len(names))
    files = {name: content for name in read if (content := _content(root / name)) is not None}
    commit = _git(root, "rev-parse", "--verify", "--quiet", "HEAD")
    diff = _git(root, "diff", "HEAD", "--binary", "--no-ext-diff", "--no-textconv", "--no-color", "--", *_pathspec())
    return CodeFiles(files, commit.decode().strip() if commit else None, bool(diff or new), diff or b"", new)


def recorded(root: Path = ROOT) -> dict[str, Any] | None:
    """What `code.json` of a snapshot says; None where `root` is none."""
    try:
        return json.loads((root / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _runs(name: str) -> bool:
    """Whether a tracked file can matter to a run: not the tests, the documentation, hidden files (.env), or keys."""
    parts = PurePosixPath(name).parts
    aside = parts[0] in ASIDE or any(part.startswith(".") for part in parts) or is_key(name)
    return not aside and not (len(parts) == 1 and name.endswith(".md"))


def is_key(name: str) -> bool:
    """Whether a file holds passwords or keys, by its name."""
    return any(fnmatchcase(PurePosixPath(name).name.lower(), pattern) for pattern in KEYS)


def _pathspec() -> list[str]:
    """`_runs`, as git is told it."""
    hidden = [":(exclude,top,glob)**/.*", ":(exclude,top,glob)**/.*/**"]
    keys = [f":(exclude,top,glob,icase)**/{pattern}" for pattern in KEYS]
    return [".", *(f":(exclude,top){name}" for name in ASIDE), *hidden, *keys, ":(exclude,top,glob)*.md"]


def _packaged(root: Path) -> dict[str, Path]:
    """The files of the packages' folders, without what Python compiled: their names in a checkout -> where they are."""
    found: dict[str, Path] = {}
    installed = root / "gta" / INSTALLED
    for package in PACKAGES:
        above = installed if package != "gta" and installed.is_dir() else root
        for folder, inner, names in os.walk(above / package):
            hidden = {name for name in inner if name.startswith(".")} | {"__pycache__", INSTALLED}
            inner[:] = sorted(set(inner) - hidden)
            files = [Path(folder) / name for name in sorted(names) if not (name.startswith(".") or is_key(name))]
            found |= {path.relative_to(above).as_posix(): path for path in files}
    return found


def _content(path: Path) -> bytes | None:
    """None for what is no file (deleted and not committed yet, a submodule, a broken link)."""
    try:
        return path.read_bytes()
    except OSError:
        return None


def _names(listed: bytes | None) -> list[str]:
    return [os.fsdecode(name) for name in (listed or b"").split(b"\0") if name]


def _same(top: bytes, root: Path) -> bool:
    try:
        return os.path.samefile(os.fsdecode(top.rstrip(b"\n")), root)
    except OSError:
        return False


def _git(root: Path, *arguments: str) -> bytes | None:
    """What git prints; None where it fails or is not there. Nothing is locked or written."""
    # inside a hook git names another repository by these
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(root), "--no-optional-locks", *arguments]
    try:
        answer = subprocess.run(command, capture_output=True, timeout=GIT_SECONDS, env=environment)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout if answer.returncode == 0 else None


@cache
def running() -> dict[str, Any]:
    """Of the code that this process started with: `commit`, `dirty`, `tree`, and the `snapshot` it is, if any. Without
    a commit nobody knows whether the code differs from one: `dirty` is None.
    """
    record = recorded()
    if record is not None:
        found = {name: record[name] for name in ("commit", "dirty", "tree")} | {"snapshot": str(ROOT)}
    else:
        read = read_code()
        found = {"commit": read.commit, "dirty": read.dirty, "tree": read.tree, "snapshot": None}
    return found if found["commit"] else found | {"dirty": None}
