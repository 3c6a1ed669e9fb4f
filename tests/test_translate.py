"""`aggan translate`, `translate_files` and the `Translator`: sizes, names and pixels outside the mask stay."""

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_helpers import DOMAINS, error_line, files_below, noise, read_pixels, save_small_model, translate, write_image
from PIL import Image as Pillow

import aggan
from aggan.cli.main import run
from aggan.errors import UserError
from aggan.images.convert import to_pixels, to_tensor
from aggan.inference.translator import Translator, load
from aggan.methods.pretrained import CONFIG, WEIGHTS, ModelCard


@pytest.fixture
def translator(model) -> Translator:
    return load(model)


SIZES = [(32, 32), (33, 47), (200, 64), (7, 9), (1, 1), (1, 50), (50, 1)]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_images_of_any_size_keep_their_size(translator, height, width):
    source = noise(height, width)
    translated = translator(source, "happy")
    assert translated.image.size == translated.content.size == (width, height)
    assert (translated.image.mode, translated.content.mode) == ("RGB", "RGB")
    assert (translated.mask.shape, translated.mask.dtype) == ((height, width), np.float32)
    assert 0 <= translated.mask.min() <= translated.mask.max() <= 1
    # Eq. 1 at the image's own size, up to the rounding of content and result
    fused = np.array(translated.content) * translated.mask[..., None] + source * (1 - translated.mask[..., None])
    assert np.abs(fused - np.array(translated.image)).max() <= 1.001


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_pixels_outside_the_mask_keep_their_exact_value(tmp_path, small, height, width):
    translator = load(save_small_model(tmp_path / "empty-masks", small, mask_bias=-1000.0))
    source = noise(height, width)
    for to in DOMAINS:
        assert np.array_equal(np.array(translator(source, to).image), source)


def test_an_image_of_the_models_size_is_not_resized(translator):
    source = noise(32, 32)
    for to, generator in (("happy", translator.method.G_xy), ("neutral", translator.method.G_yx)):
        with torch.inference_mode():
            expected = generator(to_tensor(source)[None])
        assert np.array_equal(np.array(translator(source, to).image), to_pixels(expected.image)[0])


def test_pillow_images_arrays_and_tensors_give_the_same_result(translator):
    source = noise(20, 30)
    expected = translator(source, "happy")
    rgba = np.dstack((source, np.full((20, 30), 255, np.uint8)))
    for image in (Pillow.fromarray(source), to_tensor(source), rgba, Pillow.fromarray(rgba)):
        translated = translator(image, "happy")
        assert translated.image.tobytes() == expected.image.tobytes()
        assert np.array_equal(translated.mask, expected.mask)


def test_grey_arrays_and_images_are_accepted(translator):
    grey = noise(20, 30)[..., 0]
    expected = translator(np.dstack([grey] * 3), "happy").image.tobytes()
    assert translator(grey, "happy").image.tobytes() == expected
    assert translator(Pillow.fromarray(grey), "happy").image.tobytes() == expected


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((20, 30, 3), np.float32),
        np.zeros((3, 20, 30), np.uint8),
        np.zeros((1, 20, 30, 3), np.uint8),
        np.zeros((0, 30, 3), np.uint8),
        torch.zeros(1, 3, 20, 30),
        torch.zeros(20, 30, 3),
        torch.zeros(3, 20, 30, dtype=torch.uint8),
    ],
    ids=lambda image: f"{image.dtype} {tuple(image.shape)}",
)
def test_other_arrays_and_tensors_are_refused_in_one_sentence(translator, image):
    with pytest.raises(UserError, match=rf"of shape {re.escape(str(tuple(image.shape)))} is not an image: pass a"):
        translator(image, "happy")


def test_a_translator_refuses_an_unknown_domain(translator):
    assert translator.domains == DOMAINS
    with pytest.raises(UserError, match="no domain 'sad' in this model; it translates to neutral and happy"):
        translator(noise(8, 8), "sad")


def test_a_runs_model_is_its_best_or_else_its_last(tmp_path, small):
    save_small_model(tmp_path / "run" / "last", small)
    assert np.array(load(tmp_path / "run")(noise(8, 8), "happy").mask).max() > 0.01
    save_small_model(tmp_path / "run" / "best", small, mask_bias=-1000.0)
    assert np.array(load(tmp_path / "run")(noise(8, 8), "happy").mask).max() == 0


def test_files_folders_and_patterns_keep_names_subfolders_and_sizes(tmp_path, model, capsys):
    write_image(tmp_path / "in" / "a.png")
    write_image(tmp_path / "in" / "deep" / "deeper" / "b.jpeg", 9, 5)
    write_image(tmp_path / "c.bmp", 4, 4)
    write_image(tmp_path / "p1.webp")
    write_image(tmp_path / "p2.webp")
    out = tmp_path / "out"
    assert translate(model, tmp_path / "in", tmp_path / "c.bmp", tmp_path / "p?.webp", out=out) == 0
    assert files_below(out) == {"a.png", "deep/deeper/b.jpeg", "c.png", "p1.webp", "p2.webp"}
    assert read_pixels(out / "a.png").shape == (20, 30, 3)
    assert read_pixels(out / "deep" / "deeper" / "b.jpeg").shape == (9, 5, 3)
    assert capsys.readouterr().out == f"5 translated to {out}\n"


def test_python_users_translate_files_and_get_a_summary(tmp_path, model):
    write_image(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "b.png").write_bytes(b"nonsense")
    command, function = tmp_path / "command", tmp_path / "function"
    assert translate(model, tmp_path / "in", out=command, more=("--strength", "0.5", "--masks")) == 0
    options = aggan.TranslateOptions(strength=0.5, masks=True)
    summary = aggan.translate_files(model, tmp_path / "in", to="happy", out=function, options=options)
    assert files_below(function) == files_below(command)
    for name in files_below(command):
        assert (function / name).read_bytes() == (command / name).read_bytes()
    broken = tmp_path / "in" / "b.png"
    assert summary == aggan.Summary(planned=2, translated=1, skipped={broken: f"{broken}: not an image"})
    options = aggan.TranslateOptions(skip_existing=True)
    summary = aggan.translate_files(str(model), [str(tmp_path / "in" / "a.png")], "happy", str(function), options)
    assert summary == aggan.Summary(planned=1, existing=1)


def test_translate_files_prints_nothing(tmp_path, model, capfd):
    (tmp_path / "a.png").write_bytes(b"nonsense")
    aggan.translate_files(model, tmp_path / "a.png", to="happy", out=tmp_path / "out")
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def without_attention(tmp_path, small) -> Path:
    plain = {"attention_guided_generators": False, "attention_guided_discriminators": False}
    return save_small_model(tmp_path / "without-attention", small.model_copy(update=plain))


def test_a_model_without_attention_has_no_mask_and_no_content(without_attention):
    translated = load(without_attention)(noise(20, 30), "happy")
    assert translated.image.size == (30, 20)
    assert (translated.mask, translated.content) == (None, None)


def test_a_model_without_attention_writes_no_masks_and_says_so_once(tmp_path, without_attention, capsys):
    for name in "ab":
        write_image(tmp_path / "in" / f"{name}.png")
    more = ("--masks", "--skip-existing")
    assert translate(without_attention, tmp_path / "in", out=tmp_path / "out", more=more) == 0
    assert files_below(tmp_path / "out") == {"a.png", "b.png"}
    assert capsys.readouterr().err.count("no masks are written: this model has no attention") == 1
    assert translate(without_attention, tmp_path / "in", out=tmp_path / "out", more=more) == 0
    assert "2 already there" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["translate", "export", "demo"])
def test_help_imports_no_torch(verb):
    code = (
        "import sys\n"
        "from aggan.cli.main import run\n"
        "try:\n"
        f"    run(['{verb}', '--help'])\n"
        "except SystemExit:\n"
        "    print('torch' in sys.modules)\n"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.splitlines()[-1] == "False"


def test_the_command_writes_what_the_translator_returns_and_masks_and_contents_on_request(tmp_path, model, translator):
    source = write_image(tmp_path / "a.v2.png")
    assert translate(model, source, to="neutral", out=tmp_path / "out", more=("--masks",)) == 0
    expected = translator(read_pixels(source), "neutral")
    assert files_below(tmp_path / "out") == {"a.v2.png", "a.v2.mask.png", "a.v2.content.png"}
    assert np.array_equal(read_pixels(tmp_path / "out" / "a.v2.png"), np.array(expected.image))
    assert np.array_equal(read_pixels(tmp_path / "out" / "a.v2.content.png"), np.array(expected.content))
    assert np.abs(read_pixels(tmp_path / "out" / "a.v2.mask.png") / 255 - expected.mask).max() <= 0.501 / 255


def test_images_that_differ_only_in_their_suffix_keep_it_in_png_names(tmp_path, model):
    for name in ("a.jpg", "a.bmp", "a.png", "b.bmp"):
        write_image(tmp_path / "in" / name)
    assert translate(model, tmp_path / "in", out=tmp_path / "out", more=("--masks",)) == 0
    assert {name for name in files_below(tmp_path / "out") if name.count(".") == 1} == {"a.jpg", "a.png", "b.png"}
    parts = {name for name in files_below(tmp_path / "out") if "content" not in name and name.count(".") > 1}
    assert parts == {"a.bmp.png", "a.jpg.mask.png", "a.bmp.mask.png", "a.png.mask.png", "b.mask.png"}


def test_png_makes_every_result_png(tmp_path, model):
    for name in ("a.jpg", "a.PNG", "b.webp"):
        write_image(tmp_path / "in" / name)
    assert translate(model, tmp_path / "in", out=tmp_path / "out", more=("--png",)) == 0
    assert files_below(tmp_path / "out") == {"a.jpg.png", "a.PNG.png", "b.png"}
    for name in files_below(tmp_path / "out"):
        with Pillow.open(tmp_path / "out" / name) as image:
            assert image.format == "PNG"


def test_strength_scales_the_translation(tmp_path, model):
    source = write_image(tmp_path / "a.png")
    outputs = {}
    for strength in ("0", "0.5", "1"):
        assert translate(model, source, out=tmp_path / strength, more=("--strength", strength)) == 0
        outputs[strength] = read_pixels(tmp_path / strength / "a.png").astype(float)
    assert np.array_equal(outputs["0"], read_pixels(source))
    assert np.abs(outputs["1"] - outputs["0"]).max() > 20
    assert np.abs((outputs["0"] + outputs["1"]) / 2 - outputs["0.5"]).max() <= 1.001


@pytest.mark.parametrize("strength", ["-0.1", "1.5", "nan"])
def test_a_strength_out_of_range_is_refused(tmp_path, model, capsys, strength):
    code = translate(model, write_image(tmp_path / "a.png"), out=tmp_path / "out", more=("--strength", strength))
    assert f"--strength must be between 0 and 1, not {float(strength)}" in error_line(capsys, code)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (("--interpolate", "3", "--source", "neutral", "--samples", "2"), "--interpolate and --samples exclude each"),
        (("--interpolate", "3"), "--interpolate goes from --source to --to: add --source"),
        (("--interpolate", "1"), "--interpolate must be 2 or more steps, not 1"),
        (("--samples", "0"), "--samples must be 1 or more, not 0"),
        (("--jobs", "-1"), "--jobs must be 1 or more (or 0 for one per CPU core), not -1"),
    ],
)
def test_options_out_of_range_are_refused(tmp_path, model, capsys, more, expected):
    code = translate(model, write_image(tmp_path / "a.png"), out=tmp_path / "out", more=more)
    assert expected in error_line(capsys, code)


def test_a_broken_file_is_named_and_skipped(tmp_path, model, capsys):
    write_image(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "b [old].png").write_bytes(b"nonsense")
    assert translate(model, tmp_path / "in", out=tmp_path / "out") == 0
    captured = capsys.readouterr()
    assert f"skipped {tmp_path}/in/b [old].png: not an image\n" in captured.err
    assert captured.out == f"1 translated to {tmp_path}/out, 1 skipped\n"
    assert files_below(tmp_path / "out") == {"a.png"}


def test_only_broken_files_are_a_failure(tmp_path, model, capsys):
    (tmp_path / "a.png").write_bytes(b"nonsense")
    assert translate(model, tmp_path / "a.png", out=tmp_path / "out") == 2
    assert "a.png: not an image" in capsys.readouterr().err


def test_a_broken_file_is_no_failure_if_other_results_exist(tmp_path, model, capsys):
    write_image(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "b.png").write_bytes(b"nonsense")
    for translated, existing in ((1, 0), (0, 1)):
        assert translate(model, tmp_path / "in", out=tmp_path / "out", more=("--skip-existing",)) == 0
        expected = f"{translated} translated to {tmp_path}/out, 1 skipped, {existing} already there\n"
        assert capsys.readouterr().out == expected


def test_an_image_too_large_for_its_format_is_named_and_skipped(tmp_path, model, capsys):
    write_image(tmp_path / "in" / "a.png")
    write_image(tmp_path / "wide.png", 2, 16_400).rename(tmp_path / "in" / "wide.webp")
    assert translate(model, tmp_path / "in", out=tmp_path / "out") == 0
    captured = capsys.readouterr()
    assert f"skipped {tmp_path}/out/wide.webp: cannot be written as WEBP (" in captured.err
    assert captured.out == f"1 translated to {tmp_path}/out, 1 skipped\n"
    assert files_below(tmp_path / "out") == {"a.png"}


def test_a_broken_link_is_named(tmp_path, model, capsys):
    write_image(tmp_path / "in" / "a.png")
    for name in ("b.png", ".hidden.png", "c.txt"):
        (tmp_path / "in" / name).symlink_to(tmp_path / "gone.png")
    for inputs in (tmp_path / "in", tmp_path / "in" / "*.png"):
        assert translate(model, inputs, out=tmp_path / "out") == 0
        assert [line for line in capsys.readouterr().err.splitlines() if "skipped" in line] == [
            f"skipped {tmp_path}/in/b.png: no such file"
        ]
    assert translate(model, tmp_path / "in" / "b.png", out=tmp_path / "out") == 2
    assert f"skipped {tmp_path}/in/b.png: no such file" in capsys.readouterr().err


def test_results_inside_the_input_folder_are_not_translated_again(tmp_path, model, capsys):
    write_image(tmp_path / "in" / "a.png")
    write_image(tmp_path / "in" / "deep" / "b.png")
    out = tmp_path / "in" / "results" / "happy"
    for expected in ("2 translated to {}, 0 already there", "0 translated to {}, 2 already there"):
        assert translate(model, tmp_path / "in", out=out, more=("--skip-existing",)) == 0
        assert capsys.readouterr().out.splitlines()[-1] == expected.format(out)
    assert files_below(out) == {"a.png", "deep/b.png"}
    assert "is an input and would be overwritten" in error_line(capsys, translate(model, tmp_path / "in", out=out))


def test_missing_inputs_models_and_domains_are_one_line(tmp_path, model, capsys):
    source, out = write_image(tmp_path / "a.png"), tmp_path / "out"
    (tmp_path / "empty").mkdir()
    for code, expected in [
        (
            lambda: translate(model, source, to="sad", out=out),
            "no domain 'sad' in this model; it translates to neutral",
        ),
        (lambda: translate(tmp_path / "gone", source, out=out), f"{tmp_path}/gone: no model here; pass a run folder"),
        (lambda: translate(tmp_path / "empty", source, out=out), f"{tmp_path}/empty: no model here"),
        (lambda: translate(model, source, tmp_path / "b.png", out=out), f"{tmp_path}/b.png: no such file, folder or"),
        (lambda: translate(model, tmp_path / "*.gif", out=out), f"{tmp_path}/*.gif: no such file, folder or pattern"),
        (lambda: translate(model, tmp_path / "empt*", out=out), "no images to translate"),
        (lambda: translate(model, tmp_path / "empty", out=out), f"{tmp_path}/empty: no images in this folder"),
        (lambda: translate(model, "", out=out), "an input is empty: name a file, a folder or a pattern"),
        (lambda: translate(model, tmp_path / ("a" * 300), out=out), f"{tmp_path}/{'a' * 300}: "),
    ]:
        assert error_line(capsys, code()).startswith(f"aggan translate: {expected}")
    assert not out.exists()


def test_no_source_is_overwritten(tmp_path, model, capsys):
    for name in ("in/a.png", "in/b.jpg", "in/c/d.png", "d.png"):
        write_image(tmp_path / name)
    before = {name: (tmp_path / name).read_bytes() for name in files_below(tmp_path) if "model" not in name}
    (tmp_path / "in" / "e.bmp").write_bytes((tmp_path / "d.png").read_bytes())
    for inputs, out in [
        ((tmp_path / "in",), tmp_path / "in"),
        ((tmp_path / "in" / "a.png",), tmp_path / "in" / "c" / ".."),
        ((tmp_path / "d.png", tmp_path / "in"), tmp_path / "in" / "c"),  # d.png onto in/c/d.png
    ]:
        error = error_line(capsys, translate(model, *inputs, out=out))
        assert "is an input and would be overwritten: choose another --out" in error
    assert translate(model, tmp_path / "in" / "e.bmp", out=tmp_path / "in") == 0
    assert {name: (tmp_path / name).read_bytes() for name in before} == before


@pytest.mark.parametrize("more", [("--png",), ("--masks",)])
def test_no_other_file_of_the_sources_folder_is_overwritten(tmp_path, model, capsys, more):
    write_image(tmp_path / "in" / "a.bmp")
    for name in ("a.png", "a.mask.png"):
        (tmp_path / "in" / name).write_text("precious")
    error = error_line(capsys, translate(model, tmp_path / "in" / "a.bmp", out=tmp_path / "in" / ".", more=more))
    assert "in/a.png already exists beside a.bmp: choose another --out, or keep existing files with" in error
    assert translate(model, tmp_path / "in" / "a.bmp", out=tmp_path / "in", more=("--png", "--skip-existing")) == 0
    assert (tmp_path / "in" / "a.png").read_text() == "precious"


def test_no_result_overwrites_another(tmp_path, model, capsys):
    for name in ("one/a.png", "two/a.png", "three/a.mask.png"):
        write_image(tmp_path / name)
    out = tmp_path / "out"
    image = error_line(capsys, translate(model, tmp_path / "one", tmp_path / "two", out=out))
    assert f"two inputs would be written to {out}/a.png: pass their common folder" in image
    inputs = (tmp_path / "two", tmp_path / "three")
    mask = error_line(capsys, translate(model, *inputs, out=out, more=("--masks",)))
    assert f"two inputs would be written to {out}/a.mask.png" in mask
    assert translate(model, *inputs, out=out) == 0


def test_no_result_is_written_where_another_one_needs_a_folder(tmp_path, model, capsys):
    for name in ("in/a.bmp", "in/a.png/b.png"):
        write_image(tmp_path / name)
    error = error_line(capsys, translate(model, tmp_path / "in", out=tmp_path / "out"))
    assert f"one input would be written to {tmp_path}/out/a.png, and another one below it: use an --out for" in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("pattern", ["", "*.png", "*.*"])
def test_masks_and_contents_of_an_earlier_translation_are_not_translated_again(tmp_path, model, capsys, pattern):
    write_image(tmp_path / "in" / "a.png")
    write_image(tmp_path / "in" / "b.jpg")
    assert translate(model, tmp_path / "in", out=tmp_path / "one", more=("--masks",)) == 0
    assert len(files_below(tmp_path / "one")) == 6
    capsys.readouterr()
    assert translate(model, tmp_path / "one" / pattern, out=tmp_path / "two") == 0
    captured = capsys.readouterr()
    assert captured.out == f"{1 if pattern == '*.png' else 2} translated to {tmp_path}/two\n"
    assert f"left out 4 (masks and contents of translations): {tmp_path}/one/a.content.png, " in captured.err


def test_a_mask_that_is_named_by_itself_is_translated(tmp_path, model):
    mask = write_image(tmp_path / "a.mask.png")
    write_image(tmp_path / "a.png")
    assert translate(model, mask, out=tmp_path / "out") == 0
    assert files_below(tmp_path / "out") == {"a.mask.png"}


def test_a_name_that_leaves_no_space_for_the_mask_is_named_and_the_others_are_translated(tmp_path, model, capsys):
    long = write_image(tmp_path / "in" / "a.png").rename(tmp_path / "in" / ("é" * 122 + "a.png"))
    write_image(tmp_path / "in" / "b.png")
    for more in (("--masks",), ("--masks", "--skip-existing")):
        assert translate(model, tmp_path / "in", out=tmp_path / "out", more=more) == 0
        captured = capsys.readouterr()
        assert captured.out.startswith(f"{int(len(more) == 1)} translated to {tmp_path}/out, 1 skipped")
        assert f"skipped {long}: " in captured.err
        reason = "a name of 257 bytes is too long for this file system, which allows 255"
        assert f".content.png cannot be written to {tmp_path}/out: {reason}\n" in captured.err
    assert files_below(tmp_path / "out") == {"b.png", "b.mask.png", "b.content.png"}
    assert translate(model, long, out=tmp_path / "out", more=("--masks",)) == 2
    assert translate(model, long, out=tmp_path / "out") == 0


def test_outputs_that_exist_as_folders_and_folders_that_exist_as_files_are_named(tmp_path, model, capsys):
    for name in ("in/a.png", "in/b.png", "in/deep/c.png"):
        write_image(tmp_path / name)
    (tmp_path / "out" / "a.png").mkdir(parents=True)
    (tmp_path / "out" / "deep").touch()
    assert translate(model, tmp_path / "in", out=tmp_path / "out") == 0
    captured = capsys.readouterr()
    assert captured.out == f"1 translated to {tmp_path}/out, 2 skipped\n"
    assert f"a.png cannot be written to {tmp_path}/out: there is a folder of this name\n" in captured.err
    assert f"c.png cannot be written to {tmp_path}/out/deep: {tmp_path}/out/deep is not a folder\n" in captured.err


def test_a_name_that_only_the_file_system_refuses_is_named(tmp_path, model, capsys, monkeypatch):
    def replace(partial: Path, path: Path) -> None:
        if path.name == "a:.png":
            raise OSError(errno.EINVAL, "Invalid argument")
        partial.rename(path)

    write_image(tmp_path / "in" / "a:.png")
    write_image(tmp_path / "in" / "b.png")
    monkeypatch.setattr("aggan.io.os.replace", replace)
    assert translate(model, tmp_path / "in", out=tmp_path / "out") == 0
    captured = capsys.readouterr()
    assert captured.out == f"1 translated to {tmp_path}/out, 1 skipped\n"
    assert f"skipped cannot write {tmp_path}/out/a:.png: " in captured.err
    assert files_below(tmp_path / "out") == {"b.png"}


@pytest.mark.parametrize("out", ["file", "/proc/aggan"])
def test_a_destination_that_cannot_be_written_is_one_line_before_the_work(tmp_path, model, capsys, monkeypatch, out):
    (tmp_path / "file").touch()
    monkeypatch.setattr("aggan.inference.pipeline.choose_backend", lambda *_: pytest.fail("the work began"))
    for more in ((), ("--skip-existing",)):
        code = translate(model, write_image(tmp_path / "a.png"), out=tmp_path / out, more=more)
        assert "--out: nothing can be written to " in error_line(capsys, code)


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
from aggan.cli.main import main
main()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full and limits of file sizes")
@pytest.mark.parametrize(
    ("limit", "out", "expected"),
    [
        (10**9, "/dev/full", "aggan: cannot write the output: No space left on device\n"),
        (200, "/dev/null", "aggan translate: cannot write OUT/a.png: [Errno 27] File too large; what was there befo"),
    ],
    ids=["the disk of the printed line", "the disk of the results"],
)
def test_a_full_disk_is_one_line(tmp_path, model, limit, out, expected):
    command = ["translate", str(model), str(write_image(tmp_path / "a.png")), "--to", "happy"]
    command = [sys.executable, "-c", LIMITED, str(limit), *command, "--out", str(tmp_path / "out")]
    with Path(out).open("w") as output:
        process = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True)
    assert process.returncode in (1, 2)
    assert expected.replace("OUT", str(tmp_path / "out")) in process.stderr
    assert "Traceback" not in process.stderr
    assert len(files_below(tmp_path / "out")) == int(limit > 200)


@pytest.mark.skipif(sys.platform != "linux", reason="needs pipes")
@pytest.mark.parametrize("argv", [["translate", "--help"], ["methods"]])
def test_a_reader_that_is_gone_is_no_error(argv):
    command = f"{sys.executable} -m aggan {' '.join(argv)} | true; echo ${{PIPESTATUS[0]}}"
    process = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert process.stderr == ""
    assert process.stdout in ("141\n", "0\n")


@pytest.mark.skipif(sys.platform != "linux", reason="needs names that are not UTF-8")
def test_names_that_are_not_utf8_are_printed_where_the_encoding_is_strict(tmp_path, model):
    name = os.fsdecode(b"caf\xe9")
    write_image(tmp_path / "in" / f"{name}.png")
    (tmp_path / "in" / f"{name}.jpg").write_bytes(b"nonsense")
    environment = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}
    command = ["translate", str(model), str(tmp_path / "in"), "--to", "happy", "--out", str(tmp_path / name)]
    command = [sys.executable, "-m", "aggan", *command]
    process = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert process.returncode == 0
    assert process.stdout == f"1 translated to {tmp_path}/caf\\udce9, 1 skipped\n"
    assert f"skipped {tmp_path}/in/caf\\udce9.jpg: not an image\n" in process.stderr
    assert files_below(tmp_path / name) == {f"{name}.png"}


def break_config(model: Path, **changes: object) -> None:
    card = json.loads((model / CONFIG).read_text()) | changes
    (model / CONFIG).write_text(json.dumps(card))


def truncate(file: Path, size: int) -> None:
    file.write_bytes(file.read_bytes()[:size])


BROKEN = {
    "newer": (
        lambda m: break_config(m, version=99),
        "config.json: written by a newer aggan (version 99): update aggan",
    ),
    "unknown setting": (lambda m: break_config(m, bogus=1), "config.json: not the config of a model: Extra inputs"),
    "wrong type": (lambda m: break_config(m, size="large"), "config.json: not the config of a model: "),
    "path as a domain": (
        lambda m: break_config(m, domains=["neutral", "../x"]),
        "config.json: a domain cannot be called '../x'",
    ),
    "not JSON": (lambda m: (m / CONFIG).write_text("{"), "config.json: cannot be read: "),
    "a list": (lambda m: (m / CONFIG).write_text("[]"), "config.json: not the config of a model: "),
    "no weights": (lambda m: (m / WEIGHTS).unlink(), "model: model.safetensors is missing beside config.json"),
    "truncated weights": (lambda m: truncate(m / WEIGHTS, 5000), "model.safetensors: not the weights that config.json"),
    "truncated header": (lambda m: truncate(m / WEIGHTS, 100), "model.safetensors: not the weights that config.json"),
    "empty weights": (lambda m: truncate(m / WEIGHTS, 0), "model.safetensors: not the weights that config.json"),
}


@pytest.mark.parametrize(("damage", "expected"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_model_is_one_line_that_names_its_file(tmp_path, model, capsys, damage, expected):
    damage(model)
    assert expected in error_line(capsys, translate(model, write_image(tmp_path / "a.png"), out=tmp_path / "out"))


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "/a", "a\0"])
def test_a_domain_that_cannot_be_a_file_name_is_refused(small, name):
    with pytest.raises(UserError, match="a domain cannot be called "):
        ModelCard(method=small, domains=("neutral", name), size=32)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (("--size", "0"), "need at least 94 px: raise --size 0"),
        (("--size", "101"), "multiples of 4 px, not 101: set --size"),
        (("--domains", "../x", "y"), "a domain cannot be called '../x'"),
    ],
)
def test_a_failed_import_is_one_line_about_its_own_options(tmp_path, capsys, more, expected):
    command = ["import", "--generator-xy", "a.pth", "--generator-yx", "b.pth", "--out", str(tmp_path / "out"), *more]
    assert expected in (error := error_line(capsys, run(command)))
    assert "--data" not in error


def test_weights_of_another_config_are_refused(tmp_path, model, small, capsys):
    other = save_small_model(tmp_path / "other", small.model_copy(update={"generator_width": 8}))
    (other / WEIGHTS).replace(model / WEIGHTS)
    error = error_line(capsys, translate(model, write_image(tmp_path / "a.png"), out=tmp_path / "out"))
    assert "model.safetensors: not the weights that config.json describes: " in error
    assert "size mismatch" in error


def test_results_do_not_go_among_the_images_that_are_translated(tmp_path, model, capsys):
    write_image(tmp_path / "in" / "a.png")
    code = translate(model, tmp_path / "in", out=tmp_path / "in" / "out")
    assert f"--out {tmp_path}/in/out: lies in {tmp_path}/in, whose images are read" in error_line(capsys, code)
    assert files_below(tmp_path / "in") == {"a.png"}
    assert translate(model, tmp_path / "in", out=tmp_path / "in" / "out", more=("--skip-existing",)) == 0
