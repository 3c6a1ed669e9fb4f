"""How a model looks at pictures of any size, and how what it says is brought back up."""

from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from aggan.errors import UserError
from aggan.inference.compositing import ALL
from aggan.inference.views import Tiles, whole
from aggan.types import Translation


@dataclass
class Echo:
    """Its content is what it sees, shifted by a tenth in the left half; its mask is how bright that is."""

    size: int = 16
    square: bool = False
    shift: float = 0.0
    seen: list[tuple[int, ...]] = field(default_factory=list)

    def __call__(self, images: Tensor) -> Translation:
        self.seen.append(tuple(images.shape))
        content = images + self.shift
        return Translation(content, (images.mean(1, keepdim=True) + 1) / 2, content)


def noise(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width) * 1.8 - 0.9


@pytest.mark.parametrize(("height", "width"), [(16, 16), (17, 40), (50, 33), (64, 16), (95, 31)])
@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.9])
def test_tiles_cover_a_picture_at_its_own_resolution(height, width, overlap):
    picture, model = noise(height, width), Echo()
    layers = Tiles(overlap)(picture, model).rows(ALL)
    assert set(model.seen) == {(1, 3, 16, 16)}
    torch.testing.assert_close(layers.content, picture)
    torch.testing.assert_close(layers.mask, (picture.mean(1, keepdim=True) + 1) / 2)


def test_tiles_overlap_by_the_share_asked_for_or_more():
    model = Echo()
    Tiles(0.5)(noise(16, 100), model)
    assert len(model.seen) == 12  # 84 pixels in steps of at most 8, and the first
    model = Echo()
    Tiles(0.0)(noise(16, 100), model)
    assert len(model.seen) == 7


def test_a_picture_smaller_than_a_tile_is_looked_at_as_a_whole():
    picture, model = noise(8, 40), Echo()
    assert Tiles()(picture, model).rows(ALL).content.shape == picture.shape
    assert model.seen == [(1, 3, 16, 80)]


@pytest.mark.parametrize("overlap", [-0.1, 1.0])
def test_an_overlap_that_is_no_share_is_refused(overlap):
    with pytest.raises(UserError, match="tiles overlap by a share from 0 to below 1"):
        Tiles(overlap)


@pytest.mark.parametrize(("square", "expected"), [(False, (1, 3, 16, 32)), (True, (1, 3, 16, 16))])
def test_a_whole_picture_is_brought_to_the_models_size(square, expected):
    model = Echo(square=square)
    layers = whole(noise(50, 100), model).rows(ALL)
    assert model.seen == [expected]
    assert (layers.mask.shape, layers.content.shape) == ((1, 1, 50, 100), (1, 3, 50, 100))
    assert 0 <= layers.mask.min() <= layers.mask.max() <= 1


@pytest.mark.parametrize(("height", "width"), [(1, 3000), (3000, 1), (10, 20_000)])
def test_a_thin_picture_is_seen_at_a_bounded_size(height, width):
    model = Echo()
    layers = whole(noise(height, width), model).rows(ALL)
    assert sorted(model.seen[0][2:]) == [8, 256]
    assert layers.content.shape == (1, 3, height, width)


def test_content_that_agrees_with_the_picture_keeps_its_detail():
    picture = noise(128, 128)
    torch.testing.assert_close(whole(picture, Echo()).rows(ALL).content, picture)


def test_content_of_its_own_takes_no_detail_from_the_picture():
    picture = noise(128, 128) / 10
    content = whole(picture, Echo(shift=0.5)).rows(ALL).content
    small = F.interpolate(picture, (16, 16), mode="bicubic", antialias=True)
    torch.testing.assert_close(content, F.interpolate(small + 0.5, (128, 128), mode="bicubic", antialias=True))
