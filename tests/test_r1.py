"""The R1 penalty: its formula, the methods that have it, and its place in a training."""

from copy import deepcopy

import pytest
import torch
from tiny_models import noise_batch, shrunk
from torch import nn

from aggan.errors import UserError
from aggan.losses import r1_penalty
from aggan.methods.base import Progress, Task
from aggan.methods.registry import METHODS
from aggan.nn.discriminators import Discriminator
from aggan.nn.freeze import frozen
from aggan.training.r1 import INTERVAL, r1_update

TASK = Task(("x", "y"), 64)
BOUNDED_OTHERWISE = {"aggan-domains-released", "dualgan", "stargan", "icgan", "ganimation", "bicyclegan"}
PENALISED = sorted(METHODS.keys() - BOUNDED_OTHERWISE)


def test_the_penalty_of_a_linear_discriminator_is_the_square_of_its_slope():
    """D(x) = <w, x> for two patches with weights w and 3 w: the mean score has the gradient 2 w."""
    w = torch.rand(1, 3, 4, 4)

    def discriminator(x: torch.Tensor) -> torch.Tensor:
        score = (w * x).sum((1, 2, 3), keepdim=True)
        return torch.cat((score, 3 * score), dim=2)

    penalty = r1_penalty(discriminator, torch.rand(5, 3, 4, 4))
    assert float(penalty) == pytest.approx(4 * float(w.square().sum()), rel=1e-5)


@pytest.mark.parametrize("name", PENALISED)
def test_every_discriminator_that_learns_is_penalised_alone(name):
    torch.manual_seed(0)
    method = shrunk(name).build(TASK).train()
    batch = noise_batch(method.config, TASK)
    update = r1_update(method, 2.0)
    outputs = method(batch)
    others = [network for key, network in method.named_children() if key not in update.networks]
    with frozen(*others):
        terms = update.loss(batch, outputs)
    discriminators = [network for network in method.modules() if isinstance(network, Discriminator)]
    assert len(terms) == len(discriminators)
    torch.stack(list(terms.values())).sum().backward()
    for network in discriminators:
        first = next(part for part in network.modules() if isinstance(part, nn.Conv2d))
        assert first.weight.grad is not None
        assert first.weight.grad.abs().sum() > 0
    assert all(p.grad is None for network in others for p in network.parameters())


@pytest.mark.parametrize("name", sorted(BOUNDED_OTHERWISE))
def test_methods_with_a_penalty_of_their_own_refuse_it(name):
    with pytest.raises(UserError, match=r"--training\.r1: "):
        r1_update(shrunk(name).build(TASK), 1.0)


def test_it_learns_like_the_discriminators_in_every_sixteenth_step():
    config = shrunk("aggan")
    remedies = config.remedies.model_copy(update={"discriminator_lr_scale": 2.0})
    method = config.model_copy(update={"remedies": remedies}).build(TASK)
    update = r1_update(method, 1.0)
    assert update.networks == ("D_x", "D_y", "D_xa", "D_ya")
    assert update.lr_scale == 2
    assert [step for step in range(40) if update.when(Progress(step))] == [INTERVAL - 1, 2 * INTERVAL - 1]


def test_a_step_on_the_penalty_makes_discriminators_smoother():
    torch.manual_seed(0)
    method = shrunk("cyclegan").build(TASK).train()
    batch = noise_batch(method.config, TASK)
    update, outputs = r1_update(method, 1.0), method(batch)
    before = deepcopy(method.D_y)
    optimizer = torch.optim.SGD(method.D_y.parameters(), 1e-3)
    update.loss(batch, outputs)["D_y R1"].backward()
    optimizer.step()
    assert r1_penalty(method.D_y, batch.y) < r1_penalty(before, batch.y)
