"""How weights begin."""

from torch import nn

from aggan.networks.notation import AffineInstanceNorm


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
