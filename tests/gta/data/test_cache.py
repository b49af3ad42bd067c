"""Decoded pictures that the processes of a node share: the same pixels as without, whoever is killed, whatever becomes
of the files, and never more bytes than are allowed.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gta import locks
from gta.config import Config, DataConfig, SiteConfig
from gta.data import cache as caching
from gta.data import cachefile, dataset
from gta.data.cache import DecodedPictures, decoded_pictures, kept
from gta.data.dataset import SegmentationDataset
from gta.data.labels import Labels
from gta.data.loaders import train_loader, val_samples
from gta.data.pictures import read_image
from gta.data.splits.split import load_split
from gta.errors import UserError

Tiny = Callable[..., DataConfig]
SIDE = 64
FILE = cachefile.HEAD + SIDE * SIDE * 3  # bytes of a picture below in the cache: four blocks of 4096
SETTINGS = DataConfig(name="made", split="0", classes=["a", "b"])


@pytest.fixture(autouse=True)
def a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process opened once it keeps; and this machine's disk may be nearly full."""
    caching._opened.cache_clear()
    monkeypatch.setattr(caching, "KEEP_FREE", 0)


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Twelve PNG files of random pixels."""
    generator = np.random.default_rng(0)
    paths = [tmp_path / f"pictures/{number}.png" for number in range(12)]
    paths[0].parent.mkdir()
    for path in paths:
        Image.fromarray(generator.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)).save(path)
    return paths


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "decoded").mkdir()
    return tmp_path / "decoded"


def read(decoded: DecodedPictures, path: Path) -> np.ndarray:
    return decoded.get(path, "image", lambda: read_image(path, SETTINGS))


def kept_only(decoded: DecodedPictures, path: Path) -> np.ndarray | None:
    """What the cache has of a picture, which is not decoded."""
    try:
        return decoded.get(path, "image", lambda: pytest.fail("decoded"))
    except pytest.fail.Exception:
        return None


def right(decoded: DecodedPictures, path: Path) -> bool:
    return bool(np.array_equal(read(decoded, path), np.asarray(Image.open(path))))


def whole(folder: Path) -> list[Path]:
    return sorted(one.path for one in kept(folder) if one.whole)


def used(folder: Path) -> int:
    return sum(one.size for one in kept(folder))


def everything(config: Config) -> Iterator[torch.Tensor]:
    """All tensors of a cell's training batches and validation samples, in order."""
    split = load_split(config.data)
    for labeled, unlabeled in train_loader(config, split, 1, 0, 0, 2, unlabeled=True):
        assert unlabeled is not None
        found = [labeled.image, labeled.mask, unlabeled.weak, unlabeled.strong, unlabeled.strong2, unlabeled.padding]
        yield from (one for one in found if one is not None)
    for _, image, mask in val_samples(config, split.val, 0, 1):
        yield from (image, mask)


@pytest.mark.parametrize(("workers", "scale"), [(0, 1.0), (2, 1.0), (0, 0.5)])
def test_batches_are_equal_bit_for_bit(
    shapes_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, scale: float
) -> None:
    data = replace(shapes_config.data, input_scale=scale)
    plain = list(everything(replace(shapes_config, data=data)))
    site = SiteConfig(workers=workers, cache=str(tmp_path / "node"))
    config = replace(shapes_config, data=data, site=site)

    def same() -> bool:
        return all(torch.equal(a, b) for a, b in zip(plain, everything(config), strict=True))

    assert same(), "filling it"
    place = tmp_path / f"node/gta-{os.getuid()}/decoded"
    split = load_split(config.data)
    images = len({*split.labeled, *split.unlabeled, *split.val})
    assert len(whole(place)) == images + len({*split.labeled, *split.val}), "images, and masks where they are read"

    def refuse(*_: object) -> Any:
        raise AssertionError("decoded again")

    monkeypatch.setattr(dataset, "read_image", refuse)
    monkeypatch.setattr(Labels, "mask", refuse)
    assert same(), "from it alone"


def test_it_is_off_by_default(shapes_config: Config) -> None:
    assert decoded_pictures(shapes_config.site) is None


def test_what_a_data_set_keeps_in_memory_maps_no_files(tiny: Tiny, folder: Path) -> None:
    config = tiny()
    decoded = DecodedPictures(folder, 10**9)
    SegmentationDataset(config, ["a"], decoded=decoded).labeled(0)
    image, mask = SegmentationDataset(config, ["a"], decoded=decoded).training(0, with_mask=True)
    assert mask is not None
    assert image.base is None
    assert mask.base is None


def test_masks_of_other_settings_are_other_masks(tiny: Tiny, folder: Path) -> None:
    config = tiny()
    decoded = DecodedPictures(folder, 10**9)
    turned = replace(config, label_map=[[0, 1], [1, 0], [255, 255]])
    for _ in range(2):
        for settings in (config, turned):
            with_cache = SegmentationDataset(settings, ["a"], decoded=decoded).mask(0)
            assert np.array_equal(with_cache, SegmentationDataset(settings, ["a"]).mask(0))
    assert len(whole(folder)) == 2


def test_a_picture_is_decoded_once_and_stays_readable_when_its_file_goes(pictures: list[Path], folder: Path) -> None:
    decoded = DecodedPictures(folder, 10**9)
    assert right(decoded, pictures[0])
    image = kept_only(decoded, pictures[0])
    other = kept_only(pickle.loads(pickle.dumps(decoded)), pictures[0])
    assert image is not None
    assert other is not None
    assert not image.flags.writeable
    (file,) = whole(folder)
    assert file.stat().st_mode & 0o777 == 0o600
    file.unlink()
    for found in (image, other):
        assert np.array_equal(found, np.asarray(Image.open(pictures[0])))
    assert kept_only(decoded, pictures[0]) is None


def test_a_source_that_was_replaced_is_decoded_anew(pictures: list[Path], folder: Path) -> None:
    decoded = DecodedPictures(folder, 10**9)
    first, second = pictures[:2]
    for path in (first, second):  # two files of one size
        path.write_bytes(path.read_bytes().ljust(20_000, b"\0"))
    before = first.stat()
    assert right(decoded, first)
    shutil.copyfile(second, first)
    os.utime(first, ns=(before.st_atime_ns, before.st_mtime_ns))  # as cp -p and rsync leave it
    assert (first.stat().st_size, first.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert right(decoded, first)
    os.replace(second, first)
    assert right(decoded, first)


def test_a_source_that_changes_while_it_is_decoded_is_not_kept(pictures: list[Path], folder: Path) -> None:
    decoded = DecodedPictures(folder, 10**9)

    def decode() -> np.ndarray:
        found = read_image(pictures[0], SETTINGS)
        shutil.copyfile(pictures[1], pictures[0])
        return found

    decoded.get(pictures[0], "image", decode)
    assert whole(folder) == []
    assert right(decoded, pictures[0])


def test_trouble_with_the_source_is_said_as_without(tmp_path: Path, folder: Path) -> None:
    decoded = DecodedPictures(folder, 10**9)
    with pytest.raises(UserError, match=r"absent\.png is not there"):
        read(decoded, tmp_path / "absent.png")
    (tmp_path / "broken.png").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"broken\.png is corrupt or not a picture"):
        read(decoded, tmp_path / "broken.png")
    os.mkfifo(tmp_path / "fifo.png")
    with pytest.raises(UserError, match=r"fifo\.png is a FIFO"):
        read(decoded, tmp_path / "fifo.png")
    assert whole(folder) == []


def _flip(file: Path, place: int) -> None:
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)


def _as_another(file: Path) -> None:
    content = file.read_bytes().replace(file.name.encode(), b"0" * 32)
    file.write_bytes(content)


def _begin(file: Path, head: bytes) -> None:
    """Another head, which is JSON where it is closed and all it needs is there."""
    if head.startswith(b"{"):
        head += b', "format": 0, "key": "", "digest": ""}'
    file.write_bytes(head.ljust(cachefile.HEAD) + file.read_bytes()[cachefile.HEAD :])


def _link(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to(file.with_name("elsewhere"))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a pixel": lambda file: _flip(file, cachefile.HEAD + 5000),
    "the last pixel": lambda file: _flip(file, FILE - 1),
    "the shape": lambda file: file.write_bytes(file.read_bytes().replace(b"[64, 64, 3]", b"[32, 128, 3]", 1)),
    "an endless side": lambda file: _begin(file, b'{"shape": [1e400]'),
    "endless lists": lambda file: _begin(file, b"[" * cachefile.HEAD),
    "the head": lambda file: _flip(file, 0),
    "its end": lambda file: os.truncate(file, FILE - 1),
    "all but the head": lambda file: os.truncate(file, cachefile.HEAD),
    "all": lambda file: os.truncate(file, 0),
    "zeros": lambda file: file.write_bytes(bytes(FILE)),
    "more": lambda file: file.write_bytes(file.read_bytes() + b"0"),
    "another picture's": _as_another,
    "a link": _link,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_made_again_and_never_used(pictures: list[Path], folder: Path, damage: str) -> None:
    before = DecodedPictures(folder, 10**9)
    assert right(before, pictures[0])
    assert right(before, pictures[0])
    (file,) = whole(folder)
    DAMAGES[damage](file)
    seen = file.lstat().st_mtime_ns
    decoded = DecodedPictures(folder, 10**9)
    assert kept_only(decoded, pictures[0]) is None
    assert right(decoded, pictures[0])
    assert file.lstat().st_mtime_ns != seen
    assert kept_only(decoded, pictures[0]) is not None
    if damage != "a link":  # whose target is as it was, and another file than the one that was seen
        assert right(before, pictures[0]), "who had seen it whole looks again at another file"


def test_a_folder_in_the_place_of_a_file_keeps_nobody_from_training(
    pictures: list[Path], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    decoded = DecodedPictures(folder, 10**9)
    assert right(decoded, pictures[0])
    (file,) = whole(folder)
    file.unlink()
    file.mkdir()
    assert right(decoded, pictures[0])
    assert "cannot be written to (Is a directory)" in capsys.readouterr().out
    assert not list(folder.glob("*.tmp"))


WORKER = """
import json, os, signal, sys
from pathlib import Path
import numpy as np
from PIL import Image
from gta.config import DataConfig
from gta.data import cache, cachefile
from gta.data.pictures import read_image
paths, folder, most, rounds, seed, dies = json.loads(sys.argv[1])
settings = DataConfig(name="made", split="0", classes=["a", "b"])
cache.KEEP_FREE = 0
if dies:
    def write(path, key, pixels):
        with open(path, "r+b") as file:
            file.write(b"x" * (cachefile.HEAD + 100))
        os.kill(os.getpid(), signal.SIGKILL)
    cachefile.write = write
decoded = cache.DecodedPictures(Path(folder), most)
truth = [np.asarray(Image.open(path)) for path in paths]
random = np.random.default_rng(seed)
made = [0] * len(paths)
print("ready", flush=True)
sys.stdin.readline()
for _ in range(rounds):
    for index in random.permutation(len(paths)):
        path = Path(paths[index])
        def decode():
            made[index] += 1
            return read_image(path, settings)
        assert np.array_equal(decoded.get(path, "image", decode), truth[index])
print(json.dumps(made))
"""


def start(paths: list[Path], folder: Path, most: int, rounds: int, seed: int, dies: bool = False) -> Any:
    given = json.dumps([[str(path) for path in paths], str(folder), most, rounds, seed, dies])
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", WORKER, given], **pipes)  # type: ignore[call-overload]


@pytest.mark.slow
def test_processes_fill_it_together_below_the_limit_and_one_is_killed_while_it_writes(
    pictures: list[Path], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 8 * FILE
    processes = [start(pictures, folder, most, 40, seed, dies=not seed) for seed in range(3)]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 3
    for process in processes:  # once the first was killed the others go at once: else it may find all of the room taken
        process.stdin.write("\n")
        process.stdin.flush()
        if process is processes[0]:
            assert process.wait(timeout=600) == -9
    largest = used(folder)
    while any(process.poll() is None for process in processes):
        largest = max(largest, used(folder))
        time.sleep(0.002)
    said = [process.communicate(timeout=600)[0] for process in processes]
    assert [process.returncode for process in processes[1:]] == [0, 0]
    assert 7 * FILE <= max(largest, used(folder)) <= most
    (half,) = (one for one in kept(folder) if not one.whole)
    assert half.size == FILE, "its room was taken before it was written"
    fresh = DecodedPictures(folder, most)
    assert sum(kept_only(fresh, path) is not None for path in pictures) == 7, "with the half one, eight"
    made = np.sum([json.loads(text.splitlines()[-1]) for text in said[1:]], axis=0)
    assert max(sorted(made)[:7]) <= 2, "decoded once by each process at the very most, and never again"
    monkeypatch.setattr(caching, "LEFT_SECONDS", 0.0)  # as if it had died long ago
    assert all(right(fresh, path) for path in pictures)
    assert all(one.whole for one in kept(folder))
    assert len(whole(folder)) == 8


def test_the_longest_unused_goes_first_and_none_that_was_used_lately(
    pictures: list[Path], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    most, files = 4 * FILE, []
    for path in pictures[:4]:
        there = set(whole(folder))
        assert right(DecodedPictures(folder, most), path)
        files += {*whole(folder)} - there
    assert used(folder) == most
    decoded = DecodedPictures(folder, most)
    assert right(decoded, pictures[4])
    assert kept_only(decoded, pictures[4]) is None, "all are in use"
    assert right(decoded, pictures[5])
    assert capsys.readouterr().out.count("is full (65.5 kB, site.cache_gb)") == 1, "said once"
    for number, file in enumerate(files):
        _unused(file, hours=5 - number)
    assert kept_only(decoded, pictures[0]) is not None, "used again"
    assert right(DecodedPictures(folder, most), pictures[4])
    still = [kept_only(DecodedPictures(folder, most), path) is not None for path in pictures[:5]]
    assert still == [True, False, False, True, True], "with a bit to spare"


def _unused(file: Path, hours: float) -> None:
    moment = time.time() - 3600 * hours
    os.utime(file, (moment, moment))


def test_a_lower_limit_holds_at_the_next_picture(pictures: list[Path], folder: Path) -> None:
    for path in pictures[:6]:
        right(DecodedPictures(folder, 10**9), path)
    right(DecodedPictures(folder, 3 * FILE), pictures[6])
    assert used(folder) <= 3 * FILE


@pytest.mark.parametrize("text", ["", "7\n", "garbage", "0" * 19])
def test_a_broken_count_is_made_anew(pictures: list[Path], folder: Path, text: str) -> None:
    decoded = DecodedPictures(folder, 2 * FILE)
    right(decoded, pictures[0])
    (folder / ".used").write_text(text)
    for path in pictures[1:4]:
        right(decoded, path)
    assert len(whole(folder)) == 2


def test_a_full_disk_stops_the_cache_and_not_the_training(
    pictures: list[Path], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    decoded = DecodedPictures(folder, 10**9)
    assert right(decoded, pictures[0])
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
        assert all(right(DecodedPictures(folder, 10**9), path) for path in pictures)
    assert capsys.readouterr().out.count("only 1.0 kB are free") == len(pictures) - 1, "once a process"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE - 1, hard))  # a disk that turns out to be full
    try:
        assert all(right(decoded, path) for path in pictures)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert capsys.readouterr().out.count("cannot be written to (File too large)") == 1
    assert kept_only(decoded, pictures[0]) is not None, "what is there is used"
    assert len(list(kept(folder))) == 1


def test_all_workers_of_a_process_say_it_once(
    pictures: list[Path], folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    decoded = DecodedPictures(folder, FILE)
    fork = multiprocessing.get_context("fork")
    for path in pictures[:3]:
        worker = fork.Process(target=lambda path=path: [right(decoded, one) for one in (path, path)])
        worker.start()
        worker.join()
        assert worker.exitcode == 0
    assert capfd.readouterr().out.count("is full") == 1


def test_a_folder_that_became_anothers_is_not_written_to(
    pictures: list[Path], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    decoded = DecodedPictures(folder, 10**9)
    folder.rmdir()
    folder.mkdir()
    folder.chmod(0o777)
    assert right(decoded, pictures[0])
    folder.rmdir()
    folder.symlink_to(pictures[0].parent)
    assert right(DecodedPictures(folder, 10**9), pictures[0])
    assert capsys.readouterr().out.count("cannot be written to (not this user's alone)") == 2
    assert {path.suffix for path in pictures[0].parent.iterdir()} == {".png"}


def test_who_keeps_the_lock_keeps_nobody_from_training(
    pictures: list[Path], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caching, "LOCK_SECONDS", 0.05)
    with locks.lock_within(folder / ".lock", 0) as mine:
        assert mine
        assert right(DecodedPictures(folder, 10**9), pictures[0])
    assert whole(folder) == []


def test_a_cache_that_is_removed_meanwhile_is_made_again(pictures: list[Path], folder: Path) -> None:
    decoded = DecodedPictures(folder, 10**9)
    image = read(decoded, pictures[0])
    shutil.rmtree(folder)
    assert right(decoded, pictures[0])
    assert len(whole(folder)) == 1
    assert np.array_equal(image, read(decoded, pictures[0]))


def test_its_folder_is_the_users_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    site = SiteConfig(cache=str(shared))
    shared.chmod(0o777)
    with pytest.raises(UserError, match=r"site\.cache: everyone may rename and remove what is in .*shared"):
        decoded_pictures(site)
    shared.chmod(0o1777)
    own = shared / f"gta-{os.getuid()}"
    own.symlink_to(tmp_path)
    with pytest.raises(UserError, match=r"site\.cache: .* is no folder but a link"):
        decoded_pictures(site)
    own.unlink()
    own.mkdir(mode=0o700)
    (own / "decoded").symlink_to(tmp_path)
    with pytest.raises(UserError, match=r"site\.cache: .*decoded is a link: remove it"):
        decoded_pictures(site)
    (own / "decoded").unlink()
    capsys.readouterr()
    decoded = decoded_pictures(site)
    assert decoded is decoded_pictures(site), "one a process"
    assert (own / "decoded").stat().st_mode & 0o7777 == 0o700
    assert capsys.readouterr().out == f"data: decoded pictures are kept in {own}/decoded, 50.0 GB at most\n"


def test_a_folder_that_cannot_be_made_is_said_and_a_variable_is_the_nodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site = SiteConfig(cache="$NODE_DISK/below")
    with pytest.raises(UserError, match=r"site\.cache=\$NODE_DISK/below: that is \$NODE_DISK/below on"):
        decoded_pictures(site)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NODE_DISK", str(tmp_path / "file"))
    assert decoded_pictures(site) is None
    assert "file/below cannot be used (Not a directory): pictures are decoded each time" in capsys.readouterr().out
