"""The experimental design: sampling, balance, pairing, and names that reveal nothing."""

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo
from pydantic import ValidationError
from studies import convert_to_version_1, small_study, write_images

from aggan.errors import UserError
from aggan.study.create import Sources, create_study
from aggan.study.design import Kind, Side, Trial, image_names, participant_trials
from aggan.study.images import find_images, scramble_tiles
from aggan.study.plan import IMAGES, Pair, Plan, Settings, image_folder, read_plan
from aggan.study.sampling import TrialCounts, sample_pairs


def plan_of(methods: int, trials: int, inputs: int, checks: int = 4) -> Plan:
    names = tuple("abcdef"[:methods])

    def pairs(kind: str, count: int, fakes: tuple[str, ...] = names) -> tuple[Pair, ...]:
        return tuple(
            Pair(name=f"{kind}{k}", real=f"{kind}{k}.real", fakes={method: f"{kind}{k}.{method}" for method in fakes})
            for k in range(count)
        )

    return Plan(
        study="s", secret="x", seed=3, settings=Settings(), methods=names, trials=trials,
        pairs=pairs("p", inputs), practice=pairs("t", 5), checks=pairs("c", checks, ("",)),
    )  # fmt: skip


def main_trials(plan: Plan, number: int) -> list[Trial]:
    return [trial for trial in participant_trials(plan, number) if trial.kind is Kind.MAIN]


@pytest.mark.parametrize("methods", [1, 2, 3, 5])
def test_each_participant_sees_all_methods_equally_often_and_no_input_twice(methods):
    plan = plan_of(methods, 6 * methods, 6 * methods + 5)
    for number in range(2 * methods + 1):
        trials = main_trials(plan, number)
        assert set(Counter(trial.method for trial in trials).values()) == {6}
        assert len({trial.pair.name for trial in participant_trials(plan, number)}) == 6 * methods + 5 + 4


def test_consecutive_participants_see_each_input_once_by_every_method():
    plan = plan_of(3, 12, 20)
    seen = Counter((trial.pair.name, trial.method) for number in range(3) for trial in main_trials(plan, number))
    assert set(seen.values()) == {1}
    assert len(seen) == 3 * 12


def test_inputs_rotate_so_that_all_are_seen_equally_often():
    plan = plan_of(2, 8, 12)
    seen = Counter(trial.pair.name for number in range(2 * 3) for trial in main_trials(plan, number))
    assert set(seen.values()) == {4}
    assert len(seen) == 12


def test_each_block_contains_every_method_once():
    plan = plan_of(3, 12, 12)
    for number in range(6):
        trials = [trial.method for trial in main_trials(plan, number)]
        assert all(set(trials[start : start + 3]) == set("abc") for start in range(0, 12, 3))


def test_the_real_image_is_on_the_left_in_half_of_the_trials():
    plan = plan_of(2, 20, 20)
    for number in range(5):
        assert Counter(trial.real_side for trial in main_trials(plan, number)) == {Side.LEFT: 10, Side.RIGHT: 10}
    orders = {tuple(trial.real_side for trial in main_trials(plan, number)) for number in range(5)}
    assert len(orders) == 5


def test_practice_comes_first_and_checks_are_spread_among_the_main_trials():
    for number in range(20):
        kinds = [trial.kind for trial in participant_trials(plan_of(2, 20, 20), number)]
        assert set(kinds[:5]) == {Kind.PRACTICE}
        positions = [index for index, kind in enumerate(kinds) if kind is Kind.CHECK]
        assert len(positions) == 4
        assert positions[0] > 5
        assert all(1 <= b - a <= 11 for a, b in pairwise(positions))


def test_trials_follow_from_the_seed_and_the_number():
    plan = plan_of(2, 20, 20)
    assert participant_trials(plan, 4) == participant_trials(plan, 4)
    assert participant_trials(plan, 4) != participant_trials(plan, 5)
    assert participant_trials(plan, 4) != participant_trials(plan.model_copy(update={"seed": 4}), 4)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, "t0.a:right t1.b:left t2.c:left t3.a:left t4.b:right p5.c:left p4.b:right p3.a:left c0.:right p2.c:left "
            "p0.a:right p1.b:right c1.:left"),
        (4, "t0.b:left t1.c:right t2.a:right t3.b:left t4.c:left p1.a:left c0.:right p0.c:right p6.b:left p3.c:left "
            "p4.a:right p2.b:right c1.:right"),
    ],
)  # fmt: skip
def test_trials_never_change_because_stored_answers_refer_to_them(number, expected):
    trials = participant_trials(plan_of(3, 6, 7, checks=2), number)
    assert " ".join(f"{trial.pair.name}.{trial.method}:{trial.real_side}" for trial in trials) == expected


def test_public_image_names_reveal_neither_file_nor_side_and_are_unique():
    plan = plan_of(2, 20, 20)
    first, second = image_names(plan, 0), image_names(plan, 1)
    assert not first.keys() & second.keys()
    assert len(first) == 2 * len(participant_trials(plan, 0))
    assert not image_names(plan.model_copy(update={"secret": "y"}), 0).keys() & first.keys()
    trials = participant_trials(plan, 0)
    assert list(first.values())[2 * 7] == trials[7].image(Side.LEFT)
    assert list(first.values())[2 * 7 + 1] == trials[7].image(Side.RIGHT)


def images(*names: str) -> dict[str, Path]:
    return {name: Path(name) for name in names}


def numbered(count: int) -> dict[str, Path]:
    return images(*map(str, range(count)))


def test_images_of_one_name_are_pairs_and_the_others_get_another_real_image():
    real, fakes = images("a", "b", "x", "y"), {"s": images("a", "b", "c", "d", "e")}
    sample = sample_pairs(real, fakes, TrialCounts(1, 0, 0), Random(0))
    assert sample.matched == 2
    assert sample.real["a"].name == "a"
    assert {sample.real[name].name for name in sample.real if name not in "ab"} == {"x", "y"}
    assert len(sample.real) == 4  # no real image is shown with two fakes


def test_only_inputs_that_every_method_translated_are_shown():
    fakes = {"s": images(*"abc"), "t": images(*"bcd")}
    sample = sample_pairs(images(*"abcd"), fakes, TrialCounts(2, 0, 0), Random(0))
    assert set(sample.pairs) == {"b", "c"}


def test_default_counts_follow_the_protocol_of_isola_as_far_as_there_are_images():
    real = numbered(100)
    sample = sample_pairs(real, {"s": real, "t": real, "u": real}, TrialCounts(), Random(0))
    assert (sample.trials, len(sample.practice), len(sample.checks), len(sample.pairs)) == (39, 10, 4, 86)
    few = numbered(20)
    sample = sample_pairs(few, {"s": few}, TrialCounts(), Random(0))
    assert (sample.trials, len(sample.practice), len(sample.checks)) == (12, 4, 4)


@pytest.mark.parametrize("methods", [1, 2, 3])
@pytest.mark.parametrize("inputs", range(3, 20))
def test_a_study_of_few_images_can_be_taken(methods, inputs):
    real = numbered(inputs)
    sample = sample_pairs(real, dict.fromkeys("abc"[:methods], real), TrialCounts(), Random(0))
    trials = participant_trials(plan_of(methods, sample.trials, len(sample.pairs), len(sample.checks)), 0)
    assert Counter(trial.kind for trial in trials)[Kind.CHECK] == len(sample.checks) <= 4


def test_a_plan_with_more_checks_than_trials_is_invalid():
    with pytest.raises(ValidationError, match="more attention checks than trials"):
        plan_of(2, 2, 8, checks=3)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (TrialCounts(2, 2, 3), "--checks 3 is more than the 2 main trials; add images or lower --checks"),
        (TrialCounts(5, 2), "--trials 5 is not a multiple of 2, the number of methods"),
        (TrialCounts(12, 2), "10 pairs remain after 2 for practice and 4 for checks, but 12 are needed"),
        (TrialCounts(None, 2, 20), "0 pairs remain"),
    ],
)
def test_too_few_images_are_reported_with_what_to_do(counts, message):
    real = numbered(16)
    with pytest.raises(UserError, match=message):
        sample_pairs(real, {"s": real, "t": real}, counts, Random(0))


def test_methods_that_translated_different_inputs_cannot_be_compared():
    with pytest.raises(UserError, match="no file name occurs in all folders"):
        sample_pairs(images("a"), {"s": images("a"), "t": images("b")}, TrialCounts(), Random(0))


def test_images_of_a_study_differ_only_in_their_pixels(tmp_path):
    real = write_images(tmp_path / "real", range(8), 0)
    for path in real.iterdir():
        info = PngInfo()
        info.add_text("Software", "a camera")
        Pillow.open(path).save(path, pnginfo=info, compress_level=1)
    fake = write_images(tmp_path / "fake", range(8), 0)
    for path in fake.iterdir():
        Pillow.open(path).resize((32, 48)).convert("RGBA").save(path)
    study = create_study(Sources(real, {"s": fake}), TrialCounts(2, 1, 1), Settings(), 0, tmp_path / "study", print)
    assert study.resized
    paths = list((tmp_path / "study" / IMAGES).iterdir())
    assert len({path.stat().st_size for path in paths}) == 1
    for path in paths:
        content = path.read_bytes()
        assert content.count(b"IDAT") == 1
        assert not any(kind in content for kind in (b"tEXt", b"iTXt", b"eXIf", b"tIME", b"pHYs", b"iCCP"))
        with Pillow.open(path) as image:
            assert (image.size, image.mode, image.info) == ((16, 16), "RGB", {})


def test_an_image_of_the_studys_size_keeps_every_pixel(tmp_path):
    study = small_study(tmp_path)
    pair = read_plan(study).pairs[0]
    for folder, file in {"real": pair.real, **pair.fakes}.items():
        paths = (study / IMAGES / file, tmp_path / folder / f"{pair.name}.png")
        written, original = (np.asarray(Pillow.open(path)) for path in paths)
        assert np.array_equal(written, original)


def test_an_attention_check_has_no_tile_in_its_place():
    pixels = np.random.default_rng(0).integers(0, 256, (18, 18, 3), dtype=np.uint8)
    scrambled = scramble_tiles(pixels)
    assert sorted(scrambled.ravel()) == sorted(pixels.ravel())
    tiles = [(slice(r, r + 4), slice(c, c + 4)) for r in range(0, 16, 4) for c in range(0, 16, 4)]
    assert not any(np.array_equal(scrambled[tile], pixels[tile]) for tile in tiles)


def test_a_broken_image_leaves_nothing_behind(tmp_path):
    real, fake = (write_images(tmp_path / name, range(8), 0) for name in ("real", "fake"))
    next(fake.iterdir()).write_bytes(b"no image")
    with pytest.raises(UserError, match="not an image: remove or replace it"):
        create_study(Sources(real, {"s": fake}), TrialCounts(2, 1, 1), Settings(), 0, tmp_path / "study", print)
    assert {path.name for path in tmp_path.iterdir()} == {"real", "fake"}


def test_two_images_of_one_name_are_ambiguous(tmp_path):
    real = write_images(tmp_path / "real", range(8), 0)
    Pillow.open(real / "00.png").save(real / "00.jpg")
    with pytest.raises(UserError, match="have the same name '00': remove one"):
        create_study(Sources(real, {"s": real}), TrialCounts(), Settings(), 0, tmp_path / "study", print)


def test_masks_and_contents_beside_an_image_are_not_images_of_their_own(tmp_path):
    image = Pillow.new("RGB", (16, 16))
    for name in ("a.png", "a.mask.png", "a.content.png", "b.jpg", "b.jpg.mask.png", "c.mask.png", "sub/a.content.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        image.save(tmp_path / name)
    assert set(find_images(tmp_path, print)) == {"a", "b", "c.mask", "sub/a.content"}


def test_only_its_owner_can_read_a_study(tmp_path):
    assert small_study(tmp_path).stat().st_mode & 0o777 == 0o700


def test_a_study_of_version_1_is_read(tmp_path):
    settings = Settings(max_missed_checks=2, forbid_repeats=True, completion_url="https://example.org/done")
    study = small_study(tmp_path, settings)
    plan = read_plan(study)
    assert image_folder(study).name == "images"
    convert_to_version_1(study)
    assert read_plan(study) == plan
    assert image_folder(study).name == "pictures"
    assert (image_folder(study) / plan.pairs[0].real).exists()


def test_a_plan_of_version_1_is_still_checked(tmp_path):
    study = small_study(tmp_path)
    convert_to_version_1(study)
    path = study / "plan.json"
    plan = json.loads(path.read_text())
    path.write_text(json.dumps(plan | {"settings": plan["settings"] | {"misses": -1}}))
    with pytest.raises(UserError, match=r"settings\.max_missed_checks: Input should be greater than or equal to 0"):
        read_plan(study)
    path.write_text(json.dumps(plan | {"settings": None}))
    with pytest.raises(UserError, match=r"damaged or of an unknown version: settings"):
        read_plan(study)
