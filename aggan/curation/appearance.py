"""What a portrait looks like apart from the expression: colours of backdrop, skin and hair, glasses, sharpness.

Regions are (left, top, right, bottom) in fractions of the side of the tightest crop (`DEFAULT_LANDMARKS`). Colours are
CIELAB (D65): L from 0 (black) to 100 (white), a from green to red, b from blue to yellow.
"""

import numpy as np
from jaxtyping import Float, Num, UInt8

MARGIN = 0.5
"""Of the crop in which appearance is measured."""
SIDE = 256
"""Of that crop, in pixels."""
_BACKDROP = ((-0.45, -0.3, -0.2, 0.1), (1.2, -0.3, 1.45, 0.1))
_CHEEKS = ((0.25, 0.56, 0.38, 0.66), (0.62, 0.56, 0.75, 0.66))
_HAIR = ((0.3, -0.2, 0.7, -0.12),)
_BRIDGE = (0.44, 0.33, 0.56, 0.45)
"""Between the eyes, where only glasses have horizontal edges."""
_FACE = (0.15, 0.25, 0.85, 0.95)
_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)

Region = tuple[float, float, float, float]
Crop = UInt8[np.ndarray, "256 256 3"]


def appearance(crop: Crop) -> dict[str, float]:
    """The features by which domains are compared, of a crop with margin `MARGIN`."""
    colours = {name: np.median(_pixels(crop, regions), axis=0) for name, regions in _PARTS.items()}
    lab = {name: to_lab(rgb) for name, rgb in colours.items()}
    return {
        **{
            f"{name} {axis}": value
            for name, values in lab.items()
            for axis, value in zip(_AXES, values.tolist(), strict=True)
        },
        "edge on the bridge of the nose (glasses)": glasses_edge(crop),
    }


_PARTS = {"backdrop": _BACKDROP, "skin": _CHEEKS, "top of the head": _HAIR}
_AXES = ("lightness", "redness", "yellowness")


def to_lab(rgb: Num[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    """CIELAB of sRGB values from 0 to 255."""
    value = np.asarray(rgb, np.float64) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _TO_XYZ.T / _TO_XYZ.sum(axis=1)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), axis=-1)


def chroma(crop: Crop) -> float:
    """The 90th percentile of CIELAB's chroma in the face: 0 for grey photographs."""
    a, b = np.moveaxis(to_lab(_pixels(crop, (_FACE,))), -1, 0)[1:]
    return float(np.percentile(np.hypot(a, b), 90))


def sharpness(crop: UInt8[np.ndarray, "size size 3"]) -> float:
    """Detail of one pixel over detail of two or three, in the face of a tight crop: about 1 if the photograph has the
    crop's resolution, below 0.5 if it is blurred or enlarged twofold. Contrast does not matter.

    Both are standard deviations of grey values: of what one 3x3 binomial blur removes, and of what three more remove.
    """
    grey = np.asarray(crop, np.float64).mean(axis=2)
    once = _blur(grey)
    smooth = _blur(_blur(_blur(once)))
    left, top, right, bottom = (round(edge * len(grey)) for edge in _FACE)
    face = (slice(top, bottom), slice(left, right))
    return float((grey - once)[face].std() / max((once - smooth)[face].std(), 0.5))


def _blur(grey: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    padded = np.pad(grey, 1, mode="edge")
    rows = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    return (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 4


def glasses_edge(crop: Crop) -> float:
    """The strongest horizontal edge across the bridge of the nose: grey values per pixel over the face's contrast."""
    grey = np.asarray(crop, np.float64).mean(axis=2)
    bridge = _region(grey, _BRIDGE).mean(axis=1)
    smooth = np.convolve(bridge, np.ones(3) / 3, mode="valid")
    return float(np.abs(np.diff(smooth)).max() / max(_region(grey, _FACE).std(), 1.0))


def _pixels(crop: Crop, regions: tuple[Region, ...]) -> Float[np.ndarray, "n 3"]:
    return np.concatenate([_region(crop, region).reshape(-1, 3) for region in regions]).astype(np.float64)


def _region(crop: np.ndarray, region: Region) -> np.ndarray:
    left, top, right, bottom = (round((edge + MARGIN) / (1 + 2 * MARGIN) * SIDE) for edge in region)
    return crop[top:bottom, left:right]
