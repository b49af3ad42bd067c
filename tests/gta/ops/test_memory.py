"""The memory against plain lists, and through a state dict. Over ranks: tests/gta/methods/test_ranks.py."""

from __future__ import annotations

import random

import pytest
import torch

from gta.ops.memory import Memory

SIZES = (5, 3, 1)


def filled(seed: int, turns: int) -> tuple[Memory, list[list[float]]]:
    """A memory after some turns, and what it must hold of each class, the oldest first."""
    draw, memory = random.Random(seed), Memory(SIZES, 2)
    expected: list[list[float]] = [[] for _ in SIZES]
    number = 0.0
    for _ in range(turns):
        new = []
        for label, size in enumerate(SIZES):
            count = draw.randint(0, 2 * size)  # at times more than it holds
            values = [number + i for i in range(count)]
            number += count
            expected[label] = (expected[label] + values)[-size:]
            new.append(torch.tensor(values)[:, None].expand(-1, 2))
        memory.add_of_all_ranks(new)
    return memory, expected


def held(memory: Memory) -> list[list[float]]:
    return [memory.take(label, torch.arange(memory.count(label)))[:, 0].tolist() for label in range(len(SIZES))]


@pytest.mark.parametrize("seed", range(5))
def test_first_in_first_out(seed: int) -> None:
    for turns in range(8):
        memory, expected = filled(seed, turns)
        assert held(memory) == expected
        assert all(memory.count(label) <= size for label, size in enumerate(SIZES))


@pytest.mark.parametrize("pieces", [[11], [4, 7], [2, 1, 8], [1] * 11])
def test_what_lies_where_does_not_depend_on_the_pieces(pieces: list[int]) -> None:
    whole, memory = Memory((4,), 1), Memory((4,), 1)
    vectors = torch.arange(11.0)[:, None]
    whole.add(0, vectors)
    for piece in vectors.split(pieces):
        memory.add_of_all_ranks([piece])
    assert all(torch.equal(tensor, memory.state_dict()[key]) for key, tensor in whole.state_dict().items())


def test_numbers_are_taken_in_their_shape() -> None:
    memory = Memory((4,), 1)
    memory.add(0, torch.arange(6.0)[:, None])
    assert memory.take(0, torch.tensor([[0, 3], [1, 1]]))[..., 0].tolist() == [[2, 5], [3, 3]]


def test_it_goes_on_from_a_state_as_if_nothing_had_been() -> None:
    """Also into one that holds something else."""
    memory, expected = filled(seed=1, turns=3)
    state = {key: tensor.clone() for key, tensor in memory.state_dict().items()}
    other, _ = filled(seed=2, turns=5)
    other.load_state_dict(state)
    assert held(other) == expected
    for one in (memory, other):
        one.add(0, torch.full((2, 2), -1.0))
    assert held(other) == held(memory)
    assert held(other)[0][-2:] == [-1.0, -1.0]
    assert not torch.equal(state["vectors0"], other.state_dict()["vectors0"]), "the state is not the memory itself"


@pytest.mark.parametrize("other", [Memory((5, 3), 2), Memory((5, 3, 1), 4), Memory((4, 3, 1), 2)])
def test_a_state_of_another_is_refused(other: Memory) -> None:
    """Of other classes, another width, or more than it may hold."""
    memory = Memory(SIZES, 2)
    memory.add(0, torch.zeros(5, 2))
    with pytest.raises(RuntimeError):
        other.load_state_dict(memory.state_dict())
