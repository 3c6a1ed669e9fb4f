"""From folders to decoded pictures to the batches of an epoch."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from aggan.data import cache
from aggan.data.annotations import with_action_units
from aggan.data.cache import Decoded, decoded
from aggan.data.datasets import Order, PairedPictures, UnpairedPictures
from aggan.data.folders import Data, Domain, find, pictures
from aggan.errors import UserError
from aggan.images.convert import Unreadable, read, to_pixels


def fill(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for shade, name in enumerate(names or ("0.png", "1.png")):
        Pillow.new("RGB", (8, 8), (shade, 2 * shade, 100)).save(folder / name)
    return folder


def layout(root: Path, *folders: str) -> Path:
    for folder in folders:
        fill(root / folder)
    return root


def named(domains: tuple[Domain, ...]) -> dict[str, set[Path]]:
    return {domain.name: {file.parent for file in domain.files} for domain in domains}


LAYOUTS = {
    ("A", "B"): ({"A": "A", "B": "B"}, {}),
    ("train/A", "train/B"): ({"A": "train/A", "B": "train/B"}, {}),
    ("train/A", "train/B", "test/A", "test/B"): ({"A": "train/A", "B": "train/B"}, {"A": "test/A", "B": "test/B"}),
    ("train/A", "train/B", "test/A"): ({"A": "train/A", "B": "train/B"}, {}),
    ("trainA", "trainB"): ({"A": "trainA", "B": "trainB"}, {}),
    ("trainA", "trainB", "testA", "testB"): ({"A": "trainA", "B": "trainB"}, {"A": "testA", "B": "testB"}),
}


@pytest.mark.parametrize(
    ("folders", "train", "test"), [(k, *v) for k, v in LAYOUTS.items()], ids=map(",".join, LAYOUTS)
)
def test_every_layout_below_a_root_is_found(tmp_path, folders, train, test):
    split = find(Data(root=layout(tmp_path, *folders, ".hidden")))
    assert named(split.train) == {name: {tmp_path / folder} for name, folder in train.items()}
    assert named(split.test) == {name: {tmp_path / folder} for name, folder in test.items()}


def test_two_folders_are_named_after_themselves_or_by_names(tmp_path, monkeypatch):
    layout(tmp_path, "sad", "glad")
    assert [d.name for d in find(Data(x=tmp_path / "sad", y=tmp_path / "glad")).train] == ["sad", "glad"]
    chosen = find(Data(x=tmp_path / "sad", y=tmp_path / "glad", names=("x", "y")))
    assert ([d.name for d in chosen.train], chosen.test) == (["x", "y"], ())
    monkeypatch.chdir(tmp_path / "sad")
    assert find(Data(x=Path(), y=Path("../glad"))).train[0].name == "sad"


def test_names_choose_and_order_the_folders_below_a_root(tmp_path):
    root = layout(tmp_path, "train/A", "train/B", "train/C", "test/A", "test/C")
    split = find(Data(root=root, names=("C", "A")))
    assert [d.name for d in split.train] == [d.name for d in split.test] == ["C", "A"]


def test_pictures_are_sorted_and_found_in_subfolders_and_by_any_suffix(tmp_path):
    fill(tmp_path / "sub", "c.JPG")
    fill(tmp_path / "sub" / ".thumbs" / "large", "c.png")
    fill(tmp_path, "b.png", "a.webp", ".hidden.png", "d.mpo", "e.apng", "f.j2k", "g.jpx", "h.qoi")
    (tmp_path / "notes.txt").touch()
    (tmp_path / "folder.png").mkdir()
    found = ["a.webp", "b.png", "d.mpo", "e.apng", "f.j2k", "g.jpx", "h.qoi", "sub/c.JPG"]
    assert [str(p.relative_to(tmp_path)) for p in pictures(tmp_path)] == found
    assert all(read(file).size == (8, 8) for file in pictures(tmp_path))


def test_a_subfolder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    look = os.scandir

    def forbidding(place: str) -> Iterator:
        if Path(place).name == "locked":
            raise PermissionError(13, "Permission denied", str(place))
        return look(place)

    fill(fill(tmp_path / "x") / "locked")
    monkeypatch.setattr(os, "scandir", forbidding)
    with pytest.raises(UserError, match=r"x/locked: Permission denied$"):
        pictures(tmp_path / "x")


LONG = 300 * "x"
"""A name that the system refuses, even to root."""

MISTAKES = {
    "nothing": ({}, r"name the pictures: --data.x DIR --data.y DIR, or --data.root DIR"),
    "x alone": ({"x": "two"}, r"name the pictures"),
    "root and x": ({"root": "one", "x": "two"}, r"either --data.root or --data.x and --data.y, not both"),
    "missing folder": ({"x": "two", "y": "gone"}, r"/gone: no such folder$"),
    "file for a folder": ({"x": "file", "y": "two"}, r"/file: not a folder$"),
    "empty folder": ({"x": "two", "y": "empty"}, r"/empty: no pictures here$"),
    "one picture": ({"x": "two", "y": "one"}, r"/one: training needs at least two pictures here, found 1$"),
    "same folder": ({"x": "two", "y": "two"}, r"both domains are the same folder: .*/two$"),
    "same folder by a link": ({"x": "two", "y": "link"}, r"both domains are the same folder: "),
    "same name": ({"x": "two", "y": "other/two"}, r"both domains are called 'two': name them with --data.names X Y"),
    "same names given": ({"x": "two", "y": "more", "names": ("a", "a")}, r"both domains are called 'a'"),
    "missing root": ({"root": "gone"}, r"/gone: no such folder$"),
    "file for a root": ({"root": "file"}, r"/file: not a folder$"),
    "empty root": ({"root": "empty"}, r"/empty: two folders or more are needed, one a domain; found none$"),
    "one domain": ({"root": "other"}, r"/other: two folders or more are needed, one a domain; found two$"),
    "a path for a name": ({"x": "two", "y": "more", "names": ("a", "b/c")}, r"--data.names 'b/c': pictures are named"),
    "three names": ({"x": "two", "y": "more", "names": ("a", "b", "c")}, r"two domains, but --data.names has 3 names$"),
    "no such domain": ({"root": "three", "names": ("A", "D")}, r"no folder for the domain 'D'; there are A, B, C$"),
    "folder that cannot be looked at": ({"x": LONG, "y": "two"}, "x: File name too long$"),
    "root that cannot be looked at": ({"root": LONG}, "x: File name too long$"),
    "one domain twice": ({"root": "three", "names": ("A", "A")}, r"both domains are the same folder: .*three/A$"),
}


@pytest.mark.parametrize(("given", "expected"), MISTAKES.values(), ids=MISTAKES.keys())
def test_every_mistake_is_one_sentence_that_names_the_place(tmp_path, given, expected):
    layout(tmp_path, "two", "more", "other/two", "three/A", "three/B", "three/C")
    fill(tmp_path / "one", "0.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("two")
    with pytest.raises(UserError, match=expected) as mistake:
        find(Data.model_validate({k: v if k == "names" else tmp_path / v for k, v in given.items()}))
    assert "\n" not in str(mistake.value)


@pytest.fixture
def domain(tmp_path) -> Domain:
    folder = fill(tmp_path / "x", "0.png", "1.png", "2.png")
    return Domain("x", folder, pictures(folder))


def spoil(domain: Domain, *places: int) -> None:
    for place in places:
        domain.files[place].write_bytes(b"nonsense")


def files_of_cache() -> dict[str, int]:
    return {file.name: file.stat().st_mtime_ns for file in cache.folder().iterdir()}


def refuse(failure: str) -> None:
    pytest.fail(f"nothing should be skipped, but: {failure}")


def test_pictures_are_decoded_in_order_at_the_training_size(domain):
    made = decoded(domain, 4, True, refuse).pixels
    assert (made.shape, made.dtype, made.flags.writeable) == ((3, 4, 4, 3), np.uint8, False)
    assert made[:, 0, 0].tolist() == [[0, 0, 100], [1, 2, 100], [2, 4, 100]]


def test_broken_files_are_named_and_skipped_each_time(domain):
    spoil(domain, 1)
    caches = []
    for _ in range(2):
        failures: list[str] = []
        assert decoded(domain, 8, False, failures.append).pixels[:, 0, 0, 0].tolist() == [0, 2]
        assert failures == [f"{domain.files[1]}: not a picture"]
        caches.append(files_of_cache())
    assert caches[0] == caches[1]


def test_what_can_be_read_again_is_no_longer_skipped(domain, monkeypatch):
    def forbidding(file: Path) -> Pillow.Image:
        if file == domain.files[1]:
            raise Unreadable(f"{file}: cannot be read (Permission denied)")
        return read(file)

    with monkeypatch.context() as forbidden:
        forbidden.setattr(cache, "read", forbidding)
        assert len(decoded(domain, 8, False, lambda _: None)) == 2
    assert decoded(domain, 8, True, refuse).pixels[:, 0, 0, 0].tolist() == [0, 1, 2]


@pytest.mark.parametrize("cached", [False, True])
def test_strict_stops_at_the_first_broken_file(domain, cached):
    spoil(domain, 1, 2)
    if cached:
        decoded(domain, 8, False, lambda _: None, least=1)
    with pytest.raises(UserError, match=r"x/1\.png: not a picture$"):
        decoded(domain, 8, True, refuse)


@pytest.mark.parametrize(("broken", "count"), [((0, 1), 1), ((0, 1, 2), 0)])
def test_fewer_than_two_readable_pictures_are_too_few(domain, broken, count):
    spoil(domain, *broken)
    with pytest.raises(UserError, match=rf"domain x: only {count} of 3 files could be read, and at least 2 must be"):
        decoded(domain, 8, False, lambda _: None)


def test_one_readable_picture_is_enough_if_asked(domain):
    spoil(domain, 0, 1)
    assert decoded(domain, 8, False, lambda _: None, least=1).pixels[:, 0, 0, 0].tolist() == [2]
    spoil(domain, 2)
    with pytest.raises(UserError, match="only 0 of 3 files could be read, and at least 1 must be"):
        decoded(domain, 8, False, lambda _: None, least=1)


def test_a_cache_is_found_again_without_decoding(domain):
    decoded(domain, 8, False, refuse)
    before = files_of_cache()
    assert {Path(name).suffix for name in before} == {".u8", ".json"}
    assert decoded(domain, 8, False, refuse).pixels.shape == (3, 8, 8, 3)
    assert files_of_cache() == before


@pytest.mark.parametrize(
    ("suffix", "content"),
    [("u8", b""), ("u8", bytes(100)), ("json", b""), ("json", b"[]"), ("json", b"\xff")],
    ids=["no pixels", "few pixels", "empty note", "another note", "no text"],
)
def test_a_damaged_cache_is_made_again(domain, suffix, content):
    decoded(domain, 8, False, refuse)
    (file,) = cache.folder().glob(f"*.{suffix}")
    file.write_bytes(content)
    assert decoded(domain, 8, False, refuse).pixels[:, 0, 0, 0].tolist() == [0, 1, 2]


def test_two_processes_of_one_number_on_two_machines_do_not_meet(domain, monkeypatch):
    others = []

    def meanwhile(file: Path) -> Pillow.Image:
        monkeypatch.setattr(cache, "read", read)
        others.append(decoded(domain, 8, False, refuse).pixels)
        return read(file)

    monkeypatch.setattr(cache, "read", meanwhile)
    assert np.array_equal(decoded(domain, 8, False, refuse).pixels, others[0])
    assert len(files_of_cache()) == 2


def test_names_that_are_no_utf8_are_as_good(tmp_path):
    folder = fill(tmp_path / "x", os.fsdecode(b"\xff.png"), "1.png")
    assert len(decoded(Domain("x", folder, pictures(folder)), 8, True, refuse)) == 2


def test_another_size_and_a_changed_picture_make_new_caches(domain):
    decoded(domain, 8, False, refuse)
    decoded(domain, 4, False, refuse)
    assert len(files_of_cache()) == 4
    Pillow.new("RGB", (8, 8), (77, 0, 0)).save(domain.files[0])
    os.utime(domain.files[0], ns=(1, 1))  # whatever the clock's resolution, the date differs
    assert decoded(domain, 8, False, refuse).pixels[0, 0, 0].tolist() == [77, 0, 0]
    assert len(files_of_cache()) == 6


def test_a_file_where_the_cache_folder_should_be_is_the_users_to_mend(domain, tmp_path, monkeypatch):
    (tmp_path / "in the way").touch()
    for place in ("in the way", "in the way/deeper", LONG):
        monkeypatch.setenv("AGGAN_CACHE", str(tmp_path / place))
        with pytest.raises(UserError, match=rf"cannot use the picture cache in .*{place}: .*; set AGGAN_CACHE"):
            decoded(domain, 8, False, refuse)


def test_no_temporary_file_is_left_when_writing_is_cut_short(domain, monkeypatch):
    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(UserError, match="No space left on device"):
        decoded(domain, 8, False, refuse)
    assert files_of_cache() == {}


def numbered(count: int, first: int = 0) -> np.ndarray:
    """Pictures whose left half holds their number, and whose right half 255."""
    made = np.full((count, 2, 2, 3), 255, np.uint8)
    made[:, :, 0] = np.arange(first, first + count)[:, None, None]
    return made


def unpaired(x: np.ndarray, y: np.ndarray, batch: int, seed: int, flip: bool, **process: int) -> UnpairedPictures:
    return UnpairedPictures([as_decoded("x", x), as_decoded("y", y)], Order(batch, seed, flip, **process))


def as_decoded(name: str, pixels: np.ndarray) -> Decoded:
    return Decoded(name, tuple(Path(f"{name}/{k}.png") for k in range(len(pixels))), pixels)


def shown(batches, side: int = 0) -> list[int]:
    return [int(number) for batch in batches for number in to_pixels(batch[side])[..., 0].min((1, 2))]


def epoch(pictures: UnpairedPictures, number: int = 0) -> list:
    return [pictures.at(number * pictures.steps_per_epoch + step) for step in range(pictures.steps_per_epoch)]


def test_an_epoch_shows_each_picture_of_the_larger_domain_once():
    dataset = unpaired(numbered(5), numbered(12, first=100), batch=2, seed=0, flip=True)
    assert dataset.steps_per_epoch == 6
    batches = epoch(dataset)
    assert sorted(shown(batches, 1)) == list(range(100, 112))
    counts = np.bincount(shown(batches, 0), minlength=5)
    assert counts.sum() == 12
    assert set(counts) == {2, 3}


def test_an_incomplete_batch_is_left_out_unless_it_is_all_there_is():
    assert unpaired(numbered(7), numbered(3), batch=3, seed=0, flip=False).steps_per_epoch == 2
    tiny = unpaired(numbered(2), numbered(3), batch=8, seed=0, flip=False)
    assert tiny.steps_per_epoch == 1
    assert tiny.at(0).x.shape == tiny.at(0).y.shape == (8, 3, 2, 2)


def test_two_processes_see_what_one_with_twice_the_batch_sees():
    x, y = numbered(11), numbered(5, first=100)
    alone = unpaired(x, y, batch=4, seed=3, flip=True)
    ranks = [unpaired(x, y, batch=2, seed=3, flip=True, rank=rank, world=2) for rank in (0, 1)]
    assert ranks[0].steps_per_epoch == alone.steps_per_epoch
    for step in (0, 1, 2, 7):
        for side in (0, 1):
            together = np.concatenate([rank.at(step)[side].numpy() for rank in ranks])
            assert np.array_equal(together, alone.at(step)[side].numpy())


def test_a_batch_is_a_function_of_seed_and_step():
    def dataset(seed: int) -> UnpairedPictures:
        return unpaired(numbered(40), numbered(40), batch=4, seed=seed, flip=True)

    later = dataset(1).at(25)
    for side in (0, 1):
        assert np.array_equal(later[side].numpy(), dataset(1).at(25)[side].numpy())
    assert shown(epoch(dataset(1))) != shown(epoch(dataset(2)))
    assert shown(epoch(dataset(1))) != shown(epoch(dataset(1), 1))
    assert shown(epoch(dataset(1))) != shown(epoch(dataset(1)), side=1)


@pytest.mark.parametrize("flip", [False, True])
def test_pictures_are_mirrored_only_if_asked_and_then_by_half(flip):
    batches = epoch(unpaired(numbered(200), numbered(200), batch=20, seed=0, flip=flip))
    mirrored = sum(int((to_pixels(batch.x)[:, 0, 0, 0] == 255).sum()) for batch in batches)
    assert 70 < mirrored < 130 if flip else mirrored == 0


def learned(root: Path, *names: str) -> list[Decoded]:
    return [decoded(domain, 8, True, refuse) for domain in find(Data(root=root, names=names)).train]


def test_pairs_have_their_name_and_their_subfolder_in_common(tmp_path):
    layout(tmp_path, "A/anna", "A/bob", "A/cleo", "B/anna", "B/bob", "B/dora")
    x, y = domains = learned(tmp_path, "A", "B")
    pairs = PairedPictures(domains, Order(1, 0, flip=False)).pairs
    found = [[str(d.files[place].relative_to(d.folder)) for d, place in zip((x, y), p, strict=True)] for p in pairs]
    assert found == [[f"{who}/{k}.png"] * 2 for who in ("anna", "bob") for k in (0, 1)]


def test_pairs_that_are_none_or_unclear_are_refused(tmp_path):
    layout(tmp_path, "A/anna", "B/bob", "C/anna")
    with pytest.raises(UserError, match=r"the same name and subfolder in .*/A and .*/B, where 0 are$"):
        PairedPictures(learned(tmp_path, "A", "B"), Order(1, 0, flip=False))
    fill(tmp_path / "C" / "anna", "0.bmp")
    with pytest.raises(UserError, match=r"C/anna/0\.png: 0\.bmp has that name too"):
        PairedPictures(learned(tmp_path, "A", "C"), Order(1, 0, flip=False))


@pytest.mark.parametrize("units", ["strong", 3, ["1"], [[1]], [float("nan")], {"AU01": 1}])
def test_action_units_that_are_no_numbers_are_named_by_file_and_line(tmp_path, units):
    layout(tmp_path, "A", "B")
    lines = [{"file": "A/0.png", "action_units": [1, 2.5]}, {"file": "A/1.png", "action_units": units}]
    (tmp_path / "pictures.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    with pytest.raises(UserError, match=r"pictures\.jsonl: line 2 has action_units that are no list of numbers$"):
        with_action_units(learned(tmp_path, "A", "B"))


def test_a_picture_without_action_units_among_others_says_what_to_do(tmp_path):
    layout(tmp_path, "A", "B")
    (tmp_path / "pictures.jsonl").write_text('{"file": "A/0.png", "action_units": [1.0, 2.5]}\n{"file": "A/1.png"}\n')
    with pytest.raises(
        UserError, match=r"A/1\.png: it needs 2 action units in pictures\.jsonl, .* or remove the picture"
    ):
        with_action_units(learned(tmp_path, "A", "B"))
