"""What a grid is, where it stands and what it costs is told without loading torch, which takes seconds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gta import encoders
from gta.methods import METHODS, settings
from gta.methods.gta import TRANSFERS
from gta.methods.mixing import BOXES
from gta.methods.registry import Entry
from gta.models import ENCODERS
from gta.ops.losses import WEIGHTINGS
from tests.helpers.own_method import put
from tests.helpers.program import ROOT

HEAVY = {"torch", "torchvision", "cv2", "mlflow", "sqlalchemy"}
READING = ("gta.cell", "launch.grid.grid", "launch.show.board", "launch.show.rows", "launch.submit.price",
           "launch.submit.selection", "launch.submit.local", "launch.submit.slurm_array", "launch.slurm.reconcile",
           "gta.tracking.sync", "analysis.table")  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_known_by_its_settings(name: str) -> None:
    entry = METHODS.known[name]
    assert isinstance(entry, Entry), (
        f"{name}: put its settings into gta/methods/settings.py and make its line in METHODS an Entry, or every "
        "command loads torch"
    )
    method = METHODS[name]
    assert method.Config is entry.config
    assert (method.uses_unlabeled, method.maths) == (entry.config.uses_unlabeled, entry.config.maths)


def test_choices_are_what_there_is() -> None:
    assert tuple(BOXES) == settings.BOXES
    assert tuple(TRANSFERS) == settings.TRANSFERS
    assert settings.WEIGHTINGS == WEIGHTINGS
    assert tuple(ENCODERS) == encoders.ENCODERS


@pytest.mark.slow
def test_what_reads_a_grid_loads_nothing_heavy() -> None:
    code = f"import sys, {', '.join(READING)}\nprint(*sorted({HEAVY} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == ""


@pytest.mark.slow
@pytest.mark.parametrize("command", ["plan", "status", ""])
def test_where_a_grid_stands_is_told_without_anything_heavy(command: str, small: list[str], tmp_path: Path) -> None:
    put(tmp_path)  # a method of one's own is read when it is chosen
    words = [command, "sweep=shapes", *small, "data.split=1/5", "seed=0"] if command else []
    code = f"import sys\nfrom gta.__main__ import main\nsys.argv[1:] = {words}\ntry:\n    main()\nfinally:\n"
    code += f"    print('heavy:', *sorted({HEAVY} & set(sys.modules)))"
    for _ in range(2):  # the first one draws the lists
        told = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert told.stdout.splitlines()[-1].strip() == "heavy:", told.stderr


@pytest.mark.slow
def test_a_cell_trains_without_torchs_compiler(small: list[str], tmp_path: Path) -> None:
    words = ["train", "sweep=shapes", *small, "method=gta", "seed=0"]
    code = f"import sys\nfrom gta.__main__ import main\nsys.argv[1:] = {words}\nmain()\n"
    code += "print('torch' in sys.modules, 'torch._dynamo' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert told.stdout.splitlines()[-1].strip() == "True False", told.stderr
