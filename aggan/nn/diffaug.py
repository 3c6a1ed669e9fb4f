"""Differentiable augmentation of what a discriminator sees (Zhao et al., 2020), for small data sets.

Real and fake images are augmented alike, and gradients flow through the augmentation. So the discriminator cannot
memorise the data set, and the generator does not learn to make augmented images.

    n, h, w    images in a batch, height and width in pixels
    c          channels: those of one image or several, and in front of them at most two of masks
"""

from typing import Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

Inputs = Float[Tensor, "n c h w"]

MAX_ANGLE: Final = 20 * torch.pi / 180
MAX_SCALE: Final = 1.25
MAX_P: Final = 0.9
"""Of adaptive augmentation: some images stay as they are."""
SPEED: Final = 1 / 2500
"""How much an adaptive probability changes in a step."""
MEMORY: Final = 0.98
"""Decay of the moving average of the signs that adaptive augmentation follows."""
REAL_SCORE: Final = 0.5
"""A least-squares discriminator takes images above it for real."""


class DiffAug(nn.Module):
    """Recolours, turns and scales, and shifts each input, each of them with probability `p`.

    Masks are not recoloured. Images that belong together, such as an input and its translation, are changed alike.
    """

    def __init__(self, p: float = 0.0) -> None:
        super().__init__()
        self.p = p

    def forward(self, inputs: Inputs) -> Inputs:
        p = self.probability
        return _shift(_turn(_recolour(inputs, p), p), p) if p else inputs

    @property
    def probability(self) -> float:
        """Of each change."""
        return self.p

    def observe(self, real_scores: Float[Tensor, "n ..."]) -> None:
        """Called with the scores of real images while the discriminator learns."""


class AdaptiveDiffAug(DiffAug):
    """Its probability rises while the discriminator recognises its training images, and falls otherwise (ADA).

    E[sign(D(x) - 1/2)] over real training images x, as the discriminator sees them, is 1 if it takes all of them for
    real, and near 0 if it can only guess (Karras et al., 2020, Sec. 3.2, r_t). The probability follows it to `target`.
    It is part of the state dict, so a resumed training continues exactly.
    """

    def __init__(self, p: float, target: float) -> None:
        super().__init__(p)
        self.target = target
        self.state: Tensor
        self.register_buffer("state", torch.tensor((p, 0.0)))
        """The probability, and the moving average of the sign."""

    @property
    def probability(self) -> float:
        return float(self.state[0])

    @torch.no_grad()
    def observe(self, real_scores: Float[Tensor, "n ..."]) -> None:
        p, average = self.state.tolist()
        sign = (real_scores.flatten(1).mean(1) - REAL_SCORE).sign().mean().item()
        average = MEMORY * average + (1 - MEMORY) * sign
        p += SPEED if average > self.target else -SPEED
        self.state.copy_(torch.tensor((min(MAX_P, max(0.0, p)), average)))


def _recolour(inputs: Inputs, p: float) -> Inputs:
    """Change brightness by up to 0.5 (of 2), contrast by up to 50 % and saturation by up to 100 %."""
    n, c, h, w = inputs.shape
    masks, images = inputs[:, : c % 3], inputs[:, c % 3 :].reshape(n, -1, 3, h, w)
    random = torch.rand(3, n, 1, 1, 1, 1) - 0.5
    brightness, contrast, saturation = (random * _select(n, p).view(n, 1, 1, 1, 1)).to(inputs.device)
    grey = images.mean(2, keepdim=True)
    mean = grey.mean((3, 4), keepdim=True)
    # As few passes over the pixels as possible for: mean + (1 + contrast) * (saturated - mean) + brightness,
    # where saturated = grey + (1 + 2 * saturation) * (images - grey).
    offset = (brightness - contrast * mean) - 2 * saturation * (1 + contrast) * grey
    recoloured = torch.addcmul(offset, images, (1 + contrast) * (1 + 2 * saturation))
    return torch.cat((masks, recoloured.view(n, -1, h, w)), 1)


def _turn(inputs: Inputs, p: float) -> Inputs:
    """Turn by up to 20 degrees and scale by up to 1.25 around the centre; zeros move in."""
    n = len(inputs)
    angles, scales = (torch.rand(2, n) * 2 - 1) * _select(n, p)
    angles, scales = MAX_ANGLE * angles, MAX_SCALE**scales
    cos, sin, zero = scales * angles.cos(), scales * angles.sin(), torch.zeros(n)
    matrices = torch.stack((cos, -sin, zero, sin, cos, zero), 1).view(n, 2, 3).to(inputs.device)
    grid = F.affine_grid(matrices, list(inputs.shape), align_corners=False)
    return F.grid_sample(inputs.float(), grid, align_corners=False)


def _shift(inputs: Inputs, p: float) -> Inputs:
    """Shift by up to an eighth of the sides; zeros move in."""
    n, _, height, width = inputs.shape
    pad_y, pad_x = height // 8, width // 8
    largest = torch.tensor((pad_y, pad_x))
    shifts = ((torch.rand(n, 2) * 2 - 1) * _select(n, p).view(n, 1) * largest).round().long()
    padded = F.pad(inputs, (pad_x, pad_x, pad_y, pad_y))
    return torch.stack(
        [
            one[:, pad_y + dy : pad_y + dy + height, pad_x + dx : pad_x + dx + width]
            for one, (dy, dx) in zip(padded, shifts.tolist(), strict=True)
        ]
    )


def _select(n: int, p: float) -> Bool[Tensor, " n"]:
    """Which inputs are changed: each with probability p."""
    return torch.rand(n) < p
