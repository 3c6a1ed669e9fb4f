"""Bicubic resampling by matrix products."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from aggan.inference.resampling import resize, resize_columns, resize_rows

SIDES = st.integers(1, 90)
MORE_THAN_ONE = st.integers(2, 90)


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, SIDES, MORE_THAN_ONE)  # at a width of 1, torch gives all rows the value of the first one
def test_it_equals_torch_interpolate(height, width, new_height, new_width):
    image = torch.rand(2, 3, height, width)
    expected = F.interpolate(image, (new_height, new_width), mode="bicubic", antialias=True, align_corners=False)
    torch.testing.assert_close(resize(image, new_height, new_width), expected, atol=1e-5, rtol=0)


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, st.integers(0, 89), st.integers(1, 90))
def test_some_rows_equal_those_of_the_whole_image(height, new_height, start, count):
    image, rows = torch.rand(1, 2, height, 7), slice(start % new_height, start % new_height + count)
    expected = resize(image, new_height, 7)[..., rows, :]
    torch.testing.assert_close(resize_rows(image, new_height, rows), expected, atol=1e-6, rtol=0)


def test_long_lines_need_no_memory_for_zero_weights():
    line = torch.linspace(0, 1, 10_000_000)[None, None, None]
    torch.testing.assert_close(
        resize_columns(line, 2048)[0, 0, 0], (torch.arange(2048) + 0.5) / 2048, atol=1e-4, rtol=0
    )
