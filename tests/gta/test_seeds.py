"""The first draws of each purpose are what they always were: a number that was published can be made again."""

from __future__ import annotations

import pytest
import torch

from gta import seeds


@pytest.mark.parametrize(
    ("seed", "stream", "epoch", "first"),
    [
        (0, "labeled", 2, [4, 6, 7, 9, 0, 2, 3, 5, 8, 1]),
        (0, "unlabeled", 0, [2, 3, 4, 8, 6, 5, 7, 9, 0, 1]),
        (7, "labeled", 2, [8, 1, 2, 3, 4, 6, 0, 5, 7, 9]),
        (7, "unlabeled", 0, [4, 5, 7, 2, 0, 8, 1, 9, 6, 3]),
    ],
)
def test_order_of_images(seed: int, stream: str, epoch: int, first: list[int]) -> None:
    assert seeds.order(seed, stream, epoch).permutation(10).tolist() == first


def test_batches_of_another_order() -> None:
    assert seeds.batches(7, 0) == 7
    assert [seeds.batches(7, order) for order in (1, 2)] == [7 + 2**40, 7 + 2**41]
    drawn = {tuple(seeds.order(seeds.batches(7, order), "labeled", 0).permutation(9)) for order in range(4)}
    assert len(drawn) == 4


@pytest.mark.parametrize(("seed", "first"), [(0, (873559, 168659)), (7, (109090, 793421))])
def test_views(seed: int, first: tuple[int, int]) -> None:
    assert tuple(seeds.views(seed, s, 3, 5).integers(10**6) for s in ("labeled", "unlabeled")) == first


@pytest.mark.parametrize(("seed", "first"), [(0, 4362733721210612642), (7, 6925189483699200476)])
def test_step(seed: int, first: int) -> None:
    assert seeds.step(seed, 11, 2) == first


def test_steps_differ() -> None:
    made = {seeds.step(seed, iteration, rank) for seed in range(3) for iteration in range(5) for rank in range(3)}
    assert len(made) == 45


@pytest.mark.parametrize(
    ("seed", "view", "first"),
    [
        (0, 0, (0.6687430945756098, 340)),
        (0, 1, (0.758239369380833, 315)),
        (7, 0, (0.05368293550701497, 370)),
        (7, 1, (0.015651595084567815, 444)),
    ],
)
def test_cutmix(seed: int, view: int, first: tuple[float, int]) -> None:
    draw = seeds.cutmix(seed, iteration=4, group=9, view=view)
    assert (draw.random(), draw.randint(1, 1000)) == first


@pytest.mark.parametrize(
    ("seed", "first"),
    [
        (0, ([3, 1, 2, 0, 5, 7, 4, 6], 0.7998516794756303, 0.6247985591730386, 187, 0.20137573085760907)),
        (7, ([1, 2, 5, 6, 0, 7, 4, 3], 0.8577412907284172, 0.6694497155505846, 329, 0.3289465189693104)),
    ],
)
def test_label_injection(seed: int, first: tuple[list[int], float, float, int, float]) -> None:
    draw = seeds.label_injection(seed, iteration=4, group=9)
    order = draw.permutation(8).tolist()
    assert (order, draw.beta(8, 2), draw.beta(4, 4), draw.integers(64, 513), draw.random()) == first


@pytest.mark.parametrize(
    ("seed", "label", "first"),
    [(0, 0, [955846, 772075]), (0, 3, [900434, 241445]), (7, 0, [608023, 247152])],
)
def test_contrast(seed: int, label: int, first: list[int]) -> None:
    assert seeds.contrast(seed, iteration=4, group=9, label=label).integers(10**6, size=2).tolist() == first


@pytest.mark.parametrize(
    ("seed", "network", "first"),
    [(0, 0, [136044, 248239]), (0, 1, [644635, 821632]), (7, 0, [741615, 413892]), (7, 1, [133674, 611517])],
)
def test_initial_weights(seed: int, network: int, first: list[int]) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.weights(seed, network))
        assert torch.randint(10**6, (2,)).tolist() == first


def test_no_other_cell_of_a_table_begins_with_the_weights_of_a_second_network() -> None:
    assert seeds.weights(0, 1) > 10**6
    assert seeds.weights(0, 1) % 2**32 == seeds.weights(0, 1), "torch looks at the lower 32 bits alone"


@pytest.mark.parametrize(("seed", "first"), [(0, (741350, 972918)), (7, (756519, 846974))])
def test_generated_pictures(seed: int, first: tuple[int, int]) -> None:
    assert tuple(seeds.shape_picture(seed, part, 3).integers(10**6) for part in ("train", "val")) == first


@pytest.mark.parametrize(("seed", "first"), [(0, [2, 9, 4, 7, 3, 5, 0, 1, 6, 8]), (7, [1, 2, 9, 6, 5, 3, 0, 4, 8, 7])])
def test_split(seed: int, first: list[int]) -> None:
    assert seeds.split(seed).permutation(10).tolist() == first
