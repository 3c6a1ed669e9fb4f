"""A video is translated frame by frame; its sound, its times and what the mask leaves out stay."""

import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from test_faces import Red, placed
from translating import below, refused, saved, translate

from aggan.errors import UserError
from aggan.images.convert import Unreadable, to_tensor
from aggan.inference.compositing import ALL, NothingSeen
from aggan.inference.faces import Faces
from aggan.inference.paths import Results
from aggan.inference.smoothing import KEPT, Cuts, Smoothed, SteadyFaces, SteadyView, steady
from aggan.inference.video import Passage, VideoWork
from aggan.inference.views import Tiles, whole
from aggan.types import Translation

av = pytest.importorskip("av")
FRAMES, RATE, TONE = 12, 25, 22_050


def scene(height: int = 60, width: int = 80) -> np.ndarray:
    """Smooth colours, another in each corner."""
    corners = np.array([[(200, 60, 60), (60, 180, 70)], [(60, 70, 190), (190, 190, 70)]], float)
    down, across = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)[None, :, None]
    top, bottom = (corners[k, 0] * (1 - across) + corners[k, 1] * across for k in (0, 1))
    return (top * (1 - down) + bottom * down).round().astype(np.uint8)


def film(path: Path, pictures: Sequence[np.ndarray], rotation: int = 0, shape: Fraction | None = None) -> Path:
    """A video of pictures with a tone; the times between frames are not all the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as file:
        video = file.add_stream("libx264", rate=RATE, options={"crf": "10"})
        video.height, video.width = pictures[0].shape[:2]
        video.pix_fmt = "yuv420p" if video.width % 2 == 0 else "yuv444p"
        if shape:
            video.codec_context.sample_aspect_ratio = shape
        if rotation:
            video.set_display_rotation(rotation)
        sound = file.add_stream("aac", rate=TONE)
        for k, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
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


def frames(path: Path) -> tuple[np.ndarray, list[float]]:
    """Pictures and their times in seconds."""
    with av.open(str(path)) as file:
        found = [(frame.to_ndarray(format="rgb24"), float(frame.time)) for frame in file.decode(video=0)]
    return np.stack([picture for picture, _ in found]).astype(int), [time for _, time in found]


def sound(path: Path) -> list[tuple[bytes, int]]:
    with av.open(str(path)) as file:
        return [(bytes(packet), packet.pts) for packet in file.demux(audio=0) if packet.dts is not None]


@pytest.fixture
def blind(tmp_path, small) -> Path:
    """Its masks are empty."""
    return saved(tmp_path / "blind", small, mask_bias=-1000.0)


@pytest.mark.parametrize("suffix", [".mp4", ".MOV", ".mkv"])
def test_times_and_sound_stay_and_so_does_what_the_mask_leaves_out(tmp_path, blind, suffix, capsys):
    source = film(tmp_path / "in" / f"clip{suffix}", [scene()] * FRAMES)
    assert translate(blind, tmp_path / "in", out=tmp_path / "out", more=("--video",)) == 0
    assert capsys.readouterr().out == f"1 translated to {tmp_path}/out\n"
    made = tmp_path / "out" / f"clip{suffix}"
    (before, times), (after, times_after) = frames(source), frames(made)
    assert times_after == pytest.approx(times, abs=0.002)
    assert after.shape == before.shape
    assert np.abs(after - before).mean() < 1.5
    assert abs((after - before).mean()) < 0.5
    assert sound(made) == sound(source)
    assert below(tmp_path / "out") == {made.name}


def test_a_video_without_sound_and_with_odd_sides_is_fine(tmp_path, blind):
    source = tmp_path / "odd.mp4"
    with av.open(str(source), "w") as file:
        video = file.add_stream("libx264", rate=RATE)
        video.width, video.height, video.pix_fmt = 33, 21, "yuv444p"
        for packet in (*video.encode(av.VideoFrame.from_ndarray(scene(21, 33), "rgb24")), *video.encode(None)):
            file.mux(packet)
    assert translate(blind, source, out=tmp_path / "out", more=("--video",)) == 0
    before, after = frames(source)[0], frames(tmp_path / "out" / "odd.mp4")[0]
    assert after.shape == before.shape == (1, 21, 33, 3)
    assert np.abs(after - before).mean() < 2.5


@pytest.mark.parametrize("rotation", [90, -90, 180])
def test_a_video_held_sideways_is_translated_and_written_upright(tmp_path, blind, rotation):
    source = film(tmp_path / "clip.mp4", [scene()] * 3, rotation)
    assert translate(blind, source, out=tmp_path / "out", more=("--video",)) == 0
    made = tmp_path / "out" / "clip.mp4"
    with av.open(str(made)) as file:
        assert next(file.decode(video=0)).rotation == 0
    upright = np.rot90(scene(), rotation // 90).astype(int)
    assert np.abs(frames(made)[0] - upright).mean() < 3


@pytest.mark.parametrize(("rotation", "expected"), [(0, Fraction(16, 11)), (90, Fraction(11, 16))])
def test_pixels_that_are_not_square_keep_their_shape(tmp_path, blind, rotation, expected):
    source = film(tmp_path / "clip.mp4", [scene()] * 2, rotation, Fraction(16, 11))
    assert translate(blind, source, out=tmp_path / "out", more=("--video",)) == 0
    with av.open(str(tmp_path / "out" / "clip.mp4")) as made:
        assert made.streams.video[0].sample_aspect_ratio == expected


@pytest.mark.parametrize("known", [b"V_MPEG4/ISO/AVC", b"A_AAC"])
def test_a_video_of_an_unknown_codec_is_named_and_the_others_are_translated(tmp_path, blind, capsys, known):
    good = film(tmp_path / "in" / "b.mkv", [scene()] * 2).read_bytes()
    (tmp_path / "in" / "a.mkv").write_bytes(good.replace(known, known[:-1] + b"?"))
    assert translate(blind, tmp_path / "in", out=tmp_path / "out", more=("--video",)) == 0
    told = capsys.readouterr()
    assert f"skipped {tmp_path}/in/a.mkv: not a video, or a broken one (" in told.err
    assert told.out == f"1 translated to {tmp_path}/out, 1 skipped\n"
    assert below(tmp_path / "out") == {"b.mkv"}


def test_packets_that_cannot_be_written_are_the_videos_fault_and_a_full_disk_is_not(tmp_path, monkeypatch):
    results = Results(film(tmp_path / "clip.mp4", [scene()] * 2), tmp_path / "out" / "clip", ".mp4")
    for error, expected in (
        (av.error.ArgumentError(22, "Invalid argument"), "clip.mp4: not a video, or a broken one"),
        (av.error.OSError(28, "No space left on device"), "cannot write .*out/clip.mp4: .*No space left"),
    ):
        monkeypatch.setattr(Passage, "_frames", Mock(side_effect=error))
        with pytest.raises((Unreadable, UserError), match=expected):
            work(Red(), lambda _: []).translate(results)


def test_a_source_that_cannot_be_opened_is_named(tmp_path, blind, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.mp4").symlink_to(tmp_path / "gone.mp4")
    assert translate(blind, tmp_path / "in", out=tmp_path / "out", more=("--video",)) == 2
    assert f"skipped {tmp_path}/in/a.mp4: cannot be read (No such file or directory)" in capsys.readouterr().err


def test_what_is_no_video_is_named_and_leaves_nothing_behind(tmp_path, blind, capsys):
    (tmp_path / "in").mkdir()
    whole_one = film(tmp_path / "a.mp4", [scene()] * FRAMES).read_bytes()
    (tmp_path / "in" / "b.mp4").write_bytes(b"nonsense")
    (tmp_path / "in" / "c.mp4").write_bytes(whole_one[: len(whole_one) // 3])
    assert translate(blind, tmp_path / "in", out=tmp_path / "out", more=("--video",)) == 2
    told = capsys.readouterr().err
    for name in ("b.mp4", "c.mp4"):
        assert f"skipped {tmp_path}/in/{name}: not a video, or a broken one" in told
    assert not below(tmp_path / "out")


def work(model: object, find: object, follow=lambda frames, _: frames) -> VideoWork:
    return VideoWork(model, lambda: SteadyFaces(find), 1.0, follow)  # type: ignore[arg-type]


def test_a_face_is_painted_in_every_frame_and_nothing_else(tmp_path):
    source = film(tmp_path / "clip.mp4", [scene(120, 160)] * 4)
    counts = []
    results = Results(source, tmp_path / "out" / "clip", ".mp4")
    work(Red(), lambda _: [placed(2, 40 + 30j)], lambda some, count: counts.append(count) or some).translate(results)
    made, before = frames(results.picture())[0], frames(source)[0]
    assert counts == [4]
    assert np.abs(made[:, 70:80, 60:85] - (255, 0, 0)).mean() < 8
    assert np.abs(made[:, :20] - before[:, :20]).mean() < 1.5


def test_a_video_without_a_face_is_copied_byte_by_byte(tmp_path):
    source = film(tmp_path / "clip.mp4", [scene()] * 3)
    results = Results(source, tmp_path / "out" / "clip", ".mp4")
    with pytest.raises(NothingSeen, match="no face in any frame"):
        work(Red(), lambda _: []).translate(results)
    assert results.picture().read_bytes() == source.read_bytes()
    assert below(tmp_path / "out") == {"clip.mp4"}


class Flicker:
    """Its mask is full and empty by turns."""

    size, square = 32, False

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, images: torch.Tensor) -> Translation:
        self.calls += 1
        mask = torch.full_like(images[:, :1], float(self.calls % 2))
        return Translation(images, mask, torch.zeros_like(images))


def test_masks_remember_those_before():
    model, images = Smoothed(Flicker()), torch.ones(1, 3, 32, 32)
    made = [model.begin()(images) for _ in range(3)]
    expected = [1.0, KEPT, KEPT * KEPT + 1 - KEPT]
    assert [float(one.mask.mean()) for one in made] == pytest.approx(expected)
    assert [float(one.image.mean()) for one in made] == pytest.approx([1 - mask for mask in expected])


def test_the_tiles_of_a_frame_remember_their_own_masks():
    view = SteadyView(Tiles(0.0))
    picture = torch.ones(1, 3, 32, 96)
    first, second = (view(picture, model).rows(ALL).mask for model in [Flicker()] * 2)
    assert first[0, 0, 0, [0, 32, 64]].tolist() == [1, 0, 1]
    assert second[0, 0, 0, [0, 32, 64]].tolist() == pytest.approx([KEPT, 1 - KEPT, KEPT])
    view.forget()
    assert view(picture, Flicker()).rows(ALL).mask[0, 0, 0, 0] == 1


def test_faces_are_followed_kept_for_some_frames_and_given_up():
    where = [placed(2, 40 + 30j)]
    view = SteadyFaces(lambda _: list(where))
    picture = torch.zeros(1, 3, 150, 180)
    view(picture, Red())
    where[0] = where[0] + 10
    view(picture, Red())
    assert np.allclose(view.tracks[0].landmarks, where[0] - 10 * KEPT)
    where.clear()
    for _ in range(3):
        assert view(picture, Red()).mask.max() == 1
    assert view(picture, Red()).mask.max() == 0
    assert view.seen == 5


def test_a_face_elsewhere_is_another_face_and_each_has_a_memory_of_its_own():
    here, there = placed(2, 0), placed(2, 100 + 70j)
    found = [[here], [there, here], [there, here]]
    view, model = SteadyFaces(lambda _: found.pop(0)), Flicker()
    for _ in range(3):
        view(torch.zeros(1, 3, 150, 180), model)
    assert [np.allclose(track.landmarks, face) for track, face in zip(view.tracks, (here, there), strict=True)] == [
        1,
        1,
    ]
    assert [len(track.model.past) for track in view.tracks] == [1, 1]


def test_a_cut_is_told_from_a_movement():
    cut, one = Cuts(), to_tensor(scene())[None]
    shifted, other = to_tensor(np.roll(scene(), 4, axis=1))[None], to_tensor(255 - scene())[None]
    assert [cut(picture) for picture in (one, one, shifted, other, other)] == [False, False, False, True, False]


def test_every_view_has_a_steady_one():
    assert isinstance(steady(whole), SteadyView)
    faces = steady(Faces(lambda _: [], ((0.5, 0.5),)))
    assert isinstance(faces, SteadyFaces)
    assert faces.place == ((0.5, 0.5),)


def test_mistakes_are_one_line(tmp_path, blind, capsys, monkeypatch):
    clip = film(tmp_path / "clip.mp4", [scene()] * 2)
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    out = tmp_path / "out"
    for source, more, expected in [
        (clip, ("--png",), "--video makes one video of each, without --png"),
        (clip, ("--samples", "2"), "--video makes one video of each, without --png"),
        (tmp_path / "a.png", (), f"{tmp_path}/a.png: --video takes files that end in .mp4, .m4v, .mov, .mkv"),
        (tmp_path / "empty", (), f"{tmp_path}/empty: no videos here"),
    ]:
        assert expected in refused(capsys, translate(blind, source, out=out, more=("--video", *more)))
    assert "overwritten" in refused(capsys, translate(blind, clip, out=tmp_path, more=("--video",)))
    monkeypatch.setitem(sys.modules, "av", None)
    error = refused(capsys, translate(blind, clip, out=out, more=("--video",)))
    assert "translating videos needs av, which is missing: pip install 'aggan[video]'" in error
