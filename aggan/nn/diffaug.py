"""Differentiable augmentation of what a discriminator sees (Zhao et al., 2020), for small data sets.

Real and fake images are augmented alike, and gradients flow through the augmentation. So the discriminator cannot
memorise the data set, and the generator does not learn to make augmented images.

    n, h, w    images in a batch, height and width in pixels
    c          channels: those of one image or several, and in front of them at most two of masks
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

Inputs = Float[Tensor, "n c h w"]


class DiffAug:
    """Shifts each input by up to an eighth of its sides with probability `p`, and recolours it with probability `p`.

    Masks are shifted only. Images that belong together, such as an input and its translation, are shifted and
    recoloured alike.
    """

    def __init__(self, p: float = 0.0) -> None:
        self.p = p

    def __call__(self, inputs: Inputs) -> Inputs:
        return self._shift(self._recolour(inputs)) if self.p else inputs

    def _recolour(self, inputs: Inputs) -> Inputs:
        """Change brightness by up to 0.5 (of 2), contrast by up to 50 % and saturation by up to 100 %."""
        n, c, h, w = inputs.shape
        masks, images = inputs[:, : c % 3], inputs[:, c % 3 :].reshape(n, -1, 3, h, w)
        random = torch.rand(3, n, 1, 1, 1, 1) - 0.5
        brightness, contrast, saturation = (random * self._select(n).view(n, 1, 1, 1, 1)).to(inputs.device)
        grey = images.mean(2, keepdim=True)
        mean = grey.mean((3, 4), keepdim=True)
        # As few passes over the pixels as possible for: mean + (1 + contrast) * (saturated - mean) + brightness,
        # where saturated = grey + (1 + 2 * saturation) * (images - grey).
        offset = (brightness - contrast * mean) - 2 * saturation * (1 + contrast) * grey
        recoloured = torch.addcmul(offset, images, (1 + contrast) * (1 + 2 * saturation))
        return torch.cat((masks, recoloured.view(n, -1, h, w)), 1)

    def _shift(self, inputs: Inputs) -> Inputs:
        """Shift by up to an eighth of the sides; zeros move in."""
        n, _, height, width = inputs.shape
        pad_y, pad_x = height // 8, width // 8
        largest = torch.tensor((pad_y, pad_x))
        shifts = ((torch.rand(n, 2) * 2 - 1) * self._select(n).view(n, 1) * largest).round().long()
        padded = F.pad(inputs, (pad_x, pad_x, pad_y, pad_y))
        return torch.stack(
            [
                one[:, pad_y + dy : pad_y + dy + height, pad_x + dx : pad_x + dx + width]
                for one, (dy, dx) in zip(padded, shifts.tolist(), strict=True)
            ]
        )

    def _select(self, n: int) -> Bool[Tensor, " n"]:
        """Which inputs are changed: each with probability `p`."""
        return torch.rand(n) < self.p
