"""A trained model and whatever pictures it is given: sizes, names and untouched pixels stay."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from translating import DOMAINS, below, noise, picture, pixels, refused, saved, translate

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
def test_pictures_of_any_size_keep_it(translator, height, width):
    source = noise(height, width)
    made = translator(source, "happy")
    assert made.image.size == made.content.size == (width, height)
    assert (made.image.mode, made.content.mode) == ("RGB", "RGB")
    assert (made.mask.shape, made.mask.dtype) == ((height, width), np.float32)
    assert 0 <= made.mask.min() <= made.mask.max() <= 1
    # Eq. 1 at the picture's own size, but for the rounding of content and result
    fused = np.array(made.content) * made.mask[..., None] + source * (1 - made.mask[..., None])
    assert np.abs(fused - np.array(made.image)).max() <= 1.001


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_what_the_mask_leaves_out_comes_back_bit_by_bit(tmp_path, small, height, width):
    blind = load(saved(tmp_path / "blind", small, mask_bias=-1000.0))
    source = noise(height, width)
    for to in DOMAINS:
        assert np.array_equal(np.array(blind(source, to).image), source)


def test_a_picture_of_the_models_size_is_translated_as_it_is(translator):
    source = noise(32, 32)
    for to, generator in (("happy", translator.system.G_xy), ("neutral", translator.system.G_yx)):
        with torch.inference_mode():
            made = generator(to_tensor(source)[None])
        assert np.array_equal(np.array(translator(source, to).image), to_pixels(made.image)[0])


def test_pillow_arrays_and_tensors_give_the_same(translator):
    source = noise(20, 30)
    expected = translator(source, "happy")
    layered = np.dstack((source, np.full((20, 30), 255, np.uint8)))
    for given in (Pillow.fromarray(source), to_tensor(source), layered, Pillow.fromarray(layered)):
        made = translator(given, "happy")
        assert made.image.tobytes() == expected.image.tobytes()
        assert np.array_equal(made.mask, expected.mask)


def test_greys_are_accepted_as_arrays_and_pictures(translator):
    grey = noise(20, 30)[..., 0]
    expected = translator(np.dstack([grey] * 3), "happy").image.tobytes()
    assert translator(grey, "happy").image.tobytes() == expected
    assert translator(Pillow.fromarray(grey), "happy").image.tobytes() == expected


@pytest.mark.parametrize(
    "given",
    [
        np.zeros((20, 30, 3), np.float32),
        np.zeros((3, 20, 30), np.uint8),
        np.zeros((1, 20, 30, 3), np.uint8),
        np.zeros((0, 30, 3), np.uint8),
        torch.zeros(1, 3, 20, 30),
        torch.zeros(20, 30, 3),
        torch.zeros(3, 20, 30, dtype=torch.uint8),
    ],
    ids=lambda given: f"{given.dtype} {tuple(given.shape)}",
)
def test_arrays_and_tensors_that_are_no_pictures_are_refused_in_one_sentence(translator, given):
    with pytest.raises(UserError, match=rf"of shape {re.escape(str(tuple(given.shape)))} is no picture: give one as"):
        translator(given, "happy")


def test_a_translator_refuses_a_domain_it_does_not_know(translator):
    assert translator.domains == DOMAINS
    with pytest.raises(UserError, match="no domain 'sad' in this model; it translates to neutral and happy"):
        translator(noise(8, 8), "sad")


def test_a_run_gives_its_best_model_or_else_its_last(tmp_path, small):
    saved(tmp_path / "run" / "last", small)
    assert np.array(load(tmp_path / "run")(noise(8, 8), "happy").mask).max() > 0.01
    saved(tmp_path / "run" / "best", small, mask_bias=-1000.0)
    assert np.array(load(tmp_path / "run")(noise(8, 8), "happy").mask).max() == 0


def test_files_folders_and_patterns_keep_names_places_and_sizes(tmp_path, model, capsys):
    picture(tmp_path / "in" / "a.png")
    picture(tmp_path / "in" / "deep" / "deeper" / "b.jpeg", 9, 5)
    picture(tmp_path / "c.bmp", 4, 4)
    picture(tmp_path / "p1.webp")
    picture(tmp_path / "p2.webp")
    out = tmp_path / "out"
    assert translate(model, tmp_path / "in", tmp_path / "c.bmp", tmp_path / "p?.webp", out=out) == 0
    assert below(out) == {"a.png", "deep/deeper/b.jpeg", "c.png", "p1.webp", "p2.webp"}
    assert pixels(out / "a.png").shape == (20, 30, 3)
    assert pixels(out / "deep" / "deeper" / "b.jpeg").shape == (9, 5, 3)
    assert capsys.readouterr().out == f"5 translated to {out}\n"


def test_the_command_writes_what_the_translator_gives_and_the_parts_if_asked(tmp_path, model, translator):
    source = picture(tmp_path / "a.v2.png")
    assert translate(model, source, to="neutral", out=tmp_path / "out", more=("--masks",)) == 0
    made = translator(pixels(source), "neutral")
    assert below(tmp_path / "out") == {"a.v2.png", "a.v2.mask.png", "a.v2.content.png"}
    assert np.array_equal(pixels(tmp_path / "out" / "a.v2.png"), np.array(made.image))
    assert np.array_equal(pixels(tmp_path / "out" / "a.v2.content.png"), np.array(made.content))
    assert np.abs(pixels(tmp_path / "out" / "a.v2.mask.png") / 255 - made.mask).max() <= 0.501 / 255


def test_pictures_that_differ_in_their_suffix_only_keep_it_where_they_become_png(tmp_path, model):
    for name in ("a.jpg", "a.bmp", "a.png", "b.bmp"):
        picture(tmp_path / "in" / name)
    assert translate(model, tmp_path / "in", out=tmp_path / "out", more=("--masks",)) == 0
    assert {name for name in below(tmp_path / "out") if name.count(".") == 1} == {"a.jpg", "a.png", "b.png"}
    parts = {name for name in below(tmp_path / "out") if "content" not in name and name.count(".") > 1}
    assert parts == {"a.bmp.png", "a.jpg.mask.png", "a.bmp.mask.png", "a.png.mask.png", "b.mask.png"}


def test_png_makes_every_result_png(tmp_path, model):
    for name in ("a.jpg", "a.PNG", "b.webp"):
        picture(tmp_path / "in" / name)
    assert translate(model, tmp_path / "in", out=tmp_path / "out", more=("--png",)) == 0
    assert below(tmp_path / "out") == {"a.jpg.png", "a.PNG.png", "b.png"}
    for name in below(tmp_path / "out"):
        with Pillow.open(tmp_path / "out" / name) as made:
            assert made.format == "PNG"


def test_strength_scales_what_is_done(tmp_path, model):
    source = picture(tmp_path / "a.png")
    made = {}
    for strength in ("0", "0.5", "1"):
        assert translate(model, source, out=tmp_path / strength, more=("--strength", strength)) == 0
        made[strength] = pixels(tmp_path / strength / "a.png").astype(float)
    assert np.array_equal(made["0"], pixels(source))
    assert np.abs(made["1"] - made["0"]).max() > 20
    assert np.abs((made["0"] + made["1"]) / 2 - made["0.5"]).max() <= 1.001


@pytest.mark.parametrize("strength", ["-0.1", "1.5", "nan"])
def test_a_strength_that_is_no_share_is_refused(tmp_path, model, capsys, strength):
    code = translate(model, picture(tmp_path / "a.png"), out=tmp_path / "out", more=("--strength", strength))
    assert f"--strength goes from 0 to 1, not {float(strength)}" in refused(capsys, code)


def test_a_path_of_samples_is_refused(tmp_path, model, capsys):
    more = ("--path", "3", "--source", "neutral", "--samples", "2")
    code = translate(model, picture(tmp_path / "a.png"), out=tmp_path / "out", more=more)
    assert "--path and --samples are two ways to make several pictures of one: choose one" in refused(capsys, code)


def test_a_broken_file_is_named_and_skipped(tmp_path, model, capsys):
    picture(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "b [old].png").write_bytes(b"nonsense")
    assert translate(model, tmp_path / "in", out=tmp_path / "out") == 0
    told = capsys.readouterr()
    assert f"skipped {tmp_path}/in/b [old].png: not a picture\n" in told.err
    assert told.out == f"1 translated to {tmp_path}/out, 1 skipped\n"
    assert below(tmp_path / "out") == {"a.png"}


def test_nothing_but_broken_files_is_a_failure(tmp_path, model, capsys):
    (tmp_path / "a.png").write_bytes(b"nonsense")
    assert translate(model, tmp_path / "a.png", out=tmp_path / "out") == 2
    assert "a.png: not a picture" in capsys.readouterr().err


def test_a_broken_file_is_no_failure_of_what_was_done_before(tmp_path, model, capsys):
    picture(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "b.png").write_bytes(b"nonsense")
    for told in ("1 translated to {}, 1 skipped, 0 there already", "0 translated to {}, 1 skipped, 1 there already"):
        assert translate(model, tmp_path / "in", out=tmp_path / "out", more=("--missing",)) == 0
        assert capsys.readouterr().out == told.format(tmp_path / "out") + "\n"


def test_a_picture_that_its_format_cannot_hold_is_named_and_skipped(tmp_path, model, capsys):
    picture(tmp_path / "in" / "a.png")
    picture(tmp_path / "wide.png", 2, 16_400).rename(tmp_path / "in" / "wide.webp")
    assert translate(model, tmp_path / "in", out=tmp_path / "out") == 0
    told = capsys.readouterr()
    assert f"skipped {tmp_path}/out/wide.webp: cannot be written as WEBP (" in told.err
    assert told.out == f"1 translated to {tmp_path}/out, 1 skipped\n"
    assert below(tmp_path / "out") == {"a.png"}


def test_a_link_that_leads_nowhere_is_named(tmp_path, model, capsys):
    picture(tmp_path / "in" / "a.png")
    for name in ("b.png", ".hidden.png", "c.txt"):
        (tmp_path / "in" / name).symlink_to(tmp_path / "gone.png")
    for inputs in (tmp_path / "in", tmp_path / "in" / "*.png"):
        assert translate(model, inputs, out=tmp_path / "out") == 0
        assert [line for line in capsys.readouterr().err.splitlines() if "skipped" in line] == [
            f"skipped {tmp_path}/in/b.png: no such file"
        ]
    assert translate(model, tmp_path / "in" / "b.png", out=tmp_path / "out") == 2
    assert f"skipped {tmp_path}/in/b.png: no such file" in capsys.readouterr().err


def test_results_inside_the_folder_are_not_translated_again(tmp_path, model, capsys):
    picture(tmp_path / "in" / "a.png")
    picture(tmp_path / "in" / "deep" / "b.png")
    out = tmp_path / "in" / "results" / "happy"
    for told in ("2 translated to {}, 0 there already", "0 translated to {}, 2 there already"):
        assert translate(model, tmp_path / "in", out=out, more=("--missing",)) == 0
        assert capsys.readouterr().out.splitlines()[-1] == told.format(out)
    assert below(out) == {"a.png", "deep/b.png"}
    assert "is a picture to translate and would be overwritten" in refused(
        capsys, translate(model, tmp_path / "in", out=out)
    )


def test_what_is_not_there_is_one_line(tmp_path, model, capsys):
    source, out = picture(tmp_path / "a.png"), tmp_path / "out"
    (tmp_path / "empty").mkdir()
    for code, expected in [
        (
            lambda: translate(model, source, to="sad", out=out),
            "no domain 'sad' in this model; it translates to neutral",
        ),
        (lambda: translate(tmp_path / "gone", source, out=out), f"{tmp_path}/gone: no model here; give a run folder"),
        (lambda: translate(tmp_path / "empty", source, out=out), f"{tmp_path}/empty: no model here"),
        (lambda: translate(model, source, tmp_path / "b.png", out=out), f"{tmp_path}/b.png: no such file, folder or"),
        (lambda: translate(model, tmp_path / "*.gif", out=out), f"{tmp_path}/*.gif: no such file, folder or pattern"),
        (lambda: translate(model, tmp_path / "empt*", out=out), "no pictures to translate"),
        (lambda: translate(model, tmp_path / "empty", out=out), f"{tmp_path}/empty: no pictures here"),
        (lambda: translate(model, "", out=out), "an input is empty: name a file, a folder or a pattern"),
        (lambda: translate(model, tmp_path / ("a" * 300), out=out), f"{tmp_path}/{'a' * 300}: "),
    ]:
        assert refused(capsys, code()).startswith(f"aggan translate: {expected}")
    assert not out.exists()


def test_no_picture_to_translate_is_ever_overwritten(tmp_path, model, capsys):
    for name in ("in/a.png", "in/b.jpg", "in/c/d.png", "d.png"):
        picture(tmp_path / name)
    before = {name: (tmp_path / name).read_bytes() for name in below(tmp_path) if "model" not in name}
    (tmp_path / "in" / "e.bmp").write_bytes((tmp_path / "d.png").read_bytes())
    for inputs, out in [
        ((tmp_path / "in",), tmp_path / "in"),
        ((tmp_path / "in" / "a.png",), tmp_path / "in" / "c" / ".."),
        ((tmp_path / "d.png", tmp_path / "in"), tmp_path / "in" / "c"),  # d.png onto in/c/d.png
    ]:
        assert "and would be overwritten: choose another --out" in refused(capsys, translate(model, *inputs, out=out))
    assert translate(model, tmp_path / "in" / "e.bmp", out=tmp_path / "in") == 0
    assert {name: (tmp_path / name).read_bytes() for name in before} == before


@pytest.mark.parametrize("more", [("--png",), ("--masks",)])
def test_no_other_file_of_the_pictures_folder_is_overwritten(tmp_path, model, capsys, more):
    picture(tmp_path / "in" / "a.bmp")
    for name in ("a.png", "a.mask.png"):
        (tmp_path / "in" / name).write_text("precious")
    error = refused(capsys, translate(model, tmp_path / "in" / "a.bmp", out=tmp_path / "in" / ".", more=more))
    assert "in/a.png is there already, beside a.bmp: choose another --out, or keep what is there with" in error
    assert translate(model, tmp_path / "in" / "a.bmp", out=tmp_path / "in", more=("--png", "--missing")) == 0
    assert (tmp_path / "in" / "a.png").read_text() == "precious"


def test_no_result_is_written_over_another(tmp_path, model, capsys):
    for name in ("one/a.png", "two/a.png", "two/a.mask.png"):
        picture(tmp_path / name)
    out = tmp_path / "out"
    same = refused(capsys, translate(model, tmp_path / "one", tmp_path / "two", out=out))
    assert f"two pictures would become {out}/a.png: name their common folder" in same
    mask = refused(capsys, translate(model, tmp_path / "two", out=out, more=("--masks",)))
    assert f"two pictures would become {out}/a.mask.png" in mask
    assert translate(model, tmp_path / "two", out=out) == 0


def spoil_config(model: Path, **changes: object) -> None:
    card = json.loads((model / CONFIG).read_text()) | changes
    (model / CONFIG).write_text(json.dumps(card))


def truncate(file: Path, size: int) -> None:
    file.write_bytes(file.read_bytes()[:size])


SPOILT = {
    "newer": (lambda m: spoil_config(m, version=2), "config.json: written by a newer aggan (version 2): update aggan"),
    "unknown setting": (lambda m: spoil_config(m, bogus=1), "config.json: not a model's description: Extra inputs"),
    "wrong type": (lambda m: spoil_config(m, size="large"), "config.json: not a model's description: "),
    "a way out": (
        lambda m: spoil_config(m, domains=["neutral", "../x"]),
        "config.json: a domain cannot be called '../x'",
    ),
    "not JSON": (lambda m: (m / CONFIG).write_text("{"), "config.json: cannot be read: "),
    "a list": (lambda m: (m / CONFIG).write_text("[]"), "config.json: not a model's description: "),
    "no weights": (lambda m: (m / WEIGHTS).unlink(), "model: model.safetensors is missing beside config.json"),
    "truncated weights": (lambda m: truncate(m / WEIGHTS, 5000), "model.safetensors: not the weights that config.json"),
    "truncated header": (lambda m: truncate(m / WEIGHTS, 100), "model.safetensors: not the weights that config.json"),
    "empty weights": (lambda m: truncate(m / WEIGHTS, 0), "model.safetensors: not the weights that config.json"),
}


@pytest.mark.parametrize(("spoil", "expected"), SPOILT.values(), ids=SPOILT.keys())
def test_a_spoilt_model_is_one_line_that_names_its_file(tmp_path, model, capsys, spoil, expected):
    spoil(model)
    assert expected in refused(capsys, translate(model, picture(tmp_path / "a.png"), out=tmp_path / "out"))


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "/a", "a\0"])
def test_a_domain_that_no_file_can_be_named_after_is_refused(small, name):
    with pytest.raises(UserError, match="a domain cannot be called "):
        ModelCard(system=small, domains=("neutral", name), size=32)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (("--size", "0"), "need at least 94 px: raise --size 0"),
        (("--size", "101"), "multiples of 4 px, not 101: set --size"),
        (("--domains", "../x", "y"), "a domain cannot be called '../x'"),
    ],
)
def test_what_cannot_be_imported_is_one_line_about_its_own_flags(tmp_path, capsys, more, expected):
    command = ["import", "--there", "a.pth", "--back", "b.pth", "--out", str(tmp_path / "out"), *more]
    assert expected in (error := refused(capsys, run(command)))
    assert "--data" not in error


def test_weights_of_another_system_are_refused(tmp_path, model, small, capsys):
    other = saved(tmp_path / "other", small.model_copy(update={"generator_width": 8}))
    (other / WEIGHTS).replace(model / WEIGHTS)
    error = refused(capsys, translate(model, picture(tmp_path / "a.png"), out=tmp_path / "out"))
    assert "model.safetensors: not the weights that config.json describes: " in error
    assert "size mismatch" in error
