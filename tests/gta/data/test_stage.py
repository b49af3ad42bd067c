"""Data on node-local disk: copied once whoever asks, whole or not at all, again when the source changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from gta.config import Config, DataConfig, SiteConfig
from gta.data import stage as staging
from gta.data.dataset import SegmentationDataset
from gta.data.splits.split import load_split
from gta.data.stage import MARK, stage, staged
from gta.errors import UserError

Tiny = Callable[..., DataConfig]


@pytest.fixture
def source(tmp_path: Path) -> tuple[Path, list[str]]:
    root = tmp_path / "source"
    names = [f"images/{number % 3}/{number}.jpg" for number in range(60)]
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(os.urandom(2000))
    (root / "archive.zip").write_bytes(b"0" * 100)
    return root, names


def copies(to: Path) -> list[Path]:
    return sorted(path.parent for path in to.glob(f"*/{MARK}"))


def test_four_processes_at_once_copy_once(source: tuple[Path, list[str]], tmp_path: Path) -> None:
    root, names = source
    to = tmp_path / "local"
    script = (
        "import sys, json; from pathlib import Path; from gta.data.stage import stage;"
        "root, to, names = sys.argv[1:]; sys.stdin.readline();"
        "folder = stage(Path(root), Path(to), json.loads(names), 'voc');"
        "print('digest', sum(len((folder / n).read_bytes()) for n in json.loads(names)), folder)"
    )
    command = [sys.executable, "-c", script, str(root), str(to), json.dumps(names)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(4)]  # type: ignore[call-overload]
    for process in processes:  # they have imported by now, or soon: all start together
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=100)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, said
    assert sum("60 files (120 kB) copied" in text for text in said) == 1, said
    (folder,) = copies(to)
    assert {text.strip().splitlines()[-1] for text in said} == {f"digest 120000 {folder}"}
    assert not (folder / "archive.zip").exists(), "only what the lists need"
    assert all((folder / name).read_bytes() == (root / name).read_bytes() for name in names)


def test_a_later_job_finds_it_and_changed_data_are_copied_anew(
    source: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root, names = source
    to = tmp_path / "local"
    first = stage(root, to, names)
    monkeypatch.setattr(staging, "TRUST_SECONDS", 0.0)  # as if it were a later job
    capsys.readouterr()
    assert stage(root, to, names) == first
    assert capsys.readouterr().out == "", "nothing is copied"
    (root / names[0]).write_bytes(b"x" * 2000)  # a mended picture of the same size
    second = stage(root, to, names)
    assert second != first
    assert (second / names[0]).read_bytes() == b"x" * 2000
    assert (first / names[1]).exists(), "another cell may be reading it"


def test_what_is_half_there_is_not_used(source: tuple[Path, list[str]], tmp_path: Path) -> None:
    root, names = source
    to = tmp_path / "local"
    folder = stage(root, to, names)
    dead = folder.with_name(f".{folder.name}.tmp")
    folder.rename(dead)  # as a copy that was killed leaves it
    (dead / MARK).unlink()
    (dead / names[0]).unlink()
    assert stage(root, to, names) == folder
    assert (folder / names[0]).exists()
    assert not dead.exists()


def test_a_disk_that_is_too_small_is_said(
    source: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, names = source
    stage(root, tmp_path / "local", names[:10], "other")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(UserError, match=r"120 kB of data do not fit .* 1\.0 kB are free.*may be removed.*other-"):
        stage(root, tmp_path / "local", names)
    assert len(copies(tmp_path / "local")) == 1
    assert not list((tmp_path / "local").glob("*.tmp"))
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot be copied to .*file/below"):
        stage(root, tmp_path / "file/below", names)


def test_a_cell_reads_from_the_copy_what_it_would_read_from_the_source(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tiny()
    (Path(data.root) / "SegmentationClass/c.png").unlink()  # an unlabeled image may be without
    split = load_split(data)
    config = Config(data=data, site=SiteConfig(stage="$NODE_DISK/gta"))
    with pytest.raises(UserError, match=r"site\.stage=\$NODE_DISK/gta: that is \$NODE_DISK/gta on"):
        staged(config, split)
    monkeypatch.setenv("NODE_DISK", str(tmp_path / "local"))
    moved = staged(config, split).data
    assert Path(moved.root).parent == tmp_path / "local/gta"
    assert Path(moved.root).name.startswith("tiny-")
    before, after = SegmentationDataset(data, split.labeled), SegmentationDataset(moved, split.labeled)
    expected = before.labeled(0)
    shutil.rmtree(data.root)
    assert load_split(moved) == split, "the copy is complete: lists, images, and the masks there are"
    assert all((a == b).all() for a, b in zip(after.labeled(0), expected, strict=True))
    assert staged(Config(data=data), split).data is data, "not asked for"
