"""Data on node-local disk: copied once whoever asks, whole or not at all, again when the source changed, and never from
or to a place that others can write to.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from gta.config import Config, DataConfig, SiteConfig
from gta.data import copies as copies_of
from gta.data import stage as staging
from gta.data.copies import MARK
from gta.data.dataset import SegmentationDataset
from gta.data.spec import check_layout
from gta.data.splits.split import load_split
from gta.data.stage import stage, staged
from gta.errors import UserError
from tests.helpers.works import whole, works

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
    return sorted(path.parent for path in to.glob(f"*/*/{MARK}"))


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
    said = [process.communicate(timeout=900)[0] for process in processes]
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
    with works() as kept:
        first = stage(root, to, names)
    assert whole(kept) == {"looking at the files to copy": 60, "copying the data": 60}
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


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("mark", [True, False])
def test_what_a_cleaner_removed_or_cut_is_copied_again_at_the_next_start(
    source: tuple[Path, list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    later: bool,
    mark: bool,
) -> None:
    root, names = source
    to = tmp_path / "local"
    folder = stage(root, to, names)
    capsys.readouterr()
    if later:
        monkeypatch.setattr(staging, "TRUST_SECONDS", 0.0)
    (folder / names[0]).unlink()
    (folder / names[1]).write_bytes(b"x")
    (folder / names[2]).unlink()
    (folder / names[2]).symlink_to(root / names[2])
    shutil.rmtree(folder / "images/0")
    if not mark:  # which a cleaner may take, too, while other cells read the copy
        (folder / MARK).unlink()
    kept = (folder / names[4]).stat().st_ino
    assert stage(root, to, names) == folder
    said = capsys.readouterr().out
    assert re.search(
        r"data: 22 files of the copy were missing, cut, changed or never digested \(images/0/.* and 19 more\)", said
    ), said
    assert all((folder / name).read_bytes() == (root / name).read_bytes() for name in names)
    assert not any((folder / name).is_symlink() for name in names)
    assert (folder / names[4]).stat().st_ino == kept, "another cell may be reading it"
    assert stage(root, to, names) == folder
    assert capsys.readouterr().out == ""


def test_contents_are_compared_where_that_is_asked_for(
    source: tuple[Path, list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root, names = source
    to = tmp_path / "local"
    folder = stage(root, to, names)
    (folder / names[0]).write_bytes(b"x" * 2000)
    assert stage(root, to, names) == folder
    assert (folder / names[0]).read_bytes() == b"x" * 2000, "of the right size"
    capsys.readouterr()
    assert stage(root, to, names, digests=True) == folder
    assert "data: 60 files of the copy" in capsys.readouterr().out, "nobody had digested them"
    assert (folder / names[0]).read_bytes() == (root / names[0]).read_bytes()
    assert stage(root, to, names, digests=True) == folder
    assert capsys.readouterr().out == ""
    (folder / names[7]).write_bytes(b"x" * 2000)
    monkeypatch.setattr(staging, "TRUST_SECONDS", 0.0)  # as if it were a later job
    assert stage(root, to, names, digests=True) == folder
    assert (
        f"data: 1 files of the copy were missing, cut, changed or never digested ({names[7]})"
        in capsys.readouterr().out
    )


def test_contents_are_read_by_one_of_a_jobs_ranks(
    source: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, names = source
    to = tmp_path / "local"
    monkeypatch.setattr(staging, "TRUST_SECONDS", 10_000.0)
    read: list[Path] = []
    monkeypatch.setattr(
        copies_of, "_digest", lambda path, digest=copies_of._digest: (read.append(path), digest(path))[1]
    )
    folder = stage(root, to, names, digests=True)
    for _ in range(3):
        assert stage(root, to, names, digests=True) == folder
    assert read == [], "they were digested as they were copied"
    (index,) = (path for path in own(to).glob(".*.json") if "holder" not in path.name)
    index.unlink()  # as if it were a later job
    for _ in range(3):
        assert stage(root, to, names, digests=True) == folder
    assert sorted(read) == sorted(folder / name for name in names), "once"
    (folder / names[3]).write_bytes(b"")
    assert stage(root, to, names, digests=True) == folder
    assert (folder / names[3]).read_bytes() == (root / names[3]).read_bytes(), "sizes are compared all the same"
    index.unlink()
    assert stage(root, to, names) == folder
    read.clear()
    assert stage(root, to, names, digests=True) == folder
    assert len(read) == len(names), "who asked for sizes alone compared no contents"


def test_a_mark_that_was_lost_is_written_again_where_the_files_are_whole(
    source: tuple[Path, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, names = source
    folder = stage(root, tmp_path / "local", names)
    before = json.loads((folder / MARK).read_text())
    (folder / MARK).unlink()
    capsys.readouterr()
    assert stage(root, tmp_path / "local", names) == folder
    assert capsys.readouterr().out == "", "nothing is copied"
    after = json.loads((folder / MARK).read_text())
    assert {**after, "time": 0} == {**before, "time": 0}


def own(to: Path) -> Path:
    return to / f"gta-{os.getuid()}"


def test_the_copy_is_in_a_folder_of_the_users_own(source: tuple[Path, list[str]], tmp_path: Path) -> None:
    root, names = source
    to = tmp_path / "local"
    to.mkdir()
    to.chmod(0o1777)  # as /tmp is
    folder = stage(root, to, names)
    assert folder.parent == own(to)
    assert own(to).stat().st_mode & 0o7777 == 0o700
    own(to).chmod(0o755)
    stage(root, to, names)
    assert own(to).stat().st_mode & 0o7777 == 0o700, "others could not write to it: it is closed again"


def test_a_folder_that_others_can_write_to_is_refused(source: tuple[Path, list[str]], tmp_path: Path) -> None:
    root, names = source
    to = tmp_path / "local"
    to.mkdir()
    to.chmod(0o777)
    with pytest.raises(UserError, match=r"everyone may rename and remove what is in .*local \(mode 0777, without"):
        stage(root, to, names)
    to.chmod(0o1777)
    own(to).mkdir()
    own(to).chmod(0o777)
    with pytest.raises(UserError, match=rf"gta-{os.getuid()} may be written to by others \(mode 0777\).*: remove it"):
        stage(root, to, names)
    own(to).chmod(0o700)
    if os.getuid() == 0:  # who alone can give a folder away
        os.chown(own(to), 12345, -1)
        with pytest.raises(UserError, match=r"belongs to the user 12345, and you are 0"):
            stage(root, to, names)
    shutil.rmtree(own(to))
    own(to).write_text("")
    with pytest.raises(UserError, match="is no folder, so what is in it may be anyone's"):
        stage(root, to, names)


def test_no_link_is_followed(source: tuple[Path, list[str]], tmp_path: Path) -> None:
    root, names = source
    to, elsewhere = tmp_path / "local", tmp_path / "elsewhere"
    to.mkdir()
    elsewhere.mkdir()
    own(to).symlink_to(elsewhere)
    with pytest.raises(UserError, match=r"is no folder but a link, so what is in it may be anyone's"):
        stage(root, to, names)
    own(to).unlink()
    folder = stage(root, to, names)
    (guard,) = own(to).glob(".*.lock")
    (index,) = (path for path in own(to).glob(".*.json") if "holder" not in path.name)
    places = [folder, folder / "images", folder.with_name(f".{folder.name}.tmp"), guard]
    for place in places:
        kept = tmp_path / "kept"
        if place.exists():
            place.rename(kept)
        if place.name.endswith(".tmp"):
            folder.rename(kept)
        index.unlink(missing_ok=True)
        place.symlink_to(elsewhere)
        with pytest.raises(UserError, match=f"{place.name} is a link: remove it"):
            stage(root, to, names)
        place.unlink()
        kept.rename(folder if place.name.endswith(".tmp") else place)
    assert list(elsewhere.iterdir()) == []
    assert stage(root, to, names) == folder


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "../x"}, r"data\.name='\.\./x' is no name"),
        ({"name": ".."}, "is no name"),
        ({"name": "a\nb"}, "is no name"),
        ({"images": "../x"}, r"data\.images=\.\./x leaves the data set's folder"),
        ({"masks": "a/../../x"}, r"data\.masks=.* leaves the data set's folder"),
    ],
)
def test_a_name_or_a_folder_that_leads_elsewhere_is_refused(tiny: Tiny, changes: dict[str, str], says: str) -> None:
    config = tiny(**changes)
    with pytest.raises(UserError, match=says):
        check_layout(config)


def test_what_is_not_below_the_root_is_not_copied(tiny: Tiny, tmp_path: Path) -> None:
    data = tiny()
    split = load_split(data)
    masks = Path(data.root) / data.masks
    masks.rename(tmp_path / "masks")
    config = Config(data=replace(data, masks=str(tmp_path / "masks")), site=SiteConfig(stage=str(tmp_path / "local")))
    with pytest.raises(UserError, match=r"copies what is below data\.root, and .*masks/a\.png is not"):
        staged(config, split)
    assert not (tmp_path / "local").exists()


def test_a_device_is_not_copied(source: tuple[Path, list[str]], tmp_path: Path) -> None:
    root, names = source
    (root / names[0]).unlink()
    (root / names[0]).symlink_to("/dev/zero")
    with pytest.raises(UserError, match=r"0\.jpg is a device"):
        stage(root, tmp_path / "local", names)


def test_a_disk_that_is_too_small_is_said(
    source: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, names = source
    stage(root, tmp_path / "local", names[:10], "other")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(UserError, match=r"120 kB of data do not fit .* 1\.0 kB are free.*may be removed.*other-"):
        stage(root, tmp_path / "local", names)
    assert len(copies(tmp_path / "local")) == 1
    assert not list((tmp_path / "local").rglob("*.tmp"))
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
    assert Path(moved.root).parent == tmp_path / f"local/gta/gta-{os.getuid()}"
    assert Path(moved.root).name.startswith("tiny-")
    before, after = SegmentationDataset(data, split.labeled), SegmentationDataset(moved, split.labeled)
    expected = before.labeled(0)
    shutil.rmtree(data.root)
    assert load_split(moved) == split, "the copy is complete: lists, images, and the masks there are"
    assert all((a == b).all() for a, b in zip(after.labeled(0), expected, strict=True))
    assert staged(Config(data=data), split).data is data, "not asked for"
