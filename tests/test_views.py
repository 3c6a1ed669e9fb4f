"""Views: a model is applied to images of any size, and its prediction is resized to the image."""

from dataclasses import dataclass, field

import pytest
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from aggan.inference.compositing import ALL_ROWS, has_attention
from aggan.inference.tiles import BlendedTiles
from aggan.inference.views import whole_image
from aggan.types import Translation


@dataclass
class Echo:
    """Its content is the image plus `shift`, its mask is the brightness."""

    size: int = 16
    fixed_size: bool = False
    shift: float = 0.0
    attention: bool = True
    shapes: list[tuple[int, ...]] = field(default_factory=list)

    def __call__(self, images: Tensor) -> Translation:
        self.shapes.append(tuple(images.shape))
        content = images + self.shift
        if not self.attention:
            return Translation(content)
        return Translation(content, (images.mean(1, keepdim=True) + 1) / 2, content)


def noise(height: int, width: int) -> Float[Tensor, "1 3 h w"]:
    return torch.rand(1, 3, height, width) * 1.8 - 0.9


@pytest.mark.parametrize(("height", "width"), [(16, 16), (17, 40), (50, 33), (64, 16), (95, 31)])
def test_blended_tiles_cover_an_image_at_its_own_resolution(height, width):
    image, backend = noise(height, width), Echo()
    prediction = BlendedTiles()(image, backend).rows(ALL_ROWS)
    assert set(backend.shapes) == {(1, 3, 16, 16)}
    torch.testing.assert_close(prediction.content, image)
    torch.testing.assert_close(prediction.mask, (image.mean(1, keepdim=True) + 1) / 2)


def test_blended_tiles_overlap_by_half_at_least():
    backend = Echo()
    BlendedTiles()(noise(16, 100), backend)
    assert len(backend.shapes) == 12  # 84 pixels in steps of at most 8, and the first


def test_an_image_smaller_than_a_blended_tile_is_translated_as_a_whole():
    image, backend = noise(8, 40), Echo()
    assert BlendedTiles()(image, backend).rows(ALL_ROWS).content.shape == image.shape
    assert backend.shapes == [(1, 3, 16, 80)]


@pytest.mark.parametrize(("fixed_size", "expected"), [(False, (1, 3, 16, 32)), (True, (1, 3, 16, 16))])
def test_a_whole_image_is_resized_to_the_models_size(fixed_size, expected):
    backend = Echo(fixed_size=fixed_size)
    prediction = whole_image(noise(50, 100), backend).rows(ALL_ROWS)
    assert backend.shapes == [expected]
    assert (prediction.mask.shape, prediction.content.shape) == ((1, 1, 50, 100), (1, 3, 50, 100))
    assert 0 <= prediction.mask.min() <= prediction.mask.max() <= 1


@pytest.mark.parametrize(("height", "width"), [(1, 3000), (3000, 1), (10, 20_000)])
def test_the_size_of_a_thin_image_is_bounded(height, width):
    backend = Echo()
    prediction = whole_image(noise(height, width), backend).rows(ALL_ROWS)
    assert sorted(backend.shapes[0][2:]) == [8, 256]
    assert prediction.content.shape == (1, 3, height, width)


def test_content_that_agrees_with_the_image_keeps_its_detail():
    image = noise(128, 128)
    torch.testing.assert_close(whole_image(image, Echo()).rows(ALL_ROWS).content, image)


def test_content_that_differs_from_the_image_takes_no_detail_from_it():
    image = noise(128, 128) / 10
    content = whole_image(image, Echo(shift=0.5)).rows(ALL_ROWS).content
    small = F.interpolate(image, (16, 16), mode="bicubic", antialias=True)
    torch.testing.assert_close(content, F.interpolate(small + 0.5, (128, 128), mode="bicubic", antialias=True))


@pytest.mark.parametrize("view", [whole_image, BlendedTiles()])
@pytest.mark.parametrize(("height", "width"), [(16, 16), (40, 33)])
def test_without_attention_the_prediction_replaces_everything(view, height, width):
    image = noise(height, width) / 2
    prediction = view(image, Echo(shift=0.3, attention=False)).rows(ALL_ROWS)
    expected = view(image, Echo(shift=0.3)).rows(ALL_ROWS)
    torch.testing.assert_close(prediction.mask, torch.ones(1, 1, height, width))
    assert torch.equal(prediction.content, expected.content)


@pytest.mark.parametrize("fixed_size", [False, True])
def test_a_small_image_shows_whether_there_is_attention(fixed_size):
    backend = Echo(fixed_size=fixed_size)
    assert has_attention(backend)
    assert backend.shapes == [(1, 3, 16, 16) if fixed_size else (1, 3, 8, 8)]
    assert not has_attention(Echo(attention=False))
