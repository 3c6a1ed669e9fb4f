"""Initial weights. What a method does not initialise keeps PyTorch's, U(-1 / sqrt(fan in), 1 / sqrt(fan in))."""

from torch import nn

from aggan.nn.layer_spec import AffineInstanceNorm


def init_normal(module: nn.Module, std: float = 0.02, norms: bool = True) -> None:
    """The field's custom: weights N(0, 0.02), scales of norms N(1, 0.02), zero biases (Radford et al., 2016).

    Without `norms` their scales stay 1.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(part.weight, 0.0, std)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif norms and isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d | AffineInstanceNorm):
            nn.init.normal_(part.weight, 1.0, std)
            nn.init.zeros_(part.bias)


def init_xavier(module: nn.Module, gain: float = 0.02) -> None:
    """Glorot and Bengio's normal weights with a small gain, zero biases, as in BicycleGAN."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.xavier_normal_(part.weight, gain)
            if part.bias is not None:
                nn.init.zeros_(part.bias)


def init_kaiming(module: nn.Module, slope: float) -> None:
    """Weights for leaky ReLUs that keep the variance of the signal (He et al., 2015), zero biases.

    In narrow networks without norms a signal fades with N(0, 0.02), and a discriminator cannot learn
    (docs/decisions/0007).
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, slope)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
