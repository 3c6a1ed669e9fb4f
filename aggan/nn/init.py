"""How weights begin."""

from torch import nn

from aggan.nn.layer_spec import AffineInstanceNorm


def initialise(module: nn.Module, deviation: float = 0.02) -> None:
    """N(0, 0.02) for convolutions, N(1, 0.02) for a norm's scale, zero biases: the custom of the field."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(part.weight, 0.0, deviation)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d | AffineInstanceNorm):
            nn.init.normal_(part.weight, 1.0, deviation)
            nn.init.zeros_(part.bias)


def xavier(module: nn.Module, gain: float = 0.02) -> None:
    """Glorot's normal weights with a small gain, zero biases, as BicycleGAN begins."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.xavier_normal_(part.weight, gain)
            if part.bias is not None:
                nn.init.zeros_(part.bias)


def scaled(module: nn.Module, slope: float) -> None:
    """Weights that keep the size of signals whatever the width (He et al., 2015), zero biases.

    Without norms N(0, 0.02) fades away in narrow layers, and a critic that does not see cannot learn.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, slope)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
