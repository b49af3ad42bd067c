"""What ranks say of a cell that two of them trained (tests/launch/job/test_job.py): it is done; broken, it goes on; and
one process trains it from its beginning. FOLDER WORDS: the cell's folder, and those of `gta train`.
"""

from __future__ import annotations

import shutil
import sys
from functools import partial
from pathlib import Path

import gta.train.run  # noqa: F401  (once here, and not in every rank)
from gta.cellfolder import CellFolder
from gta.cli.main import main as command_line
from tests.helpers.ranks import forked


def main(path: str, *words: str) -> None:
    train = ["train", *words]
    forked(2, partial(said, train))
    folder = CellFolder(Path(path))
    shutil.copy(folder.checkpoint_file, folder.previous_checkpoint_file)
    folder.checkpoint_file.write_bytes(folder.checkpoint_file.read_bytes()[:-1])
    folder.result_file.unlink()
    forked(2, partial(said, train))
    forked(1, partial(said, [*train, "paths.runs=alone"]))


def said(words: list[str]) -> None:
    if command_line(words):
        raise SystemExit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
