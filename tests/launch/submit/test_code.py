"""The code snapshot: what is in it, when there is a new one, and that processes really run from it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from launch.submit import code
from tests.helpers.program import ROOT
from tests.helpers.works import whole, works


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    answer = subprocess.run(["git", "-C", str(root), *identity, *arguments], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small project under git, with data and results that git ignores."""
    root = tmp_path / "checkout"
    for name, text in {
        ".gitignore": "/data/\n/runs/\n__pycache__/\n*.log\n",
        "pyproject.toml": "[project]\n",
        "README.md": "read me\n",
        "gta/__init__.py": "",
        "gta/trainer.py": "STEPS = 1\n",
        "gta/conf/config.yaml": "seed: 0\n",
        "launch/job.py": "",
        "tests/test_it.py": "",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "first")
    for ignored in ("data/voc/image.jpg", "runs/mlflow.db", "gta/__pycache__/x.pyc", "gta/out.log"):
        (root / ignored).parent.mkdir(parents=True, exist_ok=True)
        (root / ignored).write_bytes(b"0" * 1000)
    return root


def contents(folder: Path) -> dict[str, str]:
    """Of the code in a snapshot, without the records."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in ("code.json", "code.diff")]
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


def test_keys_and_hidden_files_are_left_out(checkout: Path, tmp_path: Path) -> None:
    """Tracked, changed or new: jobs read the copy, and so may others."""
    names = [".env", "gta/.env", "gta/prod.env", "gta/Server.PEM", "launch/id_rsa", "gta/conf/credentials.json",
             "gta/.cache/token", "sweeps/secrets.yaml", "key.key"]  # fmt: skip
    for name in names:
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text("first-secret\n")
    git(checkout, "add", "-A", "-f")
    git(checkout, "commit", "-qm", "keys")
    for name in names:
        (checkout / name).write_text("second-secret\n")
    (checkout / "gta/trainer.py").write_text("STEPS = 3\n")
    (checkout / "gta/new_credentials.py").write_text("")
    (checkout / "gta/credentials.yaml").write_text("third-secret\n")
    (checkout / "gta/.hidden.json").write_text("third-secret\n")
    made = code.take(tmp_path / "code", checkout)
    found = contents(made.path)
    assert {"gta/trainer.py", "gta/new_credentials.py"} <= found.keys()
    assert not {*names, "gta/credentials.yaml", "gta/.hidden.json"} & found.keys()
    assert "-secret" not in "".join(path.read_text() for path in made.path.rglob("*") if path.is_file())
    assert "+STEPS = 3" in (made.path / "code.diff").read_text()


def test_tracked_files_uncommitted_changes_and_new_modules(checkout: Path, tmp_path: Path) -> None:
    with works() as kept:
        clean = code.take(tmp_path / "code", checkout)
    assert list(whole(kept)) == ["reading the code", "copying the code"]
    assert (clean.commit, clean.dirty) == (git(checkout, "rev-parse", "HEAD"), False)
    assert sorted(contents(clean.path)) == sorted(
        ["pyproject.toml", "gta/__init__.py", "gta/trainer.py", "gta/conf/config.yaml", "launch/job.py"]
    ), "neither data nor results nor tests"
    assert clean.path.name == clean.tree[:12]
    assert json.loads((clean.path / "code.json").read_text())["diff"] is None

    (checkout / "gta/trainer.py").write_text("STEPS = 2\n")
    (checkout / "gta/mine.py").write_text("new = True\n")
    (checkout / "launch/job.py").unlink()
    dirty = code.take(tmp_path / "code", checkout)
    assert dirty.dirty
    assert dirty.commit == clean.commit
    assert dirty.tree != clean.tree
    found = contents(dirty.path)
    assert (found["gta/trainer.py"], found["gta/mine.py"]) == ("STEPS = 2\n", "new = True\n")
    assert "launch/job.py" not in found
    record = json.loads((dirty.path / "code.json").read_text())
    assert record["new"] == ["gta/mine.py"]
    assert "+STEPS = 2" in (dirty.path / record["diff"]).read_text()
    assert contents(clean.path)["gta/trainer.py"] == "STEPS = 1\n", "jobs that wait keep theirs"


def test_one_folder_for_a_tree(checkout: Path, tmp_path: Path) -> None:
    first = code.take(tmp_path / "code", checkout)
    before = {path: path.stat().st_mtime_ns for path in first.path.rglob("*")}
    (checkout / "README.md").write_text("another word\n")
    (checkout / "tests/test_it.py").write_text("another test\n")
    assert code.take(tmp_path / "code", checkout) == first, "what no run reads is no other code"
    assert {path: path.stat().st_mtime_ns for path in first.path.rglob("*")} == before
    (checkout / "gta/trainer.py").write_text("STEPS = 3\n")
    third = code.take(tmp_path / "code", checkout)
    git(checkout, "commit", "-qam", "third")
    committed = code.take(tmp_path / "code", checkout)
    assert committed.path == third.path
    assert (committed.commit, committed.dirty) == (git(checkout, "rev-parse", "HEAD"), False), "a better name for it"
    assert len(list((tmp_path / "code").iterdir())) == 2, "nothing is left over"


def test_a_snapshot_that_was_edited_is_put_right(checkout: Path, tmp_path: Path) -> None:
    taken = code.take(tmp_path / "code", checkout)
    for name in ("gta/trainer.py", "gta/__init__.py"):
        (taken.path / name).unlink()
    (taken.path / "gta/trainer.py").write_text("STEPS = 99\n")
    assert code.take(tmp_path / "code", checkout) == taken
    assert contents(taken.path)["gta/trainer.py"] == "STEPS = 1\n"
    assert (taken.path / "gta/__init__.py").exists()


def test_launchers_at_once_make_one(checkout: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        taken = set(pool.map(lambda _: code.take(tmp_path / "code", checkout), range(8)))
    assert len(taken) == 1
    assert [path.name for path in (tmp_path / "code").iterdir()] == [taken.pop().path.name]


def test_an_installed_package_inside_someone_elses_repository(checkout: Path, tmp_path: Path) -> None:
    site = checkout / "venv/lib/site-packages"
    for name in ("gta/__init__.py", "gta/conf/a.yaml", "sweeps/shapes.yaml", "torch/__init__.py"):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(name)
    (site / "gta/__pycache__").mkdir()
    (site / "gta/__pycache__/x.pyc").write_text("")
    taken = code.take(tmp_path / "code", site)
    assert (taken.commit, taken.dirty) == (None, False)
    assert sorted(contents(taken.path)) == ["gta/__init__.py", "gta/conf/a.yaml", "sweeps/shapes.yaml"]
    again = code.take(tmp_path / "elsewhere", taken.path)
    assert (again.tree, again.commit) == (taken.tree, None), "a snapshot of a snapshot is the same code"
    assert contents(again.path) == contents(taken.path)


def test_a_wheel_has_the_layout_of_a_checkout_in_its_snapshot(tmp_path: Path) -> None:
    site, layout = tmp_path / "site", ("gta/__init__.py", "launch/job/start.py", "sweeps/shapes.yaml")
    for name in (layout[0], *(f"gta/_packages/{name}" for name in layout[1:]), "launch/__init__.py"):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(name)  # the last is another program's
    assert sorted(contents(code.take(tmp_path / "code", site).path)) == sorted(layout)


def test_processes_run_from_the_snapshot_wherever_they_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    taken = code.take(tmp_path / "code")
    assert sum(path.stat().st_size for path in taken.path.rglob("*")) < 20e6
    # PYTHONSAFEPATH, as `python -m` looks into the current folder first: often the checkout that jobs came from
    from_there = {"PYTHONPATH": str(taken.path), "PYTHONSAFEPATH": "1"}
    script = """
import json, gta, launch.submit.code
from pathlib import Path
from gta.provenance import environment
from gta.data.splits.known import known_sets
conf = Path(gta.__file__).parent / "conf"
there = len(known_sets()) > 0 and (conf / "config.yaml").exists() and (conf.parents[1] / "sweeps/shapes.yaml").exists()
here = environment.environment()
files = [gta.__file__, launch.submit.code.__file__]
print(json.dumps([*files, there, environment.commit(), here["tree"], here["snapshot"]]))
"""
    answer = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,  # where sbatch was called: its folder would come first by itself
        env={**os.environ, **from_there},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr
    *places, data_files, commit, tree, snapshot = json.loads(answer.stdout)
    assert all(Path(place).is_relative_to(taken.path) for place in places), places
    assert data_files, "YAML and JSON of the packages came along"
    assert commit == (taken.commit + f"+{taken.tree[:8]}" * taken.dirty if taken.commit else f"tree:{taken.tree[:8]}")
    assert (tree, snapshot) == (taken.tree, str(taken.path))
    helped = subprocess.run(
        [sys.executable, "-m", "gta", "help"], cwd=ROOT, env={**os.environ, **from_there}, capture_output=True
    )
    assert helped.returncode == 0
