"""The version of aggan."""

__version__ = "0.1.0"
