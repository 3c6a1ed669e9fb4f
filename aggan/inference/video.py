"""Translation of videos, frame by frame. Needs the extra `video` (PyAV).

Frames are written upright as H.264 with a nearly invisible loss (crf 18), each with its timestamp. Sound and subtitles
are copied, not encoded again.
"""

import shutil
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from aggan.extras import require_module
from aggan.images.ai_label import add_label
from aggan.images.convert import Unreadable, to_tensor
from aggan.inference.compositing import Backend, NothingToTranslate, composite
from aggan.inference.paths import VIDEOS, OutputPaths
from aggan.inference.smoothing import CutDetector, SmoothedFaces, VideoView
from aggan.io import write_atomic

PURPOSE = "translating videos"
ENCODER = {"crf": "18", "preset": "medium"}
_WITH_XMP = ("mp4", "mov")
"""Formats that hold XMP; Matroska does not."""
_XMP_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_PIXEL_FORMATS = ("yuv420p", "yuv422p", "yuv444p")
TrackFrames = Callable[[Iterable[None], int], Iterable[None]]
"""Passes frames on and shows the progress. The second argument is their number, or 0 if it is unknown."""


def translate_video(
    paths: OutputPaths,
    backend: Backend,
    view: VideoView,
    strength: float,
    track: TrackFrames,
    ai_label: bool = True,
) -> None:
    """Write the translated video, labelled as edited by AI; `view` must be new, since it remembers frames.

    Raises `Unreadable` if the source is no video, or a broken one. If no frame shows a face, the video is copied and
    `NothingToTranslate` is raised.
    """
    translation = VideoTranslation(backend, view, strength)

    def write(path: Path) -> None:
        translation.run(paths.source, path, track)
        if ai_label and VIDEOS[paths.source.suffix.lower()] in _WITH_XMP:
            _append_xmp(path, add_label())

    try:
        write_atomic(paths.image(), write)
    except NothingToTranslate:
        write_atomic(paths.image(), partial(shutil.copyfile, paths.source))
        raise


@dataclass
class VideoTranslation:
    """The translation of one video."""

    backend: Backend
    view: VideoView
    strength: float
    is_cut: CutDetector = field(default_factory=CutDetector)

    def run(self, source: Path, target: Path, track: TrackFrames) -> None:
        """Read, translate and write all frames. Raises `Unreadable` or `NothingToTranslate`."""
        av = require_module("av", "video", PURPOSE)
        first, container = _first_frame(av, source), VIDEOS[source.suffix.lower()]
        try:
            with av.open(str(source)) as reader, av.open(str(target), "w", format=container) as writer:
                for _ in track(self._frames(reader, writer, first), reader.streams.video[0].frames):
                    pass
        except OSError:  # the disk, not the video
            raise
        except (av.error.FFmpegError, ValueError) as error:
            raise _broken(source, error) from error
        if isinstance(self.view, SmoothedFaces) and not self.view.frames_with_faces:
            raise NothingToTranslate("no face in any frame")

    def _frames(self, reader: Any, writer: Any, first: Any) -> Iterator[None]:
        """Read, translate and write one frame per iteration."""
        source = reader.streams.video[0]
        output = _add_video_stream(writer, source, first)
        others = [stream for stream in reader.streams if stream.type in ("audio", "subtitle")]
        copies = {stream.index: writer.add_stream_from_template(stream) for stream in others}
        for packet in reader.demux(source, *others):
            if packet.stream.index in copies:
                if packet.dts is not None:
                    packet.stream = copies[packet.stream.index]
                    writer.mux(packet)
                continue
            for frame in packet.decode():
                writer.mux(output.encode(self._translate(frame, output)))
                yield
        writer.mux(output.encode(None))

    def _translate(self, frame: Any, output: Any) -> Any:
        interpolation = _accurate_interpolation()
        pixels = frame.reformat(format="rgb24", interpolation=interpolation).to_ndarray()
        upright = np.ascontiguousarray(np.rot90(pixels, frame.rotation // 90))
        image = to_tensor(upright)[None]
        if self.is_cut(image):
            self.view.reset()
        translated = composite(upright, self.view(image, self.backend), self.strength)
        encoded = (
            type(frame)
            .from_ndarray(translated, "rgb24")
            .reformat(
                format=output.pix_fmt,
                dst_colorspace=frame.colorspace,
                dst_color_range=frame.color_range,
                interpolation=interpolation,
            )
        )
        encoded.pts, encoded.time_base = frame.pts, frame.time_base
        return encoded


def _append_xmp(file: Path, xmp: bytes) -> None:
    """Append a box with XMP to an MP4 or QuickTime file (ISO 16684-3). Players skip boxes that they do not know."""
    with file.open("ab") as stream:
        stream.write(struct.pack(">I4s", 8 + len(_XMP_BOX) + len(xmp), b"uuid") + _XMP_BOX + xmp)


def _first_frame(av: Any, source: Path) -> Any:
    try:
        with av.open(str(source)) as reader:
            return next(reader.decode(video=0))
    except OSError as error:
        raise Unreadable(f"{source}: cannot be read ({error.strerror})") from error
    except (av.error.FFmpegError, IndexError, StopIteration) as error:
        raise _broken(source, error) from error


def _broken(source: Path, error: Exception) -> Unreadable:
    return Unreadable(f"{source}: not a video, or a broken one ({error})")


def _add_video_stream(writer: Any, source: Any, first: Any) -> Any:
    """Add a stream of upright frames with the timestamps, the colours and the pixel aspect ratio of the source."""
    stream = writer.add_stream("libx264", rate=source.average_rate, options=ENCODER)
    sides, sideways = (first.width, first.height), first.rotation % 180 != 0
    stream.width, stream.height = sides[::-1] if sideways else sides
    if ratio := source.sample_aspect_ratio:
        stream.codec_context.sample_aspect_ratio = 1 / ratio if sideways else ratio
    pixel_format = first.format.name if first.format.name in _PIXEL_FORMATS else "yuv420p"
    # Subsampled chroma needs even sides.
    stream.pix_fmt = "yuv444p" if any(side % 2 for side in sides) else pixel_format
    stream.codec_context.time_base = source.time_base
    for name in ("color_range", "colorspace", "color_primaries", "color_trc"):
        setattr(stream.codec_context, name, getattr(source.codec_context, name))
    return stream


def _accurate_interpolation() -> Any:
    """Without these flags, colours lose about two levels (of 255) on the way to RGB and back."""
    flags = require_module("av.video.reformatter", "video", PURPOSE).Interpolation
    return flags.BICUBIC | flags.ACCURATE_RND | flags.FULL_CHR_H_INT | flags.FULL_CHR_H_INP
