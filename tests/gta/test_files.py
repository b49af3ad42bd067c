"""Files are whole or absent."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gta.files import remove_leftovers, replacing, together, write_json, write_text


def test_text_and_json_arrive_whole_and_leave_nothing_else(tmp_path):
    write_text(tmp_path / "new" / "a.txt", "grün\n")
    write_json(tmp_path / "new" / "b.json", {"x": [1, 2.5, None], "name": "a–b"})
    assert (tmp_path / "new" / "a.txt").read_text(encoding="utf-8") == "grün\n"
    assert json.loads((tmp_path / "new" / "b.json").read_text(encoding="utf-8")) == {
        "x": [1, 2.5, None],
        "name": "a–b",
    }
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["a.txt", "b.json"]


def test_an_error_while_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def write_half():
        with replacing(path) as temporary:
            temporary.write_text("half of the n")
            assert path.read_text() == "old"
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_writing_nothing_is_an_error_and_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(FileNotFoundError), replacing(path):
        pass
    assert path.read_text() == "old"


def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path):
    path = tmp_path / "checkpoint.pt"
    killed = (
        "import os, sys; from pathlib import Path; from gta.files import replacing\n"
        "with replacing(sys.argv[1]) as temporary: temporary.write_text('half'); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", killed, str(path)]).returncode == -9
    assert [item.name.startswith(".checkpoint.pt.") for item in tmp_path.iterdir()] == [True]
    others = {"checkpoint.pt", ".checkpoint.pt.swp", ".checkpoint.pt.mine.tmp", ".best.pt.12-0123abcd.tmp"}
    for name in others:
        (tmp_path / name).write_text("kept")
    remove_leftovers(path)
    assert {item.name for item in tmp_path.iterdir()} == others


def test_who_lost_the_place_says_so_also_where_its_file_was_removed(tmp_path):
    class Lost(Exception):
        pass

    def check() -> None:
        raise Lost

    def write() -> None:
        with replacing(tmp_path / "checkpoint.pt", check=check) as temporary:
            temporary.write_text("all")
            temporary.unlink()  # by whoever has the place now

    with pytest.raises(Lost):
        write()
    assert not list(tmp_path.iterdir())


def test_nan_is_no_json(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert not (tmp_path / "a.json").exists()


def test_new_files_have_the_usual_permissions(tmp_path):
    (tmp_path / "plain").write_text("")
    write_text(tmp_path / "ours", "")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_many_files_take_their_places_together_or_not_at_all(tmp_path: Path) -> None:
    paths = [tmp_path / f"cells/{number}/a.txt" for number in range(3)]
    write_text(paths[0], "old")
    with together(tmp_path) as put:
        for path in paths:
            put(path, "new")
        assert paths[0].read_text() == "old"
        assert not paths[1].exists()
    assert [path.read_text() for path in paths] == ["new"] * 3

    def write_half() -> None:
        with together(tmp_path) as put:
            put(paths[0], "newer")
            raise RuntimeError("in the midst")

    with pytest.raises(RuntimeError, match="in the midst"):
        write_half()
    assert paths[0].read_text() == "new"
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a.txt"] * 3, "no temporary file is left"
