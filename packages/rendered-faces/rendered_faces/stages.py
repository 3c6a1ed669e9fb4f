"""The scenes of the protocols: functions that draw a random scene.

Amounts of light are relative: a key light of 1 shows skin at its own brightness. Angles are in degrees.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rendered_faces.backdrop import Clutter, Wall
from rendered_faces.colours import linear
from rendered_faces.scene import Degradation, Glasses, Light, Scarf, Scene, direction

FRAMES = linear(np.array([[22, 20, 20], [60, 40, 28], [120, 110, 100], [30, 34, 60], [96, 30, 34]]))
"""Linear colours of spectacle frames."""
BARE = {"glasses": 0.0, "cover": 0.0}
"""Nothing on the head, for data sets whose people took off glasses and coverings."""
FARTHEST_GAZE = 28.0
"""Largest angle of the gaze from straight ahead; beyond it the lids hide the pupils."""


def portrait(rng: np.random.Generator) -> Scene:
    """A room with one window; light, wall and small turns of the head vary between people."""
    side, warm = rng.choice([-1, 1]), rng.normal(0, 0.07)
    light = Light(
        key=direction(side * rng.uniform(8, 58), rng.uniform(8, 48)),
        key_spread=float(rng.uniform(0.15, 0.4)),
        key_colour=np.array([1 + warm, 1.0, 1 - warm]) * rng.uniform(0.75, 1.1),
        fill=direction(-side * rng.uniform(30, 75), rng.uniform(0, 25)),
        fill_colour=np.array([1 - warm, 1.0, 1 + warm]) * rng.uniform(0.08, 0.35),
        sky_colour=np.array([0.98, 1.0, 1.03]) * rng.uniform(0.3, 0.55),
    )
    yaw, pitch = float(rng.normal(0, 4.5)), float(rng.normal(0, 3.0))
    colour = linear(np.clip(rng.uniform(35, 225) + rng.normal(0, 15, 3), 15, 240))
    wall = Wall(colour, rng.normal(0, 0.25, 2), float(rng.uniform(0, 0.5)), int(rng.integers(2**31)))
    return Scene(light, wall, yaw, pitch, gaze=(yaw, pitch), zoom=float(rng.uniform(0.8, 0.88)))


def _soft(rng: np.random.Generator, side: float, brightness: float) -> Light:
    """Large lamps on both sides, as in portrait photography."""
    return Light(
        key=direction(side * 35 + rng.normal(0, 2), 25 + rng.normal(0, 2)),
        key_spread=0.4,
        key_colour=np.full(3, 0.75 * brightness),
        fill=direction(-side * 35 + rng.normal(0, 2), 20.0),
        fill_colour=np.full(3, 0.45 * brightness),
        sky_colour=np.full(3, 0.5 * brightness),
    )


def studio(rng: np.random.Generator, camera: float, gaze: float) -> Scene:
    """RaFD: even light and a white wall, for given angles of camera and gaze from straight ahead."""
    light = _soft(rng, 1.0, rng.normal(1, 0.03))
    wall = Wall(linear(np.array([232, 232, 230])), np.array([0.0, -0.06]), 0.05, int(rng.integers(2**31)))
    return Scene(light, wall, yaw=camera, pitch=float(rng.normal(0, 1.5)), gaze=(gaze, 0.0), zoom=0.84, hair=BARE)


def visit(rng: np.random.Generator, hair: dict[str, float], glasses: float, scarf: float) -> Scene:
    """AR Face: a white wall and light that varies between visits; `glasses` and `scarf` are probabilities."""
    light, warm = _soft(rng, rng.choice([-1.0, 1.0]), rng.uniform(0.85, 1.15)), rng.normal(0, 0.05)
    tinted = np.array([1 + warm, 1.0, 1 - warm])
    light = replace(light, key_colour=light.key_colour * tinted, fill_colour=light.fill_colour * rng.uniform(0.3, 1.2))
    wall = Wall(linear(np.array([225, 224, 220])) * tinted, rng.normal(0, 0.08, 2), 0.1, int(rng.integers(2**31)))
    yaw, pitch = float(rng.normal(0, 2.0)), float(rng.normal(0, 2.0))
    return Scene(
        light,
        wall,
        yaw,
        pitch,
        gaze=(yaw, pitch),
        zoom=0.82,
        hair=hair,
        glasses=_glasses(rng, glasses),
        scarf=_scarf(rng, scarf),
    )


def scan(rng: np.random.Generator) -> Scene:
    """BU-3DFE: a scanner's flat light from both sides, and a black background."""
    light = replace(_soft(rng, 1.0, 1.0), key_spread=0.5, fill_colour=np.full(3, 0.7))
    return Scene(light, Wall(np.zeros(3), np.zeros(2), 0.0, 0), pitch=float(rng.normal(0, 1.0)), zoom=0.9, hair=BARE)


def wild(rng: np.random.Generator) -> Scene:
    """CelebA: any light, pose and place, and a cheap camera."""
    warm, side = rng.normal(0, 0.14), rng.choice([-1, 1])
    tinted, sun = np.array([1 + warm, 1.0, 1 - warm]), rng.random()
    light = Light(
        key=direction(side * rng.uniform(0, 85), rng.uniform(0, 65)),
        key_spread=float(rng.uniform(0.05, 0.5)),
        key_colour=tinted * (0.45 + 0.8 * sun),
        fill=direction(-side * rng.uniform(20, 110), rng.uniform(-20, 40)),
        fill_colour=np.clip(np.array([1 - warm, 1.0, 1 + warm]) + rng.normal(0, 0.08, 3), 0.5, 1.5)
        * rng.uniform(0.05, 0.5),
        sky_colour=np.array([0.97, 1.0, 1.05]) * rng.uniform(0.25, 0.75),
    )
    yaw, pitch = float(np.clip(rng.normal(0, 13), -35, 35)), float(np.clip(rng.normal(0, 6), -15, 15))
    sideways, up = np.clip(rng.normal((yaw, pitch), (5, 3)), -FARTHEST_GAZE, FARTHEST_GAZE)
    scene = Scene(
        light,
        Clutter(int(rng.integers(2**31)), float(rng.uniform(0.004, 0.03)), float(rng.uniform(0.25, 1.0))),
        yaw,
        pitch,
        roll=float(np.clip(rng.normal(0, 5), -15, 15)),
        gaze=(float(sideways), float(up)),
        zoom=float(rng.uniform(0.8, 1.02)),
        degradation=Degradation(float(rng.uniform(0, 0.006)), int(rng.integers(35, 95))),
    )
    return replace(scene, glasses=_glasses(rng, 0.12), scarf=_scarf(rng, 0.06))


def anywhere(rng: np.random.Generator, hair: dict[str, float]) -> Scene:
    """A scene of a random kind among the others."""
    kinds = (portrait, wild, _studio_from_any_side, scan)
    scene = kinds[rng.choice(len(kinds), p=(0.4, 0.3, 0.15, 0.15))](rng)
    return replace(scene, hair={**hair, **scene.hair})


def _studio_from_any_side(rng: np.random.Generator) -> Scene:
    return studio(rng, float(rng.choice([-45, 0, 45])), float(rng.choice([-30, 0, 30])))


def _glasses(rng: np.random.Generator, chance: float) -> Glasses | None:
    if rng.random() > chance:
        return None
    return Glasses(FRAMES[rng.integers(len(FRAMES))], float(rng.uniform(0.0009, 0.0026)), float(rng.uniform(2, 5)))


def _scarf(rng: np.random.Generator, chance: float) -> Scarf | None:
    if rng.random() > chance:
        return None
    colours = linear(np.clip(rng.uniform(30, 200, (2, 1)) + rng.normal(0, 28, (2, 3)), 10, 230))
    return Scarf(colours[0], colours[1], float(rng.choice([0, 60, 120])))
