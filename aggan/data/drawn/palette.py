"""The colours of the drawn scenes."""

import numpy as np
from jaxtyping import Float

GAMMA = 2.2
"""Colours are mixed in linear light."""


def from_codes(*codes: str) -> Float[np.ndarray, "n 3"]:
    """Linear colours of hexadecimal codes."""
    return np.array([[int(code[k : k + 2], 16) / 255 for k in (0, 2, 4)] for code in codes]) ** GAMMA


CREAM = from_codes("fbf1dc")[0]
GLAZES = from_codes(
    "b4532f", "1f6f78", "27406b", "6b7a34", "6d3350", "a9781f", "485766", "2f5d3f", "8c3b34", "3d3a5c", "7a4a2b"
)  # fmt: skip
WALLS = from_codes(
    "d9c9ae", "b9c7c2", "c7b6b9", "a8b8cc", "e0d8c8", "9fae94", "cdb08a", "b7a9c4", "8d9ea6", "d7b7a1", "7c8a86"
)  # fmt: skip
WOODS = from_codes("8a5a34", "a8794a", "6a452c", "b58d61", "94704f")
CLOTHS = from_codes("e9e4d8", "c8d3d9", "e3c9c0", "cfd6bf", "d9cfe0")
THREADS = from_codes("9c3d38", "3f5f86", "5f7d57", "7d6a93", "b0843c")
STONES = from_codes("9a968e", "7f868c", "b3aca0", "5f6468")
FRUITS = from_codes("e07b1a", "e2b81f", "7fa52a", "8d1f2d", "5a2d5c", "cf4a2a")
LEAVES = from_codes("4f7a3a", "6c9148", "3d6650", "8a9a5b", "59803c")
PETALS = from_codes("e8b7c0", "f2d05e", "d9604a", "f3efe6", "a58bc6", "e58fa0")
INKS = from_codes("2f4a7a", "7a3f3a", "3f6a58")
