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
