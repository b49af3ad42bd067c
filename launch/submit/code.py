"""The code as it is at submit, kept for the jobs: editing a file while they wait changes nothing for them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from gta import progress
from gta.files import make_folder, replacing, write_json
from gta.provenance.code import DIFF, RECORD, ROOT, CodeFiles, read_code, recorded

NAME_LENGTH = 12  # hex digits of the tree that name the folder


@dataclass(frozen=True)
class CodeSnapshot:
    """A folder with the code. `tree` digests names and contents; `dirty`: it differs from `commit` (None: no git)."""

    path: Path
    tree: str
    commit: str | None
    dirty: bool


def take(folder: Path, root: Path = ROOT) -> CodeSnapshot:
    """The code at `root` (that which runs) as it is now, in `<folder>/<tree[:12]>/`: made once for each distinct tree.

    Tracked files with uncommitted changes, and new .py, .yaml and .json files of the packages; of an installed package
    its folders. Beside them `code.json` (commit, dirty, tree, diff, new, files) and, where tracked files were changed,
    `code.diff`. The folder appears whole, by a rename, so two launchers at once are harmless. What was edited in it
    since is put right.
    """
    found = read_code(root)
    digest = found.tree
    path = (folder / digest[:NAME_LENGTH]).absolute()
    if (record := recorded(path)) is not None and record["tree"] == digest:
        _mend(path, found, record["dirty"])
        return _described(path)
    make_folder(path, lambda new: _write(new, found))  # another launcher may be first, with the same code
    return _described(path)


def _described(path: Path) -> CodeSnapshot:
    """The snapshot as its own record says it."""
    record = recorded(path)
    assert record is not None
    return CodeSnapshot(path, record["tree"], record["commit"], record["dirty"])


def _write(folder: Path, found: CodeFiles) -> None:
    for name, content in progress.steps(found.files.items(), "copying the code", len(found.files)):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o444)  # nobody edits it by mistake
    _record(folder, found)


def _record(folder: Path, found: CodeFiles) -> None:
    if found.diff:
        _write_bytes(folder / DIFF, found.diff)
    record = {
        "commit": found.commit,
        "dirty": found.dirty,
        "tree": found.tree,
        "diff": DIFF if found.diff else None,
        "new": found.new,
        "files": sorted(found.files),
        "time": time.time(),
    }
    write_json(folder / RECORD, record)


def _mend(folder: Path, found: CodeFiles, was_dirty: bool) -> None:
    """Jobs that wait must find the tree that the folder is named after. A commit of just this tree is a better name."""
    for name, content in found.files.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != content:
            _write_bytes(path, content)
            path.chmod(0o444)
    if was_dirty and not found.dirty:
        _record(folder, found)


def _write_bytes(path: Path, content: bytes) -> None:
    """As `gta.files.write_text`, for bytes."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)
