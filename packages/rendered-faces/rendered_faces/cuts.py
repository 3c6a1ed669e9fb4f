"""Haircuts: how long hair is, where it is combed to, and how it falls.

Positions are in skull coordinates (x to the model's left, y back, z up), each from -1 to 1 over the skull.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

CROWN = np.array([0.0, 0.45, 0.85])
TIE = np.array([0.0, 1.25, 0.35])

Comb = Callable[[np.ndarray, np.ndarray], np.ndarray]


def from_crown(at: np.ndarray, root: np.ndarray) -> np.ndarray:
    """Away from the crown on all sides."""
    return at - CROWN


def backwards(at: np.ndarray, root: np.ndarray) -> np.ndarray:
    """From the forehead to the nape."""
    return np.stack([0.35 * root[:, 0], np.ones(len(at)), 0.15 - 0.9 * np.abs(root[:, 0])], axis=1)


def upwards(at: np.ndarray, root: np.ndarray) -> np.ndarray:
    """Straight away from the skull, as tight curls grow."""
    return root * np.array([1.0, 1.0, 1.1])


def tied(at: np.ndarray, root: np.ndarray) -> np.ndarray:
    """Towards the place where a ponytail is tied, and down from there."""
    reached = np.linalg.norm(at - TIE, axis=1, keepdims=True) < 0.35
    return np.where(reached | (at[:, 1:2] > TIE[1]), np.array([0.0, 0.1, -1.0]), TIE - at)


def parted(at: float, back: float) -> Comb:
    """To both sides of a parting at x = `at`, and a little back."""

    def comb(place: np.ndarray, root: np.ndarray) -> np.ndarray:
        side = np.where(root[:, 0] > at, 1.0, -1.0)
        # Hair must come down in front of or behind the ear, not over the eyes.
        wide = np.clip(1.05 - np.abs(place[:, 0]), 0.0, 1.0)
        return np.stack([side * (0.15 + wide), np.full(len(side), back), np.full(len(side), -0.2)], axis=1)

    return comb


@dataclass(frozen=True)
class Cut:
    """Lengths in metres; `sides` is the length at the temples and the nape as a share of that on top."""

    comb: Comb
    length: float
    sides: float = 1.0
    lift: float = 0.5
    """How steeply hair leaves the scalp."""
    hug: float = 1.0
    """How closely the comb follows the skull, 0 to 1."""
    gravity: float = 0.0
    curl: float = 0.0
    """Radius of curls."""
    turns: float = 0.0
    """Turns of a curl per metre."""
    volume: float = 0.006
    clump: float = 0.4
    """How closely locks hold together, 0 to 1."""
    frizz: float = 0.004
    count: int = 9000
    steps: int = 8
    part: float = 0.0
    """Position of the parting in skull coordinates."""
    fringe: float = 0.0
    """Length over the forehead as a share of that on top; 0 for no fringe."""
    floor: float = -9.0
    """Height in skull coordinates below which the hair is cut off."""
    bangs: float = -9.0
    """The same in front of the face."""


CUTS = {
    "buzz": Cut(from_crown, 0.007, 0.7, lift=1.0, volume=0.001, clump=0.0, frizz=0.002, count=20000, steps=3, hug=0.3),
    "crop": Cut(from_crown, 0.032, 0.4, lift=0.6, hug=0.8, volume=0.004, clump=0.6, frizz=0.003, count=14000, steps=6),
    "side part": Cut(parted(0.35, 0.25), 0.085, 0.22, lift=0.9, gravity=0.25, volume=0.010, part=0.35, steps=10),
    "swept back": Cut(backwards, 0.09, 0.3, lift=1.2, gravity=0.05, volume=0.008, steps=10),
    "afro": Cut(
        upwards, 0.06, 0.8, lift=1.6, hug=0.0, curl=0.005, turns=75.0, volume=0.003, clump=0.3, frizz=0.004,
        count=12000, steps=16,
    ),
    "tight curls": Cut(
        upwards, 0.03, 0.5, lift=1.5, hug=0.0, curl=0.004, turns=110.0, clump=0.5, frizz=0.006, steps=10
    ),
    "curly": Cut(
        parted(-0.1, 0.3), 0.20, 0.8, lift=1.0, gravity=0.9, curl=0.007, turns=26.0, volume=0.022, clump=0.9,
        frizz=0.004, count=12000, steps=28, part=-0.1,
    ),
    "fringe": Cut(
        from_crown, 0.10, 0.5, lift=0.6, gravity=0.4, volume=0.010, clump=0.5, steps=10, fringe=0.8, bangs=-0.12
    ),
    "bob": Cut(
        parted(0.25, 0.3), 0.24, 0.8, lift=0.7, gravity=1.2, volume=0.014, steps=20, part=0.25, clump=0.5, floor=-1.55
    ),
    "bob with fringe": Cut(
        from_crown, 0.24, 0.9, lift=0.6, gravity=0.9, volume=0.012, steps=20, fringe=0.3, floor=-1.45, bangs=-0.16
    ),
    "long straight": Cut(
        parted(0.0, 0.3), 0.38, 0.9, lift=0.5, gravity=1.3, volume=0.010, clump=0.6, steps=24
    ),
    "long wavy": Cut(
        parted(0.2, 0.3), 0.36, 0.9, lift=0.8, gravity=1.1, curl=0.009, turns=9.0, volume=0.014, clump=0.85,
        frizz=0.003, steps=28, part=0.2,
    ),
    "ponytail": Cut(tied, 0.42, 1.0, lift=0.15, gravity=0.05, volume=0.004, clump=0.3, frizz=0.003, steps=26),
    "horseshoe": Cut(from_crown, 0.022, 1.0, lift=0.4, gravity=0.2, volume=0.004, frizz=0.004, count=9000, steps=6),
}  # fmt: skip
NAMES = tuple(CUTS)
