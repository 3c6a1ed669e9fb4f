"""The 17 action units of OpenFace, on which GANimation is conditioned, computed from the 52 facial actions.

Which action shows which unit is our own reading of both lists' descriptions; `docs/data.md` says how reliable each
row is. ARKit has no action for two units: AU23 (lip tightener) is read from lips that are rolled in or pressed, AU25
(lips part) from every action that opens the lips. FACS scores a unit by its stronger side; here the stronger side
counts three quarters.
"""

from __future__ import annotations

from collections.abc import Mapping

from aggan.data.action_units import GREATEST, UNITS

STRONGER = 0.75
"""Weight of the stronger side."""

PAIRED = {
    2: "browOuterUp", 4: "browDown", 5: "eyeWide", 6: "cheekSquint", 7: "eyeSquint", 9: "noseSneer",
    10: "mouthUpperUp", 12: "mouthSmile", 14: "mouthDimple", 15: "mouthFrown", 20: "mouthStretch", 45: "eyeBlink",
}  # fmt: skip
"""Units that one action with a left and a right side shows."""


def intensities(actions: Mapping[str, float]) -> list[float]:
    """Intensity from 0 to 5 of each of `UNITS`; actions that are not given count as 0."""
    shares = {unit: _both(actions, name) for unit, name in PAIRED.items()}
    jaw = actions.get("jawOpen", 0.0)
    rolled = (actions.get("mouthRollUpper", 0.0) + actions.get("mouthRollLower", 0.0)) / 2
    shares[1] = actions.get("browInnerUp", 0.0)
    shares[17] = actions.get("mouthShrugLower", 0.0)
    shares[23] = max(rolled, _both(actions, "mouthPress"))
    parted = [_both(actions, "mouthLowerDown"), _both(actions, "mouthUpperUp"), actions.get("mouthFunnel", 0.0)]
    shares[25] = max(*parted, min(1.0, 2 * max(0.0, jaw - actions.get("mouthClose", 0.0))))
    shares[26] = jaw
    return [round(GREATEST * shares[unit], 3) for unit in UNITS]


def _both(actions: Mapping[str, float], name: str) -> float:
    left, right = actions.get(name + "Left", 0.0), actions.get(name + "Right", 0.0)
    return STRONGER * max(left, right) + (1 - STRONGER) * min(left, right)
