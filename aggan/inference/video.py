"""A video, frame by frame, with its sound as it was. Needs the extra `video`.

Frames are written as H.264 at a quality that hides what is lost twice (crf 18), upright, each when it was shown.
Sound and subtitles are copied, not encoded again.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from aggan.extras import needed
from aggan.images.convert import Unreadable, to_tensor
from aggan.inference.compositing import Backend, NothingSeen, paint
from aggan.inference.paths import VIDEOS, Results
from aggan.inference.smoothing import Cuts, Steady, SteadyFaces
from aggan.io import write_whole

DOING = "translating videos"
QUALITY = {"crf": "18", "preset": "medium"}
_FORMATS = ("yuv420p", "yuv422p", "yuv444p")
Follow = Callable[[Iterable[None], int], Iterable[None]]
"""Passes on frames as they come, told how many there are (0 where that is unknown)."""


@dataclass(frozen=True)
class VideoWork:
    """What is done to each video."""

    backend: Backend
    view: Callable[[], Steady]
    """Gives each video a view of its own, which remembers its frames."""
    strength: float
    follow: Follow

    def translate(self, results: Results) -> None:
        """Write the translated video; raises `Unreadable`.

        Where no frame shows a face the video is copied, and `NothingSeen` raised.
        """
        passage = Passage(self.backend, self.view(), self.strength)
        try:
            write_whole(results.picture(), lambda path: passage.run(results.source, path, self.follow))
        except NothingSeen:
            write_whole(results.picture(), partial(shutil.copyfile, results.source))
            raise


@dataclass
class Passage:
    """One video on its way."""

    backend: Backend
    view: Steady
    strength: float
    cuts: Cuts = field(default_factory=Cuts)

    def run(self, source: Path, target: Path, follow: Follow) -> None:
        """Read it all, write it all; raises `Unreadable` or `NothingSeen`."""
        av = needed("av", "video", DOING)
        first, kind = _first_frame(av, source), VIDEOS[source.suffix.lower()]
        try:
            with av.open(str(source)) as before, av.open(str(target), "w", format=kind) as after:
                for _ in follow(self._frames(before, after, first), before.streams.video[0].frames):
                    pass
        except OSError:  # of the disk that is written to
            raise
        except (av.error.FFmpegError, ValueError) as why:
            raise _broken(source, why) from why
        if isinstance(self.view, SteadyFaces) and not self.view.seen:
            raise NothingSeen("no face in any frame")

    def _frames(self, before: Any, after: Any, first: Any) -> Iterator[None]:
        """Read, translate and write, a frame at a time."""
        source = before.streams.video[0]
        made = _stream_like(source, first, after)
        beside = [stream for stream in before.streams if stream.type in ("audio", "subtitle")]
        copies = {stream.index: after.add_stream_from_template(stream) for stream in beside}
        for packet in before.demux(source, *beside):
            if packet.stream.index in copies:
                if packet.dts is not None:
                    packet.stream = copies[packet.stream.index]
                    after.mux(packet)
                continue
            for frame in packet.decode():
                after.mux(made.encode(self._painted(frame, made)))
                yield
        after.mux(made.encode(None))

    def _painted(self, frame: Any, made: Any) -> Any:
        careful = _careful()
        pixels = frame.reformat(format="rgb24", interpolation=careful).to_ndarray()
        upright = np.ascontiguousarray(np.rot90(pixels, frame.rotation // 90))
        picture = to_tensor(upright)[None]
        if self.cuts(picture):
            self.view.forget()
        painted = type(frame).from_ndarray(paint(upright, self.view(picture, self.backend), self.strength), "rgb24")
        painted = painted.reformat(
            format=made.pix_fmt,
            dst_colorspace=frame.colorspace,
            dst_color_range=frame.color_range,
            interpolation=careful,
        )
        painted.pts, painted.time_base = frame.pts, frame.time_base
        return painted


def _first_frame(av: Any, source: Path) -> Any:
    try:
        with av.open(str(source)) as file:
            return next(file.decode(video=0))
    except OSError as why:
        raise Unreadable(f"{source}: cannot be read ({why.strerror})") from why
    except (av.error.FFmpegError, IndexError, StopIteration) as why:
        raise _broken(source, why) from why


def _broken(source: Path, why: Exception) -> Unreadable:
    return Unreadable(f"{source}: not a video, or a broken one ({why})")


def _stream_like(source: Any, first: Any, after: Any) -> Any:
    """A stream for upright frames, with the times, the colours and the shape of pixels of another."""
    made = after.add_stream("libx264", rate=source.average_rate, options=QUALITY)
    sides, lies = (first.width, first.height), first.rotation % 180 != 0
    made.width, made.height = sides[::-1] if lies else sides
    if shape := source.sample_aspect_ratio:
        made.codec_context.sample_aspect_ratio = 1 / shape if lies else shape
    known = first.format.name if first.format.name in _FORMATS else "yuv420p"
    # Half of an odd side is no number of pixels.
    made.pix_fmt = "yuv444p" if any(side % 2 for side in sides) else known
    made.codec_context.time_base = source.time_base
    for name in ("color_range", "colorspace", "color_primaries", "color_trc"):
        setattr(made.codec_context, name, getattr(source.codec_context, name))
    return made


def _careful() -> Any:
    """Without these flags colours lose about two levels on the way to RGB and back."""
    flags = needed("av.video.reformatter", "video", DOING).Interpolation
    return flags.BICUBIC | flags.ACCURATE_RND | flags.FULL_CHR_H_INT | flags.FULL_CHR_H_INP
