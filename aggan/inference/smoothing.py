"""What goes from one frame of a video to the next: where faces are, and their masks, both smoothed.

A smoothed crop lags a little behind its face, but it is translated where it is cut out, so nothing is misplaced.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from aggan.images.convert import to_pixels
from aggan.inference.compositing import Backend, Layers, Said, View
from aggan.inference.faces import Faces, Finder, Similarity, lay_over
from aggan.inference.landmarks import USUAL, Points
from aggan.inference.resampling import resize
from aggan.nn.generators import fuse
from aggan.types import Image, Mask, Translation

KEPT = 0.6
"""The share of the past in what is smoothed."""
_PATIENCE = 3
"""Frames for which a face is still taken to be where it was last found."""
_CUT, _GLANCE = 0.35, 16
"""Two frames that differ by so much (of 2) on average, seen at 16 px, are of different scenes."""


@dataclass
class Smoothed:
    """A model whose masks remember those before: the first one of a frame the first one of the last, and so on."""

    model: Backend
    past: list[Mask] = field(default_factory=list)
    place: int = 0

    @property
    def size(self) -> int:
        return self.model.size

    @property
    def square(self) -> bool:
        return self.model.square

    def begin(self) -> "Smoothed":
        """Another frame begins."""
        self.place = 0
        return self

    def __call__(self, images: Image) -> Translation:
        made = self.model(images)
        if self.place == len(self.past):
            self.past.append(made.mask)
        mask = KEPT * self.past[self.place] + (1 - KEPT) * made.mask
        self.past[self.place] = mask
        self.place += 1
        return Translation(fuse(made.content, mask, images), mask, made.content)


@dataclass
class Track:
    """One face from frame to frame."""

    landmarks: np.ndarray
    model: Smoothed
    missed: int = 0

    def follow(self, found: np.ndarray) -> None:
        self.landmarks, self.missed = KEPT * self.landmarks + (1 - KEPT) * found, 0

    def distance(self, found: np.ndarray) -> float:
        """How far a face is from this one, in units of its own extent."""
        apart = np.linalg.norm(found.mean(axis=0) - self.landmarks.mean(axis=0))
        return float(apart / np.ptp(self.landmarks, axis=0).max())


@dataclass
class SteadyFaces:
    """Every face of a video's frames, for one model."""

    find: Finder
    place: Points = USUAL
    tracks: list[Track] = field(default_factory=list)
    seen: int = 0
    """Frames that showed a face."""

    def __call__(self, picture: Float[Tensor, "1 3 h w"], model: Backend) -> Layers:
        self._follow(self.find(to_pixels(picture[0])), model)
        self.seen += bool(self.tracks)
        layers = Layers(torch.zeros_like(picture[:, :1]), picture.clone())
        for track in self.tracks:
            face = Similarity.between(np.array(self.place) * model.size, track.landmarks)
            lay_over(layers, picture, face, track.model.begin())
        return layers

    def forget(self) -> None:
        """Another scene begins."""
        self.tracks.clear()

    def _follow(self, found: list[np.ndarray], model: Backend) -> None:
        for track in self.tracks:
            track.missed += 1
            nearest = min(found, key=track.distance, default=None)
            if nearest is not None and track.distance(nearest) < 1:
                track.follow(nearest)
                found = [face for face in found if face is not nearest]
        self.tracks = [track for track in self.tracks if track.missed <= _PATIENCE]
        self.tracks += [Track(face, Smoothed(model)) for face in found]


@dataclass
class SteadyView:
    """Any other view of a video's frames, for one model."""

    view: View
    model: Smoothed | None = None

    def __call__(self, picture: Float[Tensor, "1 3 h w"], model: Backend) -> Said:
        self.model = self.model or Smoothed(model)
        return self.view(picture, self.model.begin())

    def forget(self) -> None:
        """Another scene begins."""
        self.model = None


Steady = SteadyFaces | SteadyView


def steady(view: View) -> Steady:
    """A view that remembers the frames of one video."""
    return SteadyFaces(view.find, view.place) if isinstance(view, Faces) else SteadyView(view)


@dataclass
class Cuts:
    """Says where another scene begins."""

    last: Tensor | None = None

    def __call__(self, picture: Float[Tensor, "1 3 h w"]) -> bool:
        glance, last = resize(picture, _GLANCE, _GLANCE), self.last
        self.last = glance
        return last is not None and float((glance - last).abs().mean()) > _CUT
