"""Who sees what: drawn, balanced, paired, and told to nobody."""

from collections import Counter
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo
from pydantic import ValidationError
from studies import draw_pictures, small_study

from aggan.errors import UserError
from aggan.study import images
from aggan.study.create import Sources, create
from aggan.study.design import Kind, Side, picture_names, trials
from aggan.study.draw import Wanted, draw
from aggan.study.images import scrambled
from aggan.study.plan import PICTURES, Pair, Plan, Settings, read_plan


def plan_of(systems: int, trials_: int, people: int, checks: int = 4) -> Plan:
    names = tuple("abcdef"[:systems])

    def pairs(kind: str, count: int, fakes: tuple[str, ...] = names) -> tuple[Pair, ...]:
        return tuple(
            Pair(name=f"{kind}{k}", real=f"{kind}{k}.real", fakes={s: f"{kind}{k}.{s}" for s in fakes})
            for k in range(count)
        )

    return Plan(
        study="s", secret="x", seed=3, settings=Settings(), systems=names, trials=trials_,
        pairs=pairs("p", people), practice=pairs("t", 5), checks=pairs("c", checks, ("",)),
    )  # fmt: skip


def main(plan: Plan, number: int):
    return [trial for trial in trials(plan, number) if trial.kind is Kind.MAIN]


@pytest.mark.parametrize("systems", [1, 2, 3, 5])
def test_every_participant_sees_every_system_equally_often_and_nobody_twice(systems):
    plan = plan_of(systems, 6 * systems, 6 * systems + 5)
    for number in range(2 * systems + 1):
        shown = main(plan, number)
        assert set(Counter(trial.system for trial in shown).values()) == {6}
        assert len({trial.pair.name for trial in trials(plan, number)}) == 6 * systems + 5 + 4


def test_participants_in_a_row_see_each_person_by_every_system_once():
    plan = plan_of(3, 12, 20)
    seen = Counter((trial.pair.name, trial.system) for number in range(3) for trial in main(plan, number))
    assert set(seen.values()) == {1}
    assert len(seen) == 3 * 12


def test_people_take_turns_so_that_all_are_seen_equally_often():
    plan = plan_of(2, 8, 12)
    seen = Counter(trial.pair.name for number in range(2 * 3) for trial in main(plan, number))
    assert set(seen.values()) == {4}
    assert len(seen) == 12


def test_no_system_comes_early_or_late():
    plan = plan_of(3, 12, 12)
    for number in range(6):
        shown = [trial.system for trial in main(plan, number)]
        assert all(set(shown[start : start + 3]) == set("abc") for start in range(0, 12, 3))


def test_the_real_one_is_on_the_left_half_of_the_time():
    plan = plan_of(2, 20, 20)
    for number in range(5):
        assert Counter(trial.real for trial in main(plan, number)) == {Side.LEFT: 10, Side.RIGHT: 10}
    orders = {tuple(trial.real for trial in main(plan, number)) for number in range(5)}
    assert len(orders) == 5


def test_practice_comes_first_and_checks_are_strewn_among_the_rest():
    for number in range(20):
        kinds = [trial.kind for trial in trials(plan_of(2, 20, 20), number)]
        assert set(kinds[:5]) == {Kind.PRACTICE}
        places = [place for place, kind in enumerate(kinds) if kind is Kind.CHECK]
        assert len(places) == 4
        assert places[0] > 5
        assert all(1 <= b - a <= 11 for a, b in pairwise(places))


def test_the_same_seed_and_number_give_the_same_trials_and_others_do_not():
    plan = plan_of(2, 20, 20)
    assert trials(plan, 4) == trials(plan, 4)
    assert trials(plan, 4) != trials(plan, 5)
    assert trials(plan, 4) != trials(plan.model_copy(update={"seed": 4}), 4)


def test_names_on_the_page_tell_neither_file_nor_side_and_are_never_used_twice():
    plan = plan_of(2, 20, 20)
    first, second = picture_names(plan, 0), picture_names(plan, 1)
    assert not first.keys() & second.keys()
    assert len(first) == 2 * len(trials(plan, 0))
    assert not picture_names(plan.model_copy(update={"secret": "y"}), 0).keys() & first.keys()
    shown = trials(plan, 0)
    assert list(first.values())[2 * 7] == shown[7].picture(Side.LEFT)
    assert list(first.values())[2 * 7 + 1] == shown[7].picture(Side.RIGHT)


def files(*names: str) -> dict:
    from pathlib import Path

    return {name: Path(name) for name in names}


def test_pictures_of_one_name_are_pairs_and_the_others_get_somebody_elses():
    drawn = draw(files("a", "b", "x", "y"), {"s": files("a", "b", "c", "d", "e")}, Wanted(1, 0, 0), Random(0))
    assert drawn.matched == 2
    assert drawn.real["a"].name == "a"
    assert {drawn.real[name].name for name in drawn.real if name not in "ab"} == {"x", "y"}
    assert len(drawn.real) == 4  # nobody's real picture is shown with two fakes


def test_only_inputs_that_every_system_translated_are_shown():
    drawn = draw(files(*"abcd"), {"s": files(*"abc"), "t": files(*"bcd")}, Wanted(2, 0, 0), Random(0))
    assert set(drawn.pairs) == {"b", "c"}


def test_without_numbers_the_fields_protocol_is_followed_as_far_as_pictures_go():
    real = files(*(str(k) for k in range(100)))
    drawn = draw(real, {"s": real, "t": real, "u": real}, Wanted(), Random(0))
    assert (drawn.trials, len(drawn.practice), len(drawn.checks), len(drawn.pairs)) == (39, 10, 4, 86)
    few = dict(list(real.items())[:20])
    drawn = draw(few, {"s": few}, Wanted(), Random(0))
    assert (drawn.trials, len(drawn.practice), len(drawn.checks)) == (12, 4, 4)


@pytest.mark.parametrize("systems", [1, 2, 3])
@pytest.mark.parametrize("people", range(3, 20))
def test_however_few_the_pictures_a_study_of_them_can_be_taken(systems, people):
    some = files(*(str(k) for k in range(people)))
    drawn = draw(some, dict.fromkeys("abc"[:systems], some), Wanted(), Random(0))
    shown = trials(plan_of(systems, drawn.trials, len(drawn.pairs), len(drawn.checks)), 0)
    assert Counter(trial.kind for trial in shown)[Kind.CHECK] == len(drawn.checks) <= 4


def test_a_plan_with_more_checks_than_trials_is_none():
    with pytest.raises(ValidationError, match="more checks than pairs that count"):
        plan_of(2, 2, 8, checks=3)


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (Wanted(trials=2, checks=3), "--checks 3: more than the 2 pairs that count; add pictures, or lower it"),
        (Wanted(trials=5), "--trials 5 cannot be shared evenly by 2 systems"),
        (Wanted(trials=12), "10 pairs are left after 2 for practice and 4 for checks, fewer than 12"),
        (Wanted(checks=20), "0 pairs are left"),
    ],
)
def test_too_few_pictures_are_told_with_what_to_do(wanted, told):
    some = files(*(str(k) for k in range(16)))
    with pytest.raises(UserError, match=told):
        draw(
            some,
            {"s": some, "t": some},
            wanted if wanted.practice else Wanted(wanted.trials, 2, wanted.checks),
            Random(0),
        )


def test_systems_that_translated_other_inputs_cannot_be_compared():
    with pytest.raises(UserError, match="no file name is in all of them"):
        draw(files("a"), {"s": files("a"), "t": files("b")}, Wanted(), Random(0))


def test_pictures_of_a_study_are_alike_in_all_but_their_pixels(tmp_path):
    real = draw_pictures(tmp_path / "real", range(8), 0)
    for path in real.iterdir():
        info = PngInfo()
        info.add_text("Software", "a camera")
        Pillow.open(path).save(path, pnginfo=info, compress_level=1)
    fake = draw_pictures(tmp_path / "fake", range(8), 0)
    for path in fake.iterdir():
        Pillow.open(path).resize((32, 48)).convert("RGBA").save(path)
    made = create(Sources(real, {"s": fake}), Wanted(2, 1, 1), Settings(), 0, tmp_path / "study")
    assert made.resized
    paths = list((tmp_path / "study" / PICTURES).iterdir())
    assert len({path.stat().st_size for path in paths}) == 1
    for path in paths:
        content = path.read_bytes()
        assert content.count(b"IDAT") == 1
        assert not any(kind in content for kind in (b"tEXt", b"iTXt", b"eXIf", b"tIME", b"pHYs", b"iCCP"))
        with Pillow.open(path) as picture:
            assert (picture.size, picture.mode, picture.info) == ((16, 16), "RGB", {})


def test_a_picture_of_the_studys_size_keeps_every_pixel(tmp_path):
    study = small_study(tmp_path)
    pair = read_plan(study).pairs[0]
    for folder, file in {"real": pair.real, **pair.fakes}.items():
        shown, given = (Pillow.open(p) for p in (study / PICTURES / file, tmp_path / folder / f"{pair.name}.png"))
        assert np.array_equal(np.asarray(shown), np.asarray(given))


def test_a_check_shows_a_picture_with_no_tile_in_its_place():
    pixels = np.random.default_rng(0).integers(0, 256, (18, 18, 3), dtype=np.uint8)
    made = scrambled(pixels)
    assert sorted(made.ravel()) == sorted(pixels.ravel())
    tiles = [(slice(r, r + 4), slice(c, c + 4)) for r in range(0, 16, 4) for c in range(0, 16, 4)]
    assert not any(np.array_equal(made[tile], pixels[tile]) for tile in tiles)


def test_a_broken_picture_leaves_nothing_behind(tmp_path):
    real, fake = (draw_pictures(tmp_path / name, range(8), 0) for name in ("real", "fake"))
    next(fake.iterdir()).write_bytes(b"no picture")
    with pytest.raises(UserError, match="not a picture: remove or replace it"):
        create(Sources(real, {"s": fake}), Wanted(2, 1, 1), Settings(), 0, tmp_path / "study")
    assert {path.name for path in tmp_path.iterdir()} == {"real", "fake"}


def test_two_files_of_one_name_cannot_both_be_somebodys_picture(tmp_path):
    real = draw_pictures(tmp_path / "real", range(8), 0)
    Pillow.open(real / "00.png").save(real / "00.jpg")
    with pytest.raises(UserError, match="are called '00': remove one"):
        create(Sources(real, {"s": real}), Wanted(), Settings(), 0, tmp_path / "study")


def test_masks_and_contents_beside_a_picture_are_no_pictures_of_their_own(tmp_path):
    picture = Pillow.new("RGB", (16, 16))
    for name in ("a.png", "a.mask.png", "a.content.png", "b.jpg", "b.jpg.mask.png", "c.mask.png", "sub/a.content.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        picture.save(tmp_path / name)
    assert set(images.files(tmp_path)) == {"a", "b", "c.mask", "sub/a.content"}


def test_a_study_is_readable_for_its_owner_alone(tmp_path):
    assert small_study(tmp_path).stat().st_mode & 0o777 == 0o700
