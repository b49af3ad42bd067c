"""Cells as older versions of the program wrote them: `tests/fixtures/cell_v1`, of records of version 1.

Made by training: FINISHED is of checkpoint format 2; UNFINISHED of the code before that, format 1, and stopped at
iteration 6. Paths, host and process were replaced, checkpoints packed; pictures and best weights left out.
"""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

from gta.cell import Cell
from gta.cellfolder import CellFolder
from gta.compose.compose import read_config
from gta.data.splits.split import Split
from tests.helpers.configs import changed
from tests.helpers.program import ROOT

FIXTURE = ROOT / "tests/fixtures/cell_v1"
FINISHED, UNFINISHED = "7a23b7e3f353433a", "981558626223d590"


def older(runs: Path, signature: str) -> Cell:
    """That cell, laid out below a folder of runs; the names in its lists are others."""
    folder = CellFolder(Path(shutil.copytree(FIXTURE / signature, runs / "cells" / signature)))
    packed = folder.checkpoint_file.with_name("checkpoint.pt.gz")
    folder.checkpoint_file.write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    here = {"paths.runs": str(runs), "paths.tracking_uri": f"sqlite:///{runs}/mlflow.db"}
    config = changed(read_config(folder.config_file), here)
    frozen = folder.identity()
    assert frozen is not None
    lists = [[str(i) for i in range(count)] for count in (frozen.labels, frozen.unlabeled, frozen.val)]
    split = Split(*lists)
    return Cell(config, split, signature, frozen.digests, folder, split.sizes)
