"""Videos are translated frame by frame. Sound, timestamps and pixels outside the mask stay."""

import sys
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from cli_helpers import error_line, files_below, save_small_model, translate
from test_faces import Red, transformed_landmarks
from tiny_models import SMALL

from aggan.errors import UserError
from aggan.images.ai_label import add_label
from aggan.images.convert import Unreadable, to_tensor
from aggan.inference.compositing import ALL_ROWS, NothingToTranslate
from aggan.inference.faces import Faces
from aggan.inference.landmarks import FindFaces
from aggan.inference.paths import OutputPaths
from aggan.inference.smoothing import DECAY, CutDetector, SmoothedBackend, SmoothedFaces, SmoothedView, smooth
from aggan.inference.tiles import Tiles
from aggan.inference.video import TrackFrames, VideoTranslation, translate_video
from aggan.inference.views import whole_image
from aggan.methods import aggan
from aggan.types import Translation

av = pytest.importorskip("av")
FRAMES, RATE, TONE = 12, 25, 22_050


def scene(height: int = 60, width: int = 80) -> np.ndarray:
    """Smooth colours, a different one in each corner."""
    corners = np.array([[(200, 60, 60), (60, 180, 70)], [(60, 70, 190), (190, 190, 70)]], float)
    y, x = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)[None, :, None]
    top, bottom = (corners[k, 0] * (1 - x) + corners[k, 1] * x for k in (0, 1))
    return (top * (1 - y) + bottom * y).round().astype(np.uint8)


def write_video(path: Path, images: Sequence[np.ndarray], rotation: int = 0, ratio: Fraction | None = None) -> Path:
    """A video with a tone, whose frames are not evenly spaced. `ratio` is the pixel aspect ratio."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as file:
        video = file.add_stream("libx264", rate=RATE, options={"crf": "10"})
        video.height, video.width = images[0].shape[:2]
        video.pix_fmt = "yuv420p" if video.width % 2 == 0 else "yuv444p"
        if ratio:
            video.codec_context.sample_aspect_ratio = ratio
        if rotation:
            video.set_display_rotation(rotation)
        sound = file.add_stream("aac", rate=TONE)
        for k, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.pts, frame.time_base = k + (k > 5), Fraction(1, RATE)
            file.mux(video.encode(frame))
        file.mux(video.encode(None))
        wave = np.sin(np.arange(TONE // 2) / 8).astype(np.float32) / 4
        for start in range(0, len(wave) - 1024, 1024):
            part = av.AudioFrame.from_ndarray(wave[None, start : start + 1024], format="fltp", layout="mono")
            part.sample_rate, part.pts, part.time_base = TONE, start, Fraction(1, TONE)
            file.mux(sound.encode(part))
        file.mux(sound.encode(None))
    return path


def read_frames(path: Path) -> tuple[np.ndarray, list[float]]:
    """Images and their timestamps in seconds."""
    with av.open(str(path)) as file:
        frames = [(frame.to_ndarray(format="rgb24"), float(frame.time)) for frame in file.decode(video=0)]
    return np.stack([image for image, _ in frames]).astype(int), [time for _, time in frames]


def read_sound(path: Path) -> list[tuple[bytes, int]]:
    with av.open(str(path)) as file:
        return [(bytes(packet), packet.pts) for packet in file.demux(audio=0) if packet.dts is not None]


@pytest.fixture
def identity_model(tmp_path, small) -> Path:
    """Its masks are empty."""
    return save_small_model(tmp_path / "identity", small, mask_bias=-1000.0)


@pytest.mark.parametrize("suffix", [".mp4", ".MOV", ".mkv"])
def test_timestamps_sound_and_pixels_outside_the_mask_stay(tmp_path, identity_model, suffix, capsys):
    source = write_video(tmp_path / "in" / f"clip{suffix}", [scene()] * FRAMES)
    assert translate(identity_model, tmp_path / "in", out=tmp_path / "out", more=("--video",)) == 0
    assert capsys.readouterr().out == f"1 translated to {tmp_path}/out\n"
    output = tmp_path / "out" / f"clip{suffix}"
    (before, times), (after, times_after) = read_frames(source), read_frames(output)
    assert times_after == pytest.approx(times, abs=0.002)
    assert after.shape == before.shape
    assert np.abs(after - before).mean() < 1.5
    assert abs((after - before).mean()) < 0.5
    assert read_sound(output) == read_sound(source)
    assert files_below(tmp_path / "out") == {output.name}


def xmp_of(path: Path) -> str | None:
    with av.open(str(path), options={} if path.suffix == ".mkv" else {"export_xmp": "1"}) as file:
        return file.metadata.get("xmp")


def test_a_translated_video_is_labelled_where_its_format_allows_it(tmp_path):
    red = save_small_model(tmp_path / "red", aggan.Config.model_validate(SMALL), mask_bias=1000.0)
    for suffix in (".mp4", ".mov", ".m4v", ".mkv"):
        write_video(tmp_path / "in" / f"clip{suffix}", [scene()] * 2)
    assert translate(red, tmp_path / "in", out=tmp_path / "out", more=("--video",)) == 0
    for suffix in (".mp4", ".mov", ".m4v"):
        assert xmp_of(tmp_path / "out" / f"clip{suffix}") == add_label().decode()
        assert len(read_frames(tmp_path / "out" / f"clip{suffix}")[0]) == 2
    assert xmp_of(tmp_path / "out" / "clip.mkv") is None
    plain = ("--video", "--no-ai-label")
    assert translate(red, tmp_path / "in" / "clip.mp4", out=tmp_path / "plain", more=plain) == 0
    assert xmp_of(tmp_path / "plain" / "clip.mp4") is None


def test_a_video_without_sound_and_with_odd_sides_is_translated(tmp_path, identity_model):
    source = tmp_path / "odd.mp4"
    with av.open(str(source), "w") as file:
        video = file.add_stream("libx264", rate=RATE)
        video.width, video.height, video.pix_fmt = 33, 21, "yuv444p"
        for packet in (*video.encode(av.VideoFrame.from_ndarray(scene(21, 33), "rgb24")), *video.encode(None)):
            file.mux(packet)
    assert translate(identity_model, source, out=tmp_path / "out", more=("--video",)) == 0
    before, after = read_frames(source)[0], read_frames(tmp_path / "out" / "odd.mp4")[0]
    assert after.shape == before.shape == (1, 21, 33, 3)
    assert np.abs(after - before).mean() < 2.5


@pytest.mark.parametrize("rotation", [90, -90, 180])
def test_a_rotated_video_is_written_upright(tmp_path, identity_model, rotation):
    source = write_video(tmp_path / "clip.mp4", [scene()] * 3, rotation)
    assert translate(identity_model, source, out=tmp_path / "out", more=("--video",)) == 0
    output = tmp_path / "out" / "clip.mp4"
    with av.open(str(output)) as file:
        assert next(file.decode(video=0)).rotation == 0
    upright = np.rot90(scene(), rotation // 90).astype(int)
    assert np.abs(read_frames(output)[0] - upright).mean() < 3


@pytest.mark.parametrize(("rotation", "expected"), [(0, Fraction(16, 11)), (90, Fraction(11, 16))])
def test_the_pixel_aspect_ratio_stays(tmp_path, identity_model, rotation, expected):
    source = write_video(tmp_path / "clip.mp4", [scene()] * 2, rotation, Fraction(16, 11))
    assert translate(identity_model, source, out=tmp_path / "out", more=("--video",)) == 0
    with av.open(str(tmp_path / "out" / "clip.mp4")) as file:
        assert file.streams.video[0].sample_aspect_ratio == expected


@pytest.mark.parametrize("codec", [b"V_MPEG4/ISO/AVC", b"A_AAC"])
def test_a_video_of_an_unknown_codec_is_named_and_the_others_are_translated(tmp_path, identity_model, capsys, codec):
    good = write_video(tmp_path / "in" / "b.mkv", [scene()] * 2).read_bytes()
    (tmp_path / "in" / "a.mkv").write_bytes(good.replace(codec, codec[:-1] + b"?"))
    assert translate(identity_model, tmp_path / "in", out=tmp_path / "out", more=("--video",)) == 0
    captured = capsys.readouterr()
    assert f"skipped {tmp_path}/in/a.mkv: not a video, or a broken one (" in captured.err
    assert captured.out == f"1 translated to {tmp_path}/out, 1 skipped\n"
    assert files_below(tmp_path / "out") == {"b.mkv"}


def test_packets_that_cannot_be_written_skip_the_video_and_a_full_disk_is_an_error(tmp_path, monkeypatch):
    paths = OutputPaths(write_video(tmp_path / "clip.mp4", [scene()] * 2), tmp_path / "out" / "clip", ".mp4")
    for error, expected in (
        (av.error.ArgumentError(22, "Invalid argument"), "clip.mp4: not a video, or a broken one"),
        (av.error.OSError(28, "No space left on device"), "cannot write .*out/clip.mp4: .*No space left"),
    ):
        monkeypatch.setattr(VideoTranslation, "_frames", Mock(side_effect=error))
        with pytest.raises((Unreadable, UserError), match=expected):
            translate_faces(paths, lambda _: [])


def test_a_source_that_cannot_be_opened_is_named(tmp_path, identity_model, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.mp4").symlink_to(tmp_path / "gone.mp4")
    assert translate(identity_model, tmp_path / "in", out=tmp_path / "out", more=("--video",)) == 2
    assert f"skipped {tmp_path}/in/a.mp4: cannot be read (No such file or directory)" in capsys.readouterr().err


def test_other_files_are_named_and_leave_nothing_behind(tmp_path, identity_model, capsys):
    (tmp_path / "in").mkdir()
    complete = write_video(tmp_path / "a.mp4", [scene()] * FRAMES).read_bytes()
    (tmp_path / "in" / "b.mp4").write_bytes(b"nonsense")
    (tmp_path / "in" / "c.mp4").write_bytes(complete[: len(complete) // 3])
    assert translate(identity_model, tmp_path / "in", out=tmp_path / "out", more=("--video",)) == 2
    errors = capsys.readouterr().err
    for name in ("b.mp4", "c.mp4"):
        assert f"skipped {tmp_path}/in/{name}: not a video, or a broken one" in errors
    assert not files_below(tmp_path / "out")


def translate_faces(paths: OutputPaths, find: FindFaces, track: TrackFrames = lambda frames, _: frames) -> None:
    translate_video(paths, Red(), SmoothedFaces(find), 1.0, track)


def test_a_face_is_translated_in_every_frame_and_nothing_else(tmp_path):
    source = write_video(tmp_path / "clip.mp4", [scene(120, 160)] * 4)
    counts = []

    def track(frames: Iterable[None], count: int) -> Iterable[None]:
        counts.append(count)
        return frames

    paths = OutputPaths(source, tmp_path / "out" / "clip", ".mp4")
    translate_faces(paths, lambda _: [transformed_landmarks(2, 40 + 30j)], track)
    after, before = read_frames(paths.image())[0], read_frames(source)[0]
    assert counts == [4]
    assert np.abs(after[:, 70:80, 60:85] - (255, 0, 0)).mean() < 8
    assert np.abs(after[:, :20] - before[:, :20]).mean() < 1.5


def test_a_video_without_a_face_is_copied_byte_by_byte(tmp_path):
    source = write_video(tmp_path / "clip.mp4", [scene()] * 3)
    paths = OutputPaths(source, tmp_path / "out" / "clip", ".mp4")
    with pytest.raises(NothingToTranslate, match="no face in any frame"):
        translate_faces(paths, lambda _: [])
    assert paths.image().read_bytes() == source.read_bytes()
    assert files_below(tmp_path / "out") == {"clip.mp4"}


class Flicker:
    """Its masks alternate between full and empty."""

    size, fixed_size = 32, False

    def __init__(self, attention: bool = True) -> None:
        self.attention = attention
        self.calls = 0

    def with_statistics_of(self, images: torch.Tensor) -> "Flicker":
        return self

    def __call__(self, images: torch.Tensor) -> Translation:
        if not self.attention:
            return Translation(images)
        self.calls += 1
        mask = torch.full_like(images[:, :1], float(self.calls % 2))
        return Translation(images, mask, torch.zeros_like(images))


def test_masks_are_averaged_over_frames():
    backend, images = SmoothedBackend(Flicker()), torch.ones(1, 3, 32, 32)
    translations = [backend.start_frame()(images) for _ in range(3)]
    expected = [1.0, DECAY, DECAY * DECAY + 1 - DECAY]
    masks = [translation.attended()[1] for translation in translations]
    assert [float(mask.mean()) for mask in masks] == pytest.approx(expected)
    means = [float(translation.image.mean()) for translation in translations]
    assert means == pytest.approx([1 - mask for mask in expected])


def test_without_attention_nothing_is_averaged():
    images = torch.rand(1, 3, 32, 32)
    backend = SmoothedBackend(Flicker(attention=False))
    for _ in range(2):
        assert torch.equal(backend.start_frame()(images).image, images)
    assert backend.masks == []


def test_each_tile_of_a_frame_has_its_own_average():
    view = SmoothedView(Tiles(side=32, halo=0))
    image = torch.ones(1, 3, 32, 96)
    first, second = (view(image, backend).rows(ALL_ROWS).mask for backend in [Flicker()] * 2)
    assert first[0, 0, 0, [0, 32, 64]].tolist() == [1, 0, 1]
    assert second[0, 0, 0, [0, 32, 64]].tolist() == pytest.approx([DECAY, 1 - DECAY, DECAY])
    view.reset()
    assert view(image, Flicker()).rows(ALL_ROWS).mask[0, 0, 0, 0] == 1


def test_faces_are_tracked_kept_for_some_frames_and_dropped():
    faces = [transformed_landmarks(2, 40 + 30j)]
    view = SmoothedFaces(lambda _: list(faces))
    image = torch.zeros(1, 3, 150, 180)
    view(image, Red())
    faces[0] = faces[0] + 10
    view(image, Red())
    assert np.allclose(view.tracks[0].landmarks, faces[0] - 10 * DECAY)
    faces.clear()
    for _ in range(3):
        assert view(image, Red()).mask.max() == 1
    assert view(image, Red()).mask.max() == 0
    assert view.frames_with_faces == 5


def test_a_distant_face_starts_its_own_track_with_its_own_average():
    first, second = transformed_landmarks(2, 0), transformed_landmarks(2, 100 + 70j)
    frames = [[first], [second, first], [second, first]]
    view, backend = SmoothedFaces(lambda _: frames.pop(0)), Flicker()
    for _ in range(3):
        view(torch.zeros(1, 3, 150, 180), backend)
    assert len(view.tracks) == 2
    for track, face in zip(view.tracks, (first, second), strict=True):
        assert np.allclose(track.landmarks, face)
        assert len(track.backend.masks) == 1


def test_a_cut_is_told_from_a_movement():
    is_cut, one = CutDetector(), to_tensor(scene())[None]
    shifted, other = to_tensor(np.roll(scene(), 4, axis=1))[None], to_tensor(255 - scene())[None]
    assert [is_cut(image) for image in (one, one, shifted, other, other)] == [False, False, False, True, False]


def test_every_view_can_be_smoothed():
    assert isinstance(smooth(whole_image), SmoothedView)
    faces = smooth(Faces(lambda _: [], ((0.5, 0.5),)))
    assert isinstance(faces, SmoothedFaces)
    assert faces.alignment == ((0.5, 0.5),)


def test_mistakes_are_one_line(tmp_path, identity_model, capsys, monkeypatch):
    clip = write_video(tmp_path / "clip.mp4", [scene()] * 2)
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    out = tmp_path / "out"
    for source, more, expected in [
        (clip, ("--png",), "--video writes one video per input: leave out --png"),
        (clip, ("--samples", "2"), "--video writes one video per input: leave out --png"),
        (tmp_path / "a.png", (), f"{tmp_path}/a.png: --video only takes files that end in .mp4, .m4v, .mov, .mkv"),
        (tmp_path / "empty", (), f"{tmp_path}/empty: no videos in this folder"),
    ]:
        assert expected in error_line(capsys, translate(identity_model, source, out=out, more=("--video", *more)))
    assert "overwritten" in error_line(capsys, translate(identity_model, clip, out=tmp_path, more=("--video",)))
    monkeypatch.setitem(sys.modules, "av", None)
    error = error_line(capsys, translate(identity_model, clip, out=out, more=("--video",)))
    assert "translating videos needs av, which is not installed: run pip install '.[video]'" in error
