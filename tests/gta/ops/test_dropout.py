"""Dropout: torch's, but for who draws: the global batch does, and no rank and no part changes what an image gets."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gta.config import ScheduleConfig
from gta.ops import dropout
from gta.ops.batch import Labeled, labeled_parts, positions
from gta.ops.dropout import Draws, Dropout2d, drop_complements, drop_planes

BATCH, GROUP, VIEWS, PLANES = 16, 2, 3, 64


def planes_of(world: int, accumulate: int, seed: int = 0, iteration: int = 5, network: str = "student") -> Tensor:
    """What two passes of two layers keep of each image and view (pass, layer, view, image, plane), from all ranks and
    parts.
    """
    schedule = ScheduleConfig(batch_size=BATCH, group_size=GROUP, accumulate=accumulate)
    found = torch.full((2, 2, VIEWS, BATCH, PLANES), -1.0)
    for rank in range(world):
        mine = torch.tensor(positions(schedule, world, rank))
        batch = Labeled(torch.zeros(len(mine), 3, 1, 1), mine[:, None, None], int(mine[0]) // GROUP)
        parts = labeled_parts(batch, schedule)
        draws = Draws(seed, iteration, schedule, parts)
        for number, part in enumerate(parts):
            for turn in range(2):
                with draws.of_part(number), draws.of_pass(network):
                    for layer in range(2):
                        dropped = drop_planes(torch.ones(VIEWS * len(part.image), PLANES, 2, 2), 0.25)
                        assert torch.equal(dropped, dropped[:, :, :1, :1].expand_as(dropped)), "planes go as a whole"
                        places = part.mask.flatten()
                        found[turn, layer][:, places] = dropped[:, :, 0, 0].view(VIEWS, -1, PLANES)
    return found


SHARES = [(world, parts) for world in (1, 2, 4, 8) for parts in (1, 2, 4) if 1 < world * parts <= BATCH // GROUP]


@pytest.mark.parametrize(("world", "accumulate"), SHARES)
def test_ranks_and_parts_do_not_matter(world: int, accumulate: int) -> None:
    assert torch.equal(planes_of(world, accumulate), planes_of(1, 1))


def test_planes_are_dropped_by_the_probability_and_the_others_make_up_for_it() -> None:
    found = planes_of(1, 1)
    assert set(found.unique().tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
    assert (found == 0).float().mean().item() == pytest.approx(0.25, abs=0.02)


def test_every_pass_layer_view_image_and_plane_has_draws_of_its_own() -> None:
    flat = planes_of(1, 1).flatten(0, 3)
    assert len({tuple(row.tolist()) for row in flat}) == len(flat)


@pytest.mark.parametrize("other", [{"seed": 1}, {"iteration": 6}, {"network": "teacher"}])
def test_seed_iteration_and_network_draw_anew(other: dict[str, int | str]) -> None:
    share = (planes_of(1, 1) == planes_of(1, 1, **other)).float().mean().item()  # type: ignore[arg-type]
    assert share == pytest.approx(0.75**2 + 0.25**2, abs=0.02), "that of independent draws"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_values_and_gradients_are_those_of_torch(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(4, 8, 3, 3).to(dtype).requires_grad_()
    torch.manual_seed(0)
    expected = F.dropout2d(x, 0.3)
    kept = (expected != 0).flatten(2).any(2)
    monkeypatch.setattr(dropout._Pass, "kept", lambda *_: kept)
    with Draws(0, 0, ScheduleConfig(batch_size=4, group_size=2)).of_pass("student"):
        mine = Dropout2d(0.3)(x)
    assert torch.equal(mine, expected)
    (gradient,) = torch.autograd.grad(mine.square().sum(), x)
    (theirs,) = torch.autograd.grad(expected.square().sum(), x)
    assert torch.equal(gradient, theirs)


def test_none_and_all() -> None:
    x = torch.randn(2, 3, 4, 4, requires_grad=True)
    assert drop_planes(x, 0.0) is x
    assert Dropout2d(0.5).eval()(x) is x
    nothing = drop_planes(x, 1.0)
    nothing.sum().backward()
    assert x.grad is not None
    assert not nothing.any()
    assert not x.grad.any()


def test_a_pass_outside_of_a_step_is_refused() -> None:
    with pytest.raises(RuntimeError, match="within a step alone"):
        Dropout2d(0.5)(torch.ones(2, 3, 4, 4))
    schedule = ScheduleConfig(batch_size=4, group_size=1, accumulate=2)
    batch = Labeled(torch.zeros(4, 3, 1, 1), torch.zeros(4, 1, 1))
    draws = Draws(0, 0, schedule, labeled_parts(batch, schedule))
    with draws.of_pass("student"), draws.of_group(2):
        assert Dropout2d(0.5)(torch.ones(2, 3, 4, 4)).shape == (2, 3, 4, 4)
    with draws.of_pass("student"), pytest.raises(RuntimeError, match="or within the loss"):
        Dropout2d(0.5)(torch.ones(2, 3, 4, 4))


def complements_of(world: int, accumulate: int) -> list[Tensor]:
    """Factors of two views of each image (view, image, plane), of two features of one width and one of another."""
    schedule = ScheduleConfig(batch_size=BATCH, group_size=4, accumulate=accumulate)
    found = [torch.full((2, BATCH, planes), -1.0) for planes in (64, 64, 32)]
    for rank in range(world):
        mine = torch.tensor(positions(schedule, world, rank))
        parts = labeled_parts(
            Labeled(torch.zeros(len(mine), 3, 1, 1), mine[:, None, None], int(mine[0]) // 4), schedule
        )
        draws = Draws(0, 5, schedule, parts)
        for number, part in enumerate(parts):
            features = [torch.ones(2 * len(part.image), x.shape[2], 2, 3) for x in found]
            with draws.of_part(number), draws.of_pass("student"):
                dropped = drop_complements(features, 4)
            for x, one in zip(found, dropped, strict=True):
                x[:, part.mask.flatten()] = one[:, :, 0, 0].view(2, -1, x.shape[2])
    return found


def test_two_views_keep_complementary_planes_of_half_of_the_images() -> None:
    first, second, other = complements_of(1, 1)
    assert torch.equal(first, second), "one draw for features of one width"
    for factors in (first, other):
        assert torch.equal(factors[0] + factors[1], torch.full_like(factors[0], 2.0))
        whole = (factors == 1).all(2)
        assert torch.equal(whole[0], whole[1])
        assert whole[0].view(-1, 4).sum(1).tolist() == [2] * 4, "of each group, half is left as it is"
        assert set(factors[:, ~whole[0]].unique().tolist()) == {0.0, 2.0}
    share = (first[0][~(first[0] == 1).all(1)] == 2).float().mean()
    assert 0.4 < share < 0.6
    assert len({tuple(row.tolist()) for row in first[0]}) == 9, "each image has draws of its own"


@pytest.mark.parametrize(("world", "accumulate"), [(2, 1), (1, 2), (2, 2), (4, 1)])
def test_complements_know_no_ranks_and_no_parts(world: int, accumulate: int) -> None:
    for mine, whole in zip(complements_of(world, accumulate), complements_of(1, 1), strict=True):
        assert torch.equal(mine, whole)
