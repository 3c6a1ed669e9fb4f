"""How the small networks of evaluation are trained: the optimisation, and what is changed about their images."""

from collections.abc import Callable
from typing import TypeVar

import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import convert_conv2d_weight_memory_format

from aggan.types import Image

LEARNING_RATE, WEIGHT_DECAY, LABEL_SMOOTHING = 3e-3, 0.05, 0.05
BLURRED = 0.15
"""The share of images that are blurred."""
Network = TypeVar("Network", bound=nn.Module)
NextBatch = Callable[[], tuple[Image, Int[Tensor, " n"]]]
"""Draws images and their classes."""


def fit(
    network: Network, next_batch: NextBatch, steps: int, on_step: Callable[[int, int], object] | None = None
) -> Network:
    """AdamW with a one-cycle schedule, and smoothed labels. `on_step` gets the steps done, and how many there are."""
    convert_conv2d_weight_memory_format(network.train(), torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    for step in range(1, steps + 1):
        images, classes = next_batch()
        loss = F.cross_entropy(network(images), classes, label_smoothing=LABEL_SMOOTHING)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if on_step:
            on_step(step, steps)
    return network.eval()


def warp(images: Image, shift: float, angle: float = 0.0, scale: float = 0.0, mirror: bool = True) -> Image:
    """Move, rotate and scale images by up to these amounts, and mirror half of them; edges are reflected.

    `shift` is in sides of the image, `angle` in radians, `scale` relative to 1.
    """
    n = len(images)
    angles, scales = (2 * torch.rand(n) - 1) * angle, 1 + (2 * torch.rand(n) - 1) * scale
    signs = torch.where(torch.rand(n) < 0.5, -1.0, 1.0) if mirror else torch.ones(n)
    rows = torch.stack((torch.cos(angles) * signs, -torch.sin(angles), torch.sin(angles) * signs, torch.cos(angles)), 1)
    moves = (2 * torch.rand(n, 2, 1) - 1) * 2 * shift  # the grid's sides are 2
    affine = torch.cat((rows.view(n, 2, 2) * scales.view(n, 1, 1), moves), 2)
    grid = F.affine_grid(affine, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def blur(images: Image) -> Image:
    """Blur some of the images, as translations are sometimes blurred."""
    blurred = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="reflect"), 3, 1)
    return torch.where(torch.rand(len(images), 1, 1, 1) < BLURRED, blurred, images)


def recolour(images: Image) -> Image:
    """Change saturation, contrast and tint."""
    n, grey = len(images), images.mean(1, keepdim=True)
    images = grey + (images - grey) * torch.rand(n, 1, 1, 1) * 1.5
    return images * (0.6 + 0.8 * torch.rand(n, 1, 1, 1)) + (torch.rand(n, 3, 1, 1) - 0.5) * 0.5


def add_noise(images: Image) -> Image:
    """Add noise of an image's own strength."""
    return images + torch.randn_like(images) * torch.rand(len(images), 1, 1, 1) * 0.05
