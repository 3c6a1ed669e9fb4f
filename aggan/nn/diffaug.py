"""Augmentation in front of a discriminator (Zhao et al., 2020), for data sets too small to train it.

The same changes can befall real and fake pictures alike, and gradients flow through them, so the
generator is not taught to make augmented pictures.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Augmented(nn.Module):
    """A discriminator that sees each picture shifted by up to an eighth and recoloured with probability `p`."""

    def __init__(self, discriminator: nn.Module, p: float) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.p = p

    def forward(self, image: Tensor) -> Tensor:
        """The last three channels are the colours; a mask in front of them is shifted with them."""
        return self.discriminator(self._shift(self._recolour(image)))

    def _recolour(self, image: Tensor) -> Tensor:
        mask, colours = image[:, :-3], image[:, -3:]
        brightness, contrast, saturation = (torch.rand(3, len(image), 1, 1, 1) - 0.5).to(image.device)
        chosen = self._chosen(image)
        grey = colours.mean(1, keepdim=True)
        level = colours.mean((1, 2, 3), keepdim=True)
        changed = grey + (colours - grey) * (1 + 2 * saturation)
        changed = level + (changed - level) * (1 + contrast) + brightness
        return torch.cat((mask, torch.where(chosen, changed, colours)), 1)

    def _shift(self, image: Tensor) -> Tensor:
        n, _, height, width = image.shape
        reach = torch.tensor((height // 8, width // 8))
        moves = ((torch.rand(n, 2) * 2 - 1) * self._chosen(image).cpu().view(n, 1) * reach).round().long()
        pad_y, pad_x = height // 8, width // 8
        padded = F.pad(image, (pad_x, pad_x, pad_y, pad_y))
        return torch.stack(
            [
                picture[:, pad_y + dy : pad_y + dy + height, pad_x + dx : pad_x + dx + width]
                for picture, (dy, dx) in zip(padded, moves.tolist(), strict=True)
            ]
        )

    def _chosen(self, image: Tensor) -> Tensor:
        return (torch.rand(len(image), 1, 1, 1) < self.p).to(image.device)
