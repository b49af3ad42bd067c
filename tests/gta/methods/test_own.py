"""A method of a user's own: a file in ./methods, or an entry point of an installed package."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gta.cell import Cell
from gta.cellfolder import CellFolder
from gta.cli import candidates
from gta.cli.composing import grid
from gta.compose.compose import read_config
from gta.errors import UserError
from gta.methods import METHODS
from tests.helpers.cells import finish
from tests.helpers.own_method import SOURCE, put
from tests.helpers.program import ROOT, Run

Grid = list[str]


@pytest.fixture
def words(small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Grid:
    """The overrides of one cell of the method `mine`, in a working folder that has it."""
    monkeypatch.chdir(tmp_path)
    put(tmp_path)
    return ["sweep=shapes", *small, "method=mine", "seed=0"]


def the_cell(words: Grid) -> Cell:
    return grid(words)[1][0]


def test_another_source_is_another_cell(words: Grid, tmp_path: Path) -> None:
    before = the_cell(words)
    assert (before.row, before.config.method.keep) == ("mine", 0.5)  # type: ignore[attr-defined]
    assert "method" not in grid([*words[:-2], "method=gta", "seed=0"])[1][0].digests, "the program's have versions"
    put(tmp_path, SOURCE + "\n# another word\n")
    after = the_cell(words)
    assert after.digests["method"] != before.digests["method"]
    assert after.signature != before.signature
    put(tmp_path)
    assert the_cell(words).signature == before.signature
    assert the_cell([*words, "method.keep=0.25"]).signature != before.signature


def test_what_is_frozen_is_trained_and_read_whatever_becomes_of_the_file(words: Grid, tmp_path: Path) -> None:
    cell = the_cell(words)
    cell.write()
    put(tmp_path, SOURCE.replace("keep: float", "other: float"))
    frozen = read_config(cell.folder.config_file)
    assert frozen.method.keep == 0.5  # type: ignore[attr-defined]
    assert Cell.load(cell.folder, frozen).signature == cell.signature
    assert type(the_cell(words).config.method) is not type(frozen.method)
    shutil.rmtree(tmp_path / "methods")
    assert METHODS.made_of(read_config(cell.folder.config_file).method).__name__ == "Mine"
    source = cell.folder.method_file
    source.write_text(source.read_text() + "\n")
    with pytest.raises(UserError, match=r"method\.py, changed after the cell \w{8} was frozen: put back"):
        read_config(cell.folder.config_file)
    source.unlink()
    with pytest.raises(UserError, match=r"of the method mine, which is neither the program's nor"):
        read_config(cell.folder.config_file)


def test_show_diff_and_repair_know_the_source(words: Grid, say: Run, tmp_path: Path) -> None:
    cells = [the_cell(words)]
    put(tmp_path, SOURCE + "\n# another word\n")
    cells.append(the_cell(words))
    for cell in cells:
        cell.write()
    first, second = (cell.digests["method"][:16] for cell in cells)
    runs = next(word for word in words if word.startswith("paths.runs="))
    said = say("show", cells[0].signature, runs)
    assert f"sha256 {first}" in said.stdout
    assert json.loads(say("show", cells[0].signature, runs, "--json").stdout)["method"]["source"] == f"sha256 {first}"
    assert "settings that are not" in said.stdout
    differs = say("diff", cells[0].signature, cells[1].signature, runs).stdout
    assert f"{first} -> sha256 {second}" in differs

    cells[1].folder.method_file.write_text("half of it")
    cells[0].folder.method_file.write_text("half of it")
    assert "method.py: not the source" in say("show", cells[1].signature, runs).stdout
    say("repair", cells[1].signature, runs, "--yes")
    assert cells[1].folder.method_file.read_text().endswith("# another word\n")
    assert "put it back" in say("repair", cells[0].signature, runs, "--yes").stdout
    assert cells[0].folder.method_file.read_text() == "half of it"


def test_a_copy_of_the_runs_reads_without_the_method(words: Grid, say: Run, tmp_path: Path) -> None:
    old, cell = the_cell(words), the_cell([*words, "method.keep=0.25"])
    for one, score in ((old, 51.0), (cell, 52.0)):
        one.write()
        finish(one, score)
    shutil.rmtree(tmp_path / "methods")
    said = say("status", *words, "--json")
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout)["counts"] == {"done": 1}
    table = say("table", *words, "method.keep=0.25")
    assert table.returncode == 0, table.stderr
    assert "52.00" in " ".join(table.stdout.split())
    assert f"Not at hand: sources of methods; cells are those of the same settings in the folder of runs, whose "\
        f"records say method {cell.digests['method'][:8]}" in " ".join(table.stdout.split())  # fmt: skip
    refused = say("plan", *words)
    assert refused.returncode == 2
    assert "method=mine: there is no such method" in refused.stderr
    put(tmp_path, SOURCE + "\n")  # another source is no such cell
    assert json.loads(say("status", *words, "--json").stdout)["counts"] == {"never run": 1}


@pytest.mark.slow
def test_a_job_elsewhere_trains_what_was_frozen(words: Grid, tmp_path: Path) -> None:
    cell = the_cell(words)
    cell.write()
    put(tmp_path, "raise SystemExit('not this one')\n")
    code = "import sys\nfrom pathlib import Path\nfrom gta.cellfolder import CellFolder\n"
    code += "from launch.job.attempt import run_cell\nprint(run_cell(CellFolder(Path(sys.argv[1]))))"
    command = [sys.executable, "-c", code, str(cell.folder.path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1:] == ["done"], done.stderr
    result = CellFolder(cell.folder.path).result()
    assert result is not None
    assert result.signature == cell.signature


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def step(:\n", "methods/mine.py, line 1: this is no Python (invalid syntax); mend the file."),
        ("import torch\n\nimport nowhere_at_all\n", "methods/mine.py, line 3: ModuleNotFoundError: No module named"),
        ("x = 1\n1 / 0\n", "methods/mine.py, line 2: ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "methods/mine.py, line 1: SystemExit: 3"),
        ("from . import common", "methods/mine.py, line 1: it imports a file beside it, and a method is one file"),
        ("import methods.common", "methods/mine.py, line 1: it imports a file beside it"),
        ("from gta.methods.supervised import Supervised", "methods/mine.py has no method: write a class on top of"),
        (SOURCE.replace('"mine"', '"ours"'), "methods/mine.py has no method called mine (Mine is called ours)"),
        (SOURCE + "\nclass Two(Method):\n    Config = MineConfig\n", "has 2 methods called mine (Mine, Two)"),
        (SOURCE + "\nclass Last(Mine):\n    pass\n", ""),
        (SOURCE.replace('result(0.5, "Share of the loss that is kept.", within=(0, 1))', "0.5"),
         "methods/mine.py: MineConfig.keep does not say whether it can change a result"),
        (SOURCE.replace("@dataclass(frozen=True, kw_only=True)\n", ""), "methods/mine.py: MineConfig is to"),
        (SOURCE.replace("frozen=True", "frozen=False"), "methods/mine.py, line 10: TypeError: cannot inherit"),
        (SOURCE.replace("keep: float", "keep: Nothing"), "MineConfig: NameError: name 'Nothing' is"),
        ("\0", "methods/mine.py: this is no Python"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_method_is_one_sentence(
    words: Grid, say: Run, tmp_path: Path, source: str, said: str
) -> None:
    put(tmp_path, source)
    found = say("plan", *words)
    assert found.returncode == (2 if said else 0), found.stdout + found.stderr
    assert said in found.stderr
    assert len(found.stderr.strip().splitlines()) <= 1
    others = say("plan", *words[:-2], "method=supervised", "seed=0")
    assert others.returncode == 0, "it takes no other method down"


def test_two_of_one_name_are_refused(words: Grid, say: Run, tmp_path: Path) -> None:
    put(tmp_path, SOURCE.replace('"mine"', '"gta"'), "gta")
    for name, other in (("gta", "the program's own or methods/gta.py"), ("gta_lean", "methods/gta_lean.py or ")):
        put(tmp_path, SOURCE.replace('"mine"', f'"{name}"'), name)
        said = say("plan", *words, f"method={name}")
        assert said.returncode == 2
        assert f"method={name} could be {other}" in said.stderr
        assert "let one of them have another name" in said.stderr
        (tmp_path / f"methods/{name}.py").unlink()
    (tmp_path / "conf/method").mkdir(parents=True)
    (tmp_path / "conf/method/small.yaml").write_text("defaults: [mine]\nkeep: 0.1\nlabel: small\n")
    assert the_cell([*words, "method=small"]).config.method.keep == 0.1  # type: ignore[attr-defined]
    (tmp_path / "conf/method/mine.yaml").write_text("keep: 0.1\n")
    assert "could be methods/mine.py or conf/method/mine.yaml" in say("plan", *words).stderr


def test_its_settings_are_checked_completed_and_listed(words: Grid, say: Run, tmp_path: Path) -> None:
    assert "method.keep is 7.0; it must be a number, 0 to 1" in say("plan", *words, "method.keep=7").stderr
    assert "did you mean method.keep" in say("plan", *words, "method.kep=0.1").stderr
    put(tmp_path, "def broken(:", "broken")
    assert "method.keep (mine) = 0.5" in say("settings", "keep").stdout
    assert candidates.methods()["mine"]["keep"][0] == "Share of the loss that is kept."
    assert {"mine", "broken"} <= set(candidates.groups()["method"])
    assert [item.value for item in candidates.overrides("method=min")] == ["method=mine"]
    assert "did you mean mine?" in say("plan", *words[:-2], "method=min").stderr


def installed(site: Path, package: str, source: str = SOURCE) -> None:
    """A package with an entry point, as pip puts it into a folder of packages."""
    (site / package).mkdir(parents=True)
    (site / package / "__init__.py").write_text("")
    (site / package / "networks.py").write_text("WIDTH = 1\n")
    (site / package / "first.py").write_text(source)
    about = site / f"{package}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[gta.methods]\nmine = {package}.first:Mine\n")


def test_an_entry_point(words: Grid, say: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path / "site", "lab_methods")
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert "could be methods/mine.py or lab_methods.first:Mine of lab_methods 1.0" in say(
        "plan", *words
    ).stderr  # fmt: skip
    shutil.rmtree(tmp_path / "methods")
    cell = the_cell(words)
    assert (cell.row, len(cell.digests["method"])) == ("mine", 64)
    cell.write()
    assert not cell.folder.method_file.exists(), "a package may be many files; it has to be there"
    assert Cell.load(cell.folder, read_config(cell.folder.config_file)).signature == cell.signature
    digests = {cell.digests["method"]}
    for file in ("first.py", "networks.py"):  # what the method's own module may import from beside it
        path = tmp_path / "site/lab_methods" / file
        path.write_text(path.read_text() + "\n")
        digests.add(in_new_process(tmp_path))
    assert len(digests) == 3


def in_new_process(folder: Path) -> str:
    """The digest of the method's source, as a process that imports the package anew finds it."""
    code = "from gta.methods import METHODS\nprint(METHODS.digests(METHODS.config('mine')())['method'])"
    environment = {"PYTHONPATH": f"{folder / 'site'}:{ROOT}", "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True)
    return done.stdout.strip()


def test_a_package_that_cannot_be_loaded_is_one_sentence(
    words: Grid, say: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(tmp_path / "methods")
    installed(tmp_path / "site", "broken_methods", "import nowhere_at_all\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    said = say("plan", *words)
    assert said.returncode == 2
    assert "The method mine (broken_methods.first:Mine of broken_methods 1.0) cannot be loaded: ModuleN" in said.stderr
