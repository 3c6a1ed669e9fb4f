"""Bicubic resampling by products of matrices."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from aggan.inference.resampling import resize, resize_columns, resize_rows

SIDES = st.integers(1, 90)
MORE_THAN_ONE = st.integers(2, 90)


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, SIDES, MORE_THAN_ONE)  # at a width of 1, torch gives all rows the value of the first one
def test_it_is_what_torch_interpolates(height, width, tall, wide):
    image = torch.rand(2, 3, height, width)
    expected = F.interpolate(image, (tall, wide), mode="bicubic", antialias=True, align_corners=False)
    torch.testing.assert_close(resize(image, tall, wide), expected, atol=1e-5, rtol=0)


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, st.integers(0, 89), st.integers(1, 90))
def test_some_rows_are_those_of_the_whole(height, tall, start, count):
    image, band = torch.rand(1, 2, height, 7), slice(start % tall, start % tall + count)
    torch.testing.assert_close(resize_rows(image, tall, band), resize(image, tall, 7)[..., band, :], atol=1e-6, rtol=0)


def test_long_lines_need_no_memory_for_weights_that_are_zero():
    line = torch.linspace(0, 1, 10_000_000)[None, None, None]
    torch.testing.assert_close(
        resize_columns(line, 2048)[0, 0, 0], (torch.arange(2048) + 0.5) / 2048, atol=1e-4, rtol=0
    )
