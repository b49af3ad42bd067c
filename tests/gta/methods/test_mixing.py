"""CutMix: boxes, partners, and what the draw depends on."""

from __future__ import annotations

import pytest
import torch

from gta.methods.mixing import cutmix_mask, mix
from gta.ops.batch import Unlabeled


def batch(images: int, height: int = 20, width: int = 30, first_group: int = 0) -> Unlabeled:
    weak = torch.zeros(images, 3, height, width)
    return Unlabeled(weak, None, torch.zeros(images, height, width, dtype=torch.bool), first_group)


def boxes(inside: torch.Tensor) -> list[tuple[int, int, int, int]]:
    """left, top, width, height of each image's box; fails where it is not a full rectangle."""
    found = []
    for image in inside:
        ys, xs = torch.nonzero(image, as_tuple=True)
        left, top = int(xs.min()), int(ys.min())
        width, height = int(xs.max()) - left + 1, int(ys.max()) - top + 1
        assert width * height == int(image.sum())
        found.append((left, top, width, height))
    return found


def test_boxes_have_half_the_area_and_a_place_of_their_own() -> None:
    found = [b for i in range(60) for b in boxes(cutmix_mask(batch(4), 4, 1.0, seed=0, iteration=i))]
    for _, _, width, height in found:
        assert 16 <= width <= 29
        assert height == round(20 * 30 / 2 / width)
    assert {width for _, _, width, _ in found} == set(range(16, 30))
    assert len(set(found[:4])) > 1, "one box an image, not one a batch"
    assert min(left for left, *_ in found) == 0
    assert max(left + width for left, _, width, _ in found) == 30
    assert max(top + height for _, top, _, height in found) == 20


def many(kind: str, side: int = 200, images: int = 400) -> torch.Tensor:
    return cutmix_mask(batch(images, side, side), 4, 1.0, seed=3, iteration=0, boxes=kind)


def test_unimatch_boxes_are_2_to_40_percent_and_0_3_to_3_3_times_as_high_as_wide() -> None:
    found = boxes(many("unimatch"))
    areas = [width * height / 200**2 for _, _, width, height in found]
    assert 0.015 < min(areas) < 0.04
    assert 0.36 < max(areas) <= 0.4
    assert 0.19 < sum(areas) / len(areas) < 0.23, "uniform: 0.21 on average"
    ratios = [height / width for _, _, width, height in found]
    assert 0.28 < min(ratios) < 0.5
    assert 2.5 < max(ratios) < 3.5
    assert max(left + width for left, _, width, _ in found) > 190


def test_cutmix_seg_boxes_have_half_the_area_and_the_logarithm_of_their_height_is_uniform() -> None:
    found = boxes(many("cutmix_seg"))
    assert all(abs(width * height / 200**2 - 0.5) < 0.01 for _, _, width, height in found)
    heights = sorted(height / 200 for _, _, _, height in found)
    assert 0.5 <= heights[0] < 0.52
    assert heights[-1] > 0.98
    assert 0.68 < heights[200] < 0.74, "median: the root of 1/2"


def test_cps_boxes_are_three_a_third_of_25_to_50_percent_each_and_overlaps_undo_each_other() -> None:
    """Each 1/8 of the image on average; placed freely, an odd number of them covers (1 - (3/4)^3) / 2 = 29% of it."""
    inside = many("cps")
    shares = inside.float().mean((1, 2))
    assert 0.2 < float(shares.mean()) < 0.3
    assert float(shares.max()) < 0.5
    assert all(float(share) > 0.02 for share in shares)
    full = [bool(image[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1].all())
            for image in inside for ys, xs in [torch.nonzero(image, as_tuple=True)]]  # fmt: skip
    assert sum(full) < 40, "hardly ever one rectangle"


@pytest.mark.parametrize("kind", ["unimatch", "cutmix_seg", "cps"])
def test_an_image_is_mixed_with_the_given_probability_by_itself(kind: str) -> None:
    mixed = torch.cat([cutmix_mask(batch(6), 3, 0.5, 1, i, boxes=kind).flatten(1).any(1) for i in range(100)])
    assert 0.4 < float(mixed.float().mean()) < 0.6
    groups = mixed.reshape(-1, 3).sum(1)
    assert set(groups.tolist()) == {0, 1, 2, 3}, "a coin an image"
    assert not cutmix_mask(batch(6), 3, 0.0, 1, 0, boxes=kind).any()
    parts = [cutmix_mask(batch(3, first_group=g), 3, 0.8, 2, 7, boxes=kind) for g in (0, 1)]
    assert torch.equal(cutmix_mask(batch(6), 3, 0.8, 2, 7, boxes=kind), torch.cat(parts)), "by group, not by rank"


def test_in_reverse_the_partner_is_the_mirror_image_of_the_group() -> None:
    inside = many("unimatch", side=20, images=6)
    labels = torch.arange(6)[:, None, None].expand(6, 20, 20)
    mixed = mix(labels, inside, 3, reverse=True)
    for i, partner in enumerate((2, 1, 0, 5, 4, 3)):
        assert (mixed[i][inside[i]] == partner).all()


def test_what_is_pasted_may_be_other_values_than_those_outside() -> None:
    inside = many("unimatch", side=20, images=4)
    labels = torch.arange(4)[:, None, None].expand(4, 20, 20)
    mixed = mix(labels, inside, 2, pasted=labels + 10)
    for i, partner in enumerate((1, 0, 3, 2)):
        assert (mixed[i][inside[i]] == partner + 10).all()
        assert (mixed[i][~inside[i]] == i).all()


def test_a_group_is_mixed_with_the_given_probability_all_or_none() -> None:
    masks = [cutmix_mask(batch(6), 3, 0.5, seed=1, iteration=i) for i in range(200)]
    mixed = [[bool(image.any()) for image in mask] for mask in masks]
    assert all(m[:3] in ([True] * 3, [False] * 3) and m[3:] in ([True] * 3, [False] * 3) for m in mixed)
    share = sum(m[0] + m[3] for m in mixed) / 400
    assert 0.4 < share < 0.6
    assert any(m[0] != m[3] for m in mixed), "each group has a coin of its own"
    assert not cutmix_mask(batch(6), 3, 0.0, seed=1, iteration=0).any()


def test_the_draw_depends_on_the_global_group_not_on_the_rank() -> None:
    """Two ranks with a group each draw what one rank with both draws."""
    whole = cutmix_mask(batch(6), 3, 0.8, seed=2, iteration=7)
    parts = [cutmix_mask(batch(3, first_group=g), 3, 0.8, seed=2, iteration=7) for g in (0, 1)]
    assert torch.equal(whole, torch.cat(parts))
    assert not torch.equal(parts[0], parts[1])


@pytest.mark.parametrize("change", [{"seed": 3}, {"iteration": 8}])
def test_the_draw_depends_on_seed_and_iteration(change: dict[str, int]) -> None:
    key = {"seed": 2, "iteration": 7}
    assert not torch.equal(cutmix_mask(batch(4), 4, 1.0, **key), cutmix_mask(batch(4), 4, 1.0, **{**key, **change}))


@pytest.mark.parametrize("size", [1, 2, 4])
def test_the_partner_is_the_next_image_of_the_group(size: int) -> None:
    inside = cutmix_mask(batch(4), size, 1.0, seed=0, iteration=0)
    labels = torch.arange(4)[:, None, None].expand(4, 20, 30)
    images = labels[:, None].expand(4, 3, 20, 30).float()
    mixed, mixed_images = mix(labels, inside, size), mix(images, inside, size)
    for i in range(4):
        partner = i // size * size + (i + 1) % size
        assert (mixed[i][inside[i]] == partner).all()
        assert (mixed[i][~inside[i]] == i).all()
        assert torch.equal(mixed_images[i, 2], mixed[i].float())
