"""Optimizers without torch's compiler: torch's own, number for number."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from gta.ops import optim

KINDS = [
    (optim.SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-3, "fused": True}),
    (optim.AdamW, torch.optim.AdamW, {"lr": 0.01, "weight_decay": 1e-2, "fused": True}),
]


@pytest.mark.parametrize(("ours", "theirs", "settings"), KINDS, ids=["SGD", "AdamW"])
def test_steps_and_states_are_torchs(ours: type, theirs: type, settings: dict[str, object]) -> None:
    assert issubclass(ours, theirs)
    torch.manual_seed(0)
    networks = [nn.Linear(4, 3)]
    networks.append(copy.deepcopy(networks[0]))
    optimizers = [made(net.parameters(), **settings) for made, net in zip((ours, theirs), networks, strict=True)]
    stepped: list[object] = []
    hook = register_optimizer_step_post_hook(lambda optimizer, *_: stepped.append(optimizer))
    for number in range(6):
        if number == 3:  # on from the other's state
            states = [optimizer.state_dict() for optimizer in optimizers]
            optimizers[0].load_state_dict(states[1])
            optimizers[1].load_state_dict(states[0])
        images = torch.randn(5, 4)
        for network, optimizer in zip(networks, optimizers, strict=True):
            optimizer.zero_grad()
            assert all(parameter.grad is None for parameter in network.parameters())
            network(images).square().mean().backward()
            optimizer.step()
    hook.remove()
    assert stepped == optimizers * 6  # hooks of all optimizers are told of each step, once
    for one, other in zip(*(network.parameters() for network in networks), strict=True):
        assert torch.equal(one, other)
        assert one.requires_grad
