"""Losses between pictures, and on masks."""

from torch import Tensor

from aggan.batches import Image, Mask


def l1(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference over pictures, channels and pixels (Eqs. 4 and 5 norm by ||.||_1)."""
    return (a.float() - b.float()).abs().mean()


def total_variation(mask: Mask | Image) -> Tensor:
    """Eq. 6: absolute differences of neighbours, summed over a mask (or picture), averaged over the masks.

    The sum runs over neighbours that exist. It grows with the resolution: a mask of the same
    shape at 128 px has half (sharp edges) to a quarter (noise) of its value at 256 px.
    """
    mask = mask.float()
    across = (mask[..., 1:] - mask[..., :-1]).abs().sum()
    down = (mask[..., 1:, :] - mask[..., :-1, :]).abs().sum()
    return (across + down) / mask.shape[0]


def outside_band(mask: Mask, low: float, high: float) -> Tensor:
    """0 while the mean of the masks lies in the band, growing quadratically to 1 at an empty or a full mask."""
    mean = mask.float().mean()
    return (1 - mean / low).clamp(min=0).square() + (1 - (1 - mean) / (1 - high)).clamp(min=0).square()
