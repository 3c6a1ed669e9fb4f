"""Temporal smoothing for videos: face landmarks and masks are averaged over frames.

A smoothed crop lags a little behind its face. Since it is translated where it is cut out, nothing is misplaced.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float, Float64
from torch import Tensor

from aggan.images.convert import to_pixels
from aggan.inference.alignment import DEFAULT_LANDMARKS, Alignment
from aggan.inference.compositing import Backend, LazyPrediction, MaskAndContent, View
from aggan.inference.faces import Faces, Similarity, blank, paste_face
from aggan.inference.landmarks import FindFaces
from aggan.inference.resampling import resize
from aggan.inference.tiles import TileBackend
from aggan.nn.generators import fuse
from aggan.types import Image, Mask, Translation

DECAY = 0.6
"""Weight of the past in the exponential moving averages."""
_MAX_MISSED = 3
"""Number of frames for which an undetected face is kept where it was."""
_CUT_THRESHOLD, _THUMBNAIL = 0.35, 16
"""Two frames belong to different scenes if their 16 px thumbnails differ by more than this (of 2) on average."""


@dataclass
class SmoothedBackend:
    """A backend whose masks are averaged over frames. The k-th mask of a frame follows the k-th of the last frame."""

    backend: Backend
    masks: list[Mask] = field(default_factory=list)
    index: int = 0
    """Number of the next mask in this frame."""

    @property
    def size(self) -> int:
        return self.backend.size

    @property
    def fixed_size(self) -> bool:
        return self.backend.fixed_size

    def with_statistics_of(self, images: Image) -> "SmoothedBackend":
        """This backend for the tiles of one frame, with the same averages (`TileBackend`)."""
        assert isinstance(self.backend, TileBackend)
        return replace(self, backend=self.backend.with_statistics_of(images))

    def start_frame(self) -> "SmoothedBackend":
        """Start the next frame."""
        self.index = 0
        return self

    def __call__(self, images: Image) -> Translation:
        translation = self.backend(images)
        if translation.mask is None or translation.content is None:
            return translation
        if self.index == len(self.masks):
            self.masks.append(translation.mask)
        mask = DECAY * self.masks[self.index] + (1 - DECAY) * translation.mask
        self.masks[self.index] = mask
        self.index += 1
        return Translation(fuse(translation.content, mask, images), mask, translation.content)


@dataclass
class Track:
    """One face from frame to frame."""

    landmarks: Float64[np.ndarray, "p 2"]
    backend: SmoothedBackend
    missed: int = 0
    """Number of frames since the face was last detected."""

    def update(self, landmarks: Float64[np.ndarray, "p 2"]) -> None:
        """Move the track towards a detection."""
        self.landmarks, self.missed = DECAY * self.landmarks + (1 - DECAY) * landmarks, 0

    def distance(self, landmarks: Float64[np.ndarray, "p 2"]) -> float:
        """The distance of a detection from this face, in units of the face's extent."""
        distance = np.linalg.norm(landmarks.mean(axis=0) - self.landmarks.mean(axis=0))
        return float(distance / np.ptp(self.landmarks, axis=0).max())


@dataclass
class SmoothedFaces:
    """`Faces` for the frames of one video. A frame without faces stays as it is."""

    find: FindFaces
    alignment: Alignment = DEFAULT_LANDMARKS
    tracks: list[Track] = field(default_factory=list)
    frames_with_faces: int = 0

    def __call__(self, image: Float[Tensor, "1 3 h w"], backend: Backend) -> MaskAndContent:
        self._track(self.find(to_pixels(image[0])), backend)
        self.frames_with_faces += bool(self.tracks)
        canvas = blank(image)
        for track in self.tracks:
            transform = Similarity.fit(np.array(self.alignment) * backend.size, track.landmarks)
            paste_face(canvas, image, transform, track.backend.start_frame())
        return canvas

    def reset(self) -> None:
        """Forget the past: another scene starts."""
        self.tracks.clear()

    def _track(self, faces: list[Float64[np.ndarray, "p 2"]], backend: Backend) -> None:
        for track in self.tracks:
            track.missed += 1
            nearest = min(faces, key=track.distance, default=None)
            if nearest is not None and track.distance(nearest) < 1:
                track.update(nearest)
                faces = [face for face in faces if face is not nearest]
        self.tracks = [track for track in self.tracks if track.missed <= _MAX_MISSED]
        self.tracks += [Track(face, SmoothedBackend(backend)) for face in faces]


@dataclass
class SmoothedView:
    """Any other view for the frames of one video."""

    view: View
    backend: SmoothedBackend | None = None

    def __call__(self, image: Float[Tensor, "1 3 h w"], backend: Backend) -> LazyPrediction:
        self.backend = self.backend or SmoothedBackend(backend)
        return self.view(image, self.backend.start_frame())

    def reset(self) -> None:
        """Forget the past: another scene starts."""
        self.backend = None


VideoView = SmoothedFaces | SmoothedView


def smooth(view: View) -> VideoView:
    """The view for the frames of one video."""
    return SmoothedFaces(view.find, view.alignment) if isinstance(view, Faces) else SmoothedView(view)


@dataclass
class CutDetector:
    """Detects cuts in a video, frame by frame."""

    last: Float[Tensor, "1 3 t t"] | None = None
    """The thumbnail of the last frame."""

    def __call__(self, image: Float[Tensor, "1 3 h w"]) -> bool:
        """Whether this frame starts another scene."""
        thumbnail, last = resize(image, _THUMBNAIL, _THUMBNAIL), self.last
        self.last = thumbnail
        return last is not None and float((thumbnail - last).abs().mean()) > _CUT_THRESHOLD
