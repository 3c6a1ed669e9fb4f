"""Differentiable augmentation of what a discriminator sees (Zhao et al., 2020), for small data sets.

Real and fake images are augmented alike, and gradients flow through the augmentation. So the discriminator cannot
memorise the data set, and the generator does not learn to make augmented images.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F


class AugmentedDiscriminator(nn.Module):
    """A discriminator of augmented images.

    Each image is shifted by up to an eighth of its sides with probability `p`, and recoloured with probability `p`.
    """

    def __init__(self, discriminator: nn.Module, p: float) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.p = p

    def forward(self, image: Float[Tensor, "n c h w"]) -> Tensor:
        """The last three channels are colours. Channels before them (a mask) are shifted only."""
        return self.discriminator(self._shift(self._recolour(image)))

    def _recolour(self, image: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Change brightness by up to 0.5 (of 2), contrast by up to 50 % and saturation by up to 100 %."""
        mask, colours = image[:, :-3], image[:, -3:]
        brightness, contrast, saturation = (torch.rand(3, len(image), 1, 1, 1) - 0.5).to(image.device)
        selected = self._select(image)
        grey = colours.mean(1, keepdim=True)
        mean = colours.mean((1, 2, 3), keepdim=True)
        recoloured = grey + (colours - grey) * (1 + 2 * saturation)
        recoloured = mean + (recoloured - mean) * (1 + contrast) + brightness
        return torch.cat((mask, torch.where(selected, recoloured, colours)), 1)

    def _shift(self, image: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Shift by up to an eighth of the sides; zeros move in."""
        n, _, height, width = image.shape
        pad_y, pad_x = height // 8, width // 8
        largest = torch.tensor((pad_y, pad_x))
        shifts = ((torch.rand(n, 2) * 2 - 1) * self._select(image).cpu().view(n, 1) * largest).round().long()
        padded = F.pad(image, (pad_x, pad_x, pad_y, pad_y))
        return torch.stack(
            [
                one[:, pad_y + dy : pad_y + dy + height, pad_x + dx : pad_x + dx + width]
                for one, (dy, dx) in zip(padded, shifts.tolist(), strict=True)
            ]
        )

    def _select(self, image: Float[Tensor, "n c h w"]) -> Bool[Tensor, "n 1 1 1"]:
        """Which images are changed: each with probability `p`."""
        return (torch.rand(len(image), 1, 1, 1) < self.p).to(image.device)
