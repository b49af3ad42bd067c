"""The training stream and the validation samples: the same for any number of workers, ranks and restarts."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from gta.config import Config, ScheduleConfig, SiteConfig
from gta.data.dataset import SegmentationDataset
from gta.data.loaders import train_loader, val_samples
from gta.data.splits.split import Split, load_split
from gta.errors import UserError
from gta.ops.batch import Labeled, Unlabeled

Batch = tuple[Labeled, Unlabeled | None]


def _batches(config: Config, world_size: int = 1, rank: int = 0, start: int = 0, strong: bool = True) -> list[Batch]:
    split = load_split(config.data)
    return list(train_loader(config, split, world_size, rank, start, strong, unlabeled=True))


def _tensors(batch: Batch) -> list[Tensor]:
    labeled, unlabeled = batch
    assert unlabeled is not None
    assert unlabeled.strong is not None
    return [labeled.image, labeled.mask, unlabeled.weak, unlabeled.strong, unlabeled.padding]


def _same(one: list[Batch], other: list[Batch]) -> bool:
    pairs = zip(one, other, strict=True)
    return all(torch.equal(a, b) for x, y in pairs for a, b in zip(_tensors(x), _tensors(y), strict=True))


def test_what_a_batch_is(shapes_config: Config) -> None:
    batches = _batches(shapes_config)
    assert len(batches) == shapes_config.schedule.iterations
    labeled, unlabeled = batches[0]
    assert unlabeled is not None
    assert unlabeled.strong is not None
    assert (labeled.image.shape, labeled.image.dtype) == ((8, 3, 20, 20), torch.float32)
    assert (labeled.mask.shape, labeled.mask.dtype) == ((8, 20, 20), torch.int64)
    assert set(labeled.mask.unique().tolist()) <= {0, 1, 2, 3, 4, 255}
    assert unlabeled.weak.shape == unlabeled.strong.shape == (8, 3, 20, 20)
    assert (unlabeled.padding.shape, unlabeled.padding.dtype) == ((8, 20, 20), torch.bool)
    assert unlabeled.padding.any()
    assert not unlabeled.padding.all()
    assert unlabeled.weak.movedim(1, -1)[unlabeled.padding].abs().max() < 0.01
    assert not torch.equal(unlabeled.weak, unlabeled.strong)


def test_batches_are_of_another_order_from_the_iteration_on_that_is_asked(shapes_config: Config) -> None:
    def batches(*orders: tuple[int, int], start: int = 0) -> list[Batch]:
        split = load_split(shapes_config.data)
        return list(train_loader(shapes_config, split, 1, 0, start, True, unlabeled=True, orders=orders))

    first, second, twice = batches(), batches((2, 1)), batches((2, 1), (3, 2))
    assert _same(first[:2], second[:2])
    assert not any(_same([a], [b]) for a, b in zip(first[2:], second[2:], strict=True))
    assert _same(twice[:3], second[:3])
    assert not any(_same([a], [b]) for a, b in zip(twice[3:], second[3:], strict=True))
    assert _same(batches((2, 1), start=3), second[3:])
    assert _same(batches((2, 1), (2, 2))[2:], batches((2, 2))[2:]), "asked for again at the same checkpoint"


def test_two_workers_give_what_no_worker_gives(shapes_config: Config) -> None:
    with_workers = replace(shapes_config, site=SiteConfig(workers=2))
    assert _same(_batches(shapes_config), _batches(with_workers))


def test_ranks_together_hold_the_batch_of_one(shapes_config: Config) -> None:
    alone = _batches(shapes_config)
    for world_size in (2, 4):
        ranks = [_batches(shapes_config, world_size, rank) for rank in range(world_size)]
        for whole, *parts in zip(alone, *ranks, strict=True):
            joined = [torch.cat(pieces) for pieces in zip(*map(_tensors, parts), strict=True)]
            assert all(torch.equal(a, b) for a, b in zip(_tensors(whole), joined, strict=True))
            # Four groups of two images: rank r's first group follows those of the ranks before it.
            assert [part[0].first_group for part in parts] == [r * 4 // world_size for r in range(world_size)]
            assert [part[1].first_group for part in parts if part[1]] == [part[0].first_group for part in parts]


def test_a_resumed_stream_goes_on_where_it_was(shapes_config: Config) -> None:
    assert _same(_batches(shapes_config)[3:], _batches(shapes_config, start=3))
    assert _batches(shapes_config, start=5) == []


def test_unlabeled_images_are_not_loaded_during_the_warm_up(
    shapes_config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No method looks at them then. What comes afterwards is the same, in a resumed stream too."""
    warm = replace(shapes_config, schedule=replace(shapes_config.schedule, warm_up=2))
    decoded: list[bool] = []
    training = SegmentationDataset.training

    def counted(self: SegmentationDataset, index: int, with_mask: bool) -> Any:
        decoded.append(with_mask)
        return training(self, index, with_mask)

    monkeypatch.setattr(SegmentationDataset, "training", counted)
    batches, plain = _batches(warm), _batches(shapes_config)
    assert Counter(decoded) == {True: 2 * 5 * 8, False: (3 + 5) * 8}
    assert [batch[1] is None for batch in batches] == [True, True, False, False, False]
    assert all(torch.equal(a[0].image, b[0].image) for a, b in zip(batches, plain, strict=True))
    assert _same(batches[2:], plain[2:])
    for start in (1, 3):
        resumed = _batches(warm, start=start)
        assert _same(resumed[max(2 - start, 0) :], plain[max(2, start) :])


def test_ranks_hold_their_share_of_each_part_of_a_batch(shapes_config: Config) -> None:
    """Four groups of two images in two parts: rank 0 has the first group of each part, rank 1 the second."""
    config = replace(shapes_config, schedule=replace(shapes_config.schedule, iterations=1, accumulate=2))
    (whole,) = _batches(shapes_config)[:1]
    for rank, mine in ((0, [0, 1, 4, 5]), (1, [2, 3, 6, 7])):
        ((labeled, unlabeled),) = _batches(config, 2, rank)
        assert all(
            torch.equal(a[mine], b) for a, b in zip(_tensors(whole), _tensors((labeled, unlabeled)), strict=True)
        )
        assert labeled.first_group == rank
        assert _same(_batches(config), [whole]), "on one rank the order is as ever"


def test_seeds_and_iterations_differ(shapes_config: Config) -> None:
    one, other = _batches(shapes_config), _batches(replace(shapes_config, seed=4))
    assert not torch.equal(one[0][0].image, other[0][0].image)
    assert not torch.equal(one[0][0].image, one[1][0].image)


def test_the_order_of_lines_in_a_list_changes_nothing(shapes_config: Config) -> None:
    split = load_split(shapes_config.data)
    turned = Split(split.labeled[::-1], split.unlabeled[::-1], split.val[::-1])
    streams = [list(train_loader(shapes_config, s, 1, 0, 0, True, True)) for s in (split, turned)]
    assert _same(*streams)


def test_every_epoch_shows_every_image_once(shapes_config: Config, tmp_path: Path) -> None:
    """On pictures of one gray level each, so that a batch tells which images it holds."""
    split = load_split(shapes_config.data)
    for folder in ("JPEGImages", "SegmentationClass"):
        (tmp_path / folder).mkdir()
    for number, item in enumerate(split.labeled + split.unlabeled):
        Image.new("L", (24, 24), 10 * number).save(tmp_path / "JPEGImages" / f"{item}.jpg")
        Image.new("L", (24, 24), 0).save(tmp_path / "SegmentationClass" / f"{item}.png")
    still = replace(shapes_config.data.augment, scale_min=1.0, scale_max=1.0, weak_brightness=0.0)
    data = replace(shapes_config.data, root=str(tmp_path), augment=still)
    schedule = ScheduleConfig(iterations=9, batch_size=8, group_size=4)
    config = replace(shapes_config, data=data, schedule=schedule)
    batches = list(train_loader(config, split, 1, 0, 0, strong=False, unlabeled=True))
    for stream, size in ((0, 6), (1, 18)):
        images = torch.cat([batch[0].image if stream == 0 else batch[1].weak for batch in batches if batch[1]])
        red = (images[:, 0, 0, 0] * config.data.std[0] + config.data.mean[0]) * 255
        numbers = (red / 10).round().int().tolist()
        # 72 images of each stream: 12 epochs of 6 labeled, 4 epochs of 18 unlabeled.
        epochs = [numbers[i : i + size] for i in range(0, 72, size)]
        expected = list(range(6)) if stream == 0 else list(range(6, 24))
        assert all(sorted(epoch) == expected for epoch in epochs)
        assert len({tuple(epoch) for epoch in epochs}) > 1  # each in an order of its own


def test_only_what_is_asked_for_is_made(shapes_config: Config) -> None:
    split = load_split(shapes_config.data)
    labeled, nothing = next(train_loader(shapes_config, split, 1, 0, 0, strong=True, unlabeled=False))
    assert nothing is None
    again, weak = next(train_loader(shapes_config, split, 1, 0, 0, strong=False, unlabeled=True))
    both, strong = next(train_loader(shapes_config, split, 1, 0, 0, strong=True, unlabeled=True))
    assert weak is not None
    assert strong is not None
    assert weak.strong is None
    assert torch.equal(weak.weak, strong.weak)
    assert torch.equal(labeled.image, again.image)
    assert torch.equal(labeled.image, both.image)


def test_loading_leaves_the_trainings_random_numbers_alone(shapes_config: Config) -> None:
    for workers in (0, 1):
        config = replace(shapes_config, site=SiteConfig(workers=workers))
        torch.manual_seed(0)
        expected = torch.rand(3)
        torch.manual_seed(0)
        _batches(config)
        assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_bad_image_is_one_sentence_also_from_a_worker(shapes_config: Config, tmp_path: Path, workers: int) -> None:
    config = replace(shapes_config, site=SiteConfig(workers=workers))
    split = load_split(config.data)
    (tmp_path / "JPEGImages").mkdir()
    (tmp_path / "SegmentationClass").mkdir()
    for item in split.labeled:
        for folder, suffix in (("JPEGImages", ".jpg"), ("SegmentationClass", ".png")):
            whole = (Path(config.data.root) / folder / (item + suffix)).read_bytes()
            broken = suffix == ".jpg" and item == split.labeled[2]
            (tmp_path / folder / (item + suffix)).write_bytes(whole[:400] if broken else whole)
    config = replace(config, data=replace(config.data, root=str(tmp_path)))
    with pytest.raises(UserError) as error:
        list(train_loader(config, split, 1, 0, 0, False, False))
    assert str(error.value).startswith(f"{tmp_path}/JPEGImages/{split.labeled[2]}.jpg is corrupt")
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="is corrupt"):
        list(val_samples(config, split.labeled, 0, 1))


@pytest.mark.parametrize("workers", [0, 2])
def test_validation_shows_every_image_once_over_the_ranks(shapes_config: Config, workers: int) -> None:
    data = replace(shapes_config.data, input_scale=0.5)
    config = replace(shapes_config, data=data, site=SiteConfig(workers=workers))
    ids = load_split(data).val
    samples = [sample for rank in range(3) for sample in val_samples(config, ids, rank, 3)]
    assert Counter(index for index, _, _ in samples) == dict.fromkeys(range(7), 1)
    assert [index for index, _, _ in val_samples(config, ids, 1, 3)] == [1, 4]
    for index, image, mask in samples:
        assert (image.shape, image.dtype) == ((1, 3, 12, 12), torch.float32)
        assert mask.dtype == torch.int64
        on_disk = np.asarray(Image.open(f"{data.root}/SegmentationClass/{ids[index]}.png"))
        np.testing.assert_array_equal(mask.numpy(), on_disk)  # at original size, nothing resampled
    assert list(val_samples(config, ids[:2], rank=2, world_size=3)) == []


def test_a_second_strong_view_is_another_one_and_changes_no_other(shapes_config: Config) -> None:
    split = load_split(shapes_config.data)
    _, one = next(train_loader(shapes_config, split, 1, 0, 0, strong=1, unlabeled=True))
    _, two = next(train_loader(shapes_config, split, 1, 0, 0, strong=2, unlabeled=True))
    assert one is not None
    assert two is not None
    assert one.strong is not None
    assert two.strong is not None
    assert two.strong2 is not None
    assert one.strong2 is None
    assert torch.equal(one.weak, two.weak)
    assert torch.equal(one.strong, two.strong)
    assert not torch.equal(two.strong, two.strong2)
    assert two.strong2.movedim(1, -1)[two.padding].abs().max() < 0.01
