"""The optimizer that learns from views in memory order: the same steps and state as PyTorch's on the weights."""

import copy

import pytest
import torch
from test_ops import channels_last
from torch import nn

from aggan.methods.base import Update
from aggan.training.config import TrainingConfig
from aggan.training.optimizer import NetworkOptimizer

CONFIG = TrainingConfig(learning_rate=0.01, betas=(0.5, 0.9), weight_decay=0.1)


@pytest.mark.parametrize("name", ["adam", "rmsprop"])
def test_steps_and_state_are_those_of_pytorchs_optimizer_on_the_weights(name):
    torch.manual_seed(0)
    plain = channels_last(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 1)))
    ours = copy.deepcopy(plain)
    if name == "adam":
        theirs = torch.optim.Adam(plain.parameters(), 0.01, CONFIG.betas, weight_decay=0.1)
    else:
        theirs = torch.optim.RMSprop(plain.parameters(), 0.01, CONFIG.betas[1], weight_decay=0.1)
    config = CONFIG.model_copy(update={"optimizer": name})
    optimizer = NetworkOptimizer(config, Update("all", lambda *_: {}, ()), ours.parameters())
    for step in range(4):
        x = torch.randn(2, 3, 6, 6)
        for network in (plain, ours):
            network(x).square().mean().backward()
        theirs.step()
        theirs.zero_grad()
        optimizer.step(0.01)
        assert all(parameter.grad is None for parameter in ours.parameters())
        for a, b in zip(plain.parameters(), ours.parameters(), strict=True):
            torch.testing.assert_close(b, a)
        saved = optimizer.state_dict()["state"]
        for index, moments in theirs.state_dict()["state"].items():
            for key, moment in moments.items():
                torch.testing.assert_close(saved[index][key], moment)
        if step == 1:  # a state of PyTorch's optimizer, as older checkpoints have it
            optimizer = NetworkOptimizer(config, Update("all", lambda *_: {}, ()), ours.parameters())
            optimizer.load_state_dict(copy.deepcopy(theirs.state_dict()))
