"""Bicubic resampling by products of matrices."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from aggan.inference.resampling import resize, resize_rows

SIDES = st.integers(1, 90)


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, SIDES, SIDES)
def test_it_is_what_torch_interpolates(height, width, tall, wide):
    image = torch.rand(2, 3, height, width)
    expected = F.interpolate(image, (tall, wide), mode="bicubic", antialias=True, align_corners=False)
    torch.testing.assert_close(resize(image, tall, wide), expected, atol=1e-5, rtol=0)


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, st.integers(0, 89), st.integers(1, 90))
def test_some_rows_are_those_of_the_whole(height, tall, start, count):
    image, band = torch.rand(1, 2, height, 7), slice(start % tall, start % tall + count)
    torch.testing.assert_close(resize_rows(image, tall, band), resize(image, tall, 7)[..., band, :], atol=1e-6, rtol=0)
