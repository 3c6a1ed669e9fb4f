"""Distances between pictures that a translation should keep (Benaim & Wolf, 2017)."""

from itertools import combinations

import torch
from torch import Tensor

from aggan.batches import Image


def across(images: Image) -> Tensor:
    """Mean absolute difference of every two pictures of a batch, (n (n - 1) / 2,)."""
    pairs = combinations(images.float(), 2)
    return torch.stack([(first - second).abs().mean() for first, second in pairs])


def within(images: Image) -> Tensor:
    """Mean absolute difference of the top and the bottom half of each picture, (n,)."""
    half = images.shape[2] // 2
    return (images[:, :, :half].float() - images[:, :, half : 2 * half].float()).abs().mean((1, 2, 3))
