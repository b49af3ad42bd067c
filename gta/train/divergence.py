"""A run that left the finite numbers: found before a checkpoint or a score is made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from gta.errors import Diverged
from gta.methods.base import Method
from gta.ops import distributed
from gta.ops.distributed import unwrap
from gta.ops.finite import not_finite, tensors_in


def of_state(method: Method) -> str:
    """Which networks of a method, and states of its optimizers (momenta), are not finite on any rank; empty where none
    is. For every rank at once.
    """
    state = method.state_dict()
    broken = not_finite(dict(tensors_in(state)))
    words = []
    for name in state["networks"]:
        prefix = f"networks.{name}."
        words += _said(name, [key.removeprefix(prefix) for key in broken if key.startswith(prefix)])
    for name in state["optimizers"]:
        if any(key.startswith(f"optimizers.{name}.") for key in broken):
            words.append(f"the optimizer's state of the {name}")
    return _on_any_rank(words)


def of_networks(networks: Mapping[str, nn.Module]) -> str:
    """The same of networks alone."""
    words = []
    for name, network in networks.items():
        words += _said(name, not_finite(unwrap(network).state_dict()))
    return _on_any_rank(words)


def error(what: str, iteration: int, lr: float, saved: int | None) -> Diverged:
    """What ends a run of which `what` was found. `saved`: iteration of the last checkpoint, if any."""
    good, again = "there is no checkpoint yet", "begins again"
    if saved is not None:
        good, again = f"the last good checkpoint is of iteration {saved}", "goes on from it"
    return Diverged(
        f"Diverged at iteration {iteration}, learning rate {lr:.3g}: {what}; {good}. "
        f"`gta retry --new-order` {again} with other batches; a lower schedule.lr is another cell."
    )


def _said(name: str, broken: Sequence[str]) -> list[str]:
    """student (encoder.conv1.weight and 2 more tensors)"""
    if not broken:
        return []
    rest = len(broken) - 1
    more = f" and {rest} more tensor{'s' * (rest > 1)}" if rest else ""
    return [f"{name} ({broken[0]}{more})"]


def _on_any_rank(words: Sequence[str]) -> str:
    """The words of this rank, or that another has some: all ranks leave at the same point."""
    if not distributed.highest(len(words)):
        return ""
    return " and ".join(words) or "a network of another rank"
