"""AGGAN: attention-guided GANs for unpaired image-to-image translation."""

__version__ = "0.1.0"
