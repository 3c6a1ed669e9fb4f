"""Folders, the cache of decoded images, and the batches of an epoch."""

import json
import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from aggan.data import cache
from aggan.data.annotations import face_masks, with_action_units
from aggan.data.cache import DecodedDomain, decode_domain
from aggan.data.datasets import LabelledDataset, PairedDataset, Sampler, UnpairedDataset
from aggan.data.folders import DataConfig, Domain, find, list_images
from aggan.data.index import FORMER_INDEX, INDEX, index_file, read_records, write_records
from aggan.errors import UserError
from aggan.images.convert import Unreadable, read, to_pixels
from aggan.images.decode import Decoded, decode


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
    split = find(DataConfig(root=layout(tmp_path, *folders, ".hidden")))
    assert named(split.train) == {name: {tmp_path / folder} for name, folder in train.items()}
    assert named(split.test) == {name: {tmp_path / folder} for name, folder in test.items()}


def test_two_folders_are_named_after_themselves_or_by_names(tmp_path, monkeypatch):
    layout(tmp_path, "sad", "glad")
    assert [d.name for d in find(DataConfig(x=tmp_path / "sad", y=tmp_path / "glad")).train] == ["sad", "glad"]
    chosen = find(DataConfig(x=tmp_path / "sad", y=tmp_path / "glad", names=("x", "y")))
    assert ([d.name for d in chosen.train], chosen.test) == (["x", "y"], ())
    monkeypatch.chdir(tmp_path / "sad")
    assert find(DataConfig(x=Path(), y=Path("../glad"))).train[0].name == "sad"


def test_names_choose_and_order_the_folders_below_a_root(tmp_path):
    root = layout(tmp_path, "train/A", "train/B", "train/C", "test/A", "test/C")
    split = find(DataConfig(root=root, names=("C", "A")))
    assert [d.name for d in split.train] == [d.name for d in split.test] == ["C", "A"]


def test_images_are_found_in_subfolders_by_any_suffix_and_sorted(tmp_path):
    fill(tmp_path / "sub", "c.JPG")
    fill(tmp_path / "sub" / ".thumbs" / "large", "c.png")
    fill(tmp_path, "b.png", "a.webp", ".hidden.png", "d.mpo", "e.apng", "f.j2k", "g.jpx", "h.qoi")
    (tmp_path / "notes.txt").touch()
    (tmp_path / "folder.png").mkdir()
    expected = ["a.webp", "b.png", "d.mpo", "e.apng", "f.j2k", "g.jpx", "h.qoi", "sub/c.JPG"]
    assert [str(p.relative_to(tmp_path)) for p in list_images(tmp_path)] == expected
    assert all(read(file).size == (8, 8) for file in list_images(tmp_path))


def test_an_unreadable_subfolder_is_named(tmp_path, monkeypatch):
    scandir = os.scandir

    def forbidding(folder: str) -> Iterator:
        if Path(folder).name == "locked":
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    fill(fill(tmp_path / "x") / "locked")
    monkeypatch.setattr(os, "scandir", forbidding)
    with pytest.raises(UserError, match=r"x/locked: Permission denied$"):
        list_images(tmp_path / "x")


LONG = 300 * "x"
"""A name that the operating system refuses, even to root."""

MISTAKES = {
    "nothing": ({}, r"name the images: --data.x DIR --data.y DIR, or --data.root DIR"),
    "x alone": ({"x": "two"}, r"name the images"),
    "root and x": ({"root": "one", "x": "two"}, r"either --data.root or --data.x and --data.y, not both"),
    "missing folder": ({"x": "two", "y": "gone"}, r"/gone: no such folder$"),
    "file for a folder": ({"x": "file", "y": "two"}, r"/file: not a folder$"),
    "empty folder": ({"x": "two", "y": "empty"}, r"/empty: no images here$"),
    "one image": ({"x": "two", "y": "one"}, r"/one: training needs at least two images here, found 1$"),
    "same folder": ({"x": "two", "y": "two"}, r"both domains are the same folder: .*/two$"),
    "same folder by a link": ({"x": "two", "y": "link"}, r"both domains are the same folder: "),
    "same name": ({"x": "two", "y": "other/two"}, r"both domains are called 'two': name them with --data.names X Y"),
    "same names given": ({"x": "two", "y": "more", "names": ("a", "a")}, r"both domains are called 'a'"),
    "missing root": ({"root": "gone"}, r"/gone: no such folder$"),
    "file for a root": ({"root": "file"}, r"/file: not a folder$"),
    "empty root": ({"root": "empty"}, r"/empty: two folders or more are needed, one per domain; found none$"),
    "one domain": ({"root": "other"}, r"/other: two folders or more are needed, one per domain; found two$"),
    "a path for a name": (
        {"x": "two", "y": "more", "names": ("a", "b/c")},
        r"--data.names 'b/c': output files",
    ),
    "three names": ({"x": "two", "y": "more", "names": ("a", "b", "c")}, r"two domains, but --data.names has 3 names$"),
    "no such domain": ({"root": "three", "names": ("A", "D")}, r"no folder for the domain 'D'; there are A, B, C$"),
    "folder that cannot be looked at": ({"x": LONG, "y": "two"}, "x: File name too long$"),
    "root that cannot be looked at": ({"root": LONG}, "x: File name too long$"),
    "one domain twice": ({"root": "three", "names": ("A", "A")}, r"both domains are the same folder: .*three/A$"),
}


@pytest.mark.parametrize(("config", "expected"), MISTAKES.values(), ids=MISTAKES.keys())
def test_every_mistake_is_one_sentence_that_names_the_folder(tmp_path, config, expected):
    layout(tmp_path, "two", "more", "other/two", "three/A", "three/B", "three/C")
    fill(tmp_path / "one", "0.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("two")
    with pytest.raises(UserError, match=expected) as mistake:
        find(DataConfig.model_validate({k: v if k == "names" else tmp_path / v for k, v in config.items()}))
    assert "\n" not in str(mistake.value)


@pytest.fixture
def domain(tmp_path) -> Domain:
    folder = fill(tmp_path / "x", "0.png", "1.png", "2.png")
    return Domain("x", folder, list_images(folder))


def break_files(domain: Domain, *indices: int) -> None:
    for index in indices:
        domain.files[index].write_bytes(b"nonsense")


def files_of_cache() -> dict[str, int]:
    return {file.name: file.stat().st_mtime_ns for file in cache.folder().iterdir()}


def nothing_skipped(failure: str) -> None:
    pytest.fail(f"nothing should be skipped, but: {failure}")


def test_images_are_decoded_in_order_at_the_training_size(domain):
    pixels = decode_domain(domain, 4, True, nothing_skipped).pixels
    assert (pixels.shape, pixels.dtype, pixels.flags.writeable) == ((3, 4, 4, 3), np.uint8, False)
    assert pixels[:, 0, 0].tolist() == [[0, 0, 100], [1, 2, 100], [2, 4, 100]]


def test_broken_files_are_reported_and_skipped_each_time(domain):
    break_files(domain, 1)
    caches = []
    for _ in range(2):
        failures: list[str] = []
        assert decode_domain(domain, 8, False, failures.append).pixels[:, 0, 0, 0].tolist() == [0, 2]
        assert failures == [f"{domain.files[1]}: not an image"]
        caches.append(files_of_cache())
    assert caches[0] == caches[1]


def test_a_file_that_becomes_readable_is_no_longer_skipped(domain, monkeypatch):
    def forbidding(file: Path, *how: object) -> Decoded:
        if file == domain.files[1]:
            raise Unreadable(f"{file}: cannot be read (Permission denied)")
        return decode(file)

    with monkeypatch.context() as forbidden:
        forbidden.setattr(cache, "decode", forbidding)
        assert len(decode_domain(domain, 8, False, lambda _: None)) == 2
    assert decode_domain(domain, 8, True, nothing_skipped).pixels[:, 0, 0, 0].tolist() == [0, 1, 2]


@pytest.mark.parametrize("cached", [False, True])
def test_strict_stops_at_the_first_broken_file(domain, cached):
    break_files(domain, 1, 2)
    if cached:
        decode_domain(domain, 8, False, lambda _: None, min_images=1)
    with pytest.raises(UserError, match=r"x/1\.png: not an image$"):
        decode_domain(domain, 8, True, nothing_skipped)


@pytest.mark.parametrize(("broken", "count"), [((0, 1), 1), ((0, 1, 2), 0)])
def test_fewer_than_two_readable_images_are_refused(domain, broken, count):
    break_files(domain, *broken)
    with pytest.raises(UserError, match=rf"domain x: only {count} of 3 files could be read, and at least 2 must be"):
        decode_domain(domain, 8, False, lambda _: None)


def test_one_readable_image_is_enough_if_min_images_says_so(domain):
    break_files(domain, 0, 1)
    assert decode_domain(domain, 8, False, lambda _: None, min_images=1).pixels[:, 0, 0, 0].tolist() == [2]
    break_files(domain, 2)
    with pytest.raises(UserError, match="only 0 of 3 files could be read, and at least 1 must be"):
        decode_domain(domain, 8, False, lambda _: None, min_images=1)


def test_a_cache_is_reused_without_decoding(domain):
    decode_domain(domain, 8, False, nothing_skipped)
    before = files_of_cache()
    assert {Path(name).suffix for name in before} == {".u8", ".json"}
    assert decode_domain(domain, 8, False, nothing_skipped).pixels.shape == (3, 8, 8, 3)
    assert files_of_cache() == before


@pytest.mark.parametrize(
    ("suffix", "content"),
    [("u8", b""), ("u8", bytes(100)), ("json", b""), ("json", b"[]"), ("json", b"\xff")],
    ids=["no pixels", "few pixels", "empty JSON", "another JSON value", "not UTF-8"],
)
def test_a_damaged_cache_is_rebuilt(domain, suffix, content):
    decode_domain(domain, 8, False, nothing_skipped)
    (file,) = cache.folder().glob(f"*.{suffix}")
    file.write_bytes(content)
    assert decode_domain(domain, 8, False, nothing_skipped).pixels[:, 0, 0, 0].tolist() == [0, 1, 2]


def test_two_processes_may_write_the_same_cache_at_once(domain, monkeypatch):
    others = []

    def meanwhile(file: Path, *how: object) -> Decoded:
        monkeypatch.setattr(cache, "decode", decode)
        others.append(decode_domain(domain, 8, False, nothing_skipped).pixels)
        return decode(file)

    monkeypatch.setattr(cache, "decode", meanwhile)
    assert np.array_equal(decode_domain(domain, 8, False, nothing_skipped).pixels, others[0])
    assert len(files_of_cache()) == 2


def test_file_names_need_not_be_utf8(tmp_path):
    folder = fill(tmp_path / "x", os.fsdecode(b"\xff.png"), "1.png")
    assert len(decode_domain(Domain("x", folder, list_images(folder)), 8, True, nothing_skipped)) == 2


def test_another_size_and_a_changed_image_make_new_caches(domain):
    decode_domain(domain, 8, False, nothing_skipped)
    decode_domain(domain, 4, False, nothing_skipped)
    assert len(files_of_cache()) == 4
    Pillow.new("RGB", (8, 8), (77, 0, 0)).save(domain.files[0])
    os.utime(domain.files[0], ns=(1, 1))  # whatever the clock's resolution, the date differs
    assert decode_domain(domain, 8, False, nothing_skipped).pixels[0, 0, 0].tolist() == [77, 0, 0]
    assert len(files_of_cache()) == 6


def test_an_unusable_cache_folder_is_a_user_error(domain, tmp_path, monkeypatch):
    (tmp_path / "in the way").touch()
    for name in ("in the way", "in the way/deeper", LONG):
        monkeypatch.setenv("AGGAN_CACHE", str(tmp_path / name))
        with pytest.raises(UserError, match=rf"cannot use the image cache in .*{name}: .*; set AGGAN_CACHE"):
            decode_domain(domain, 8, False, nothing_skipped)


def test_no_temporary_file_is_left_when_writing_is_cut_short(domain, monkeypatch):
    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(UserError, match="No space left on device"):
        decode_domain(domain, 8, False, nothing_skipped)
    assert files_of_cache() == {}


def numbered(count: int, first: int = 0) -> np.ndarray:
    """Images whose left half holds their number, and whose right half 255."""
    pixels = np.full((count, 2, 2, 3), 255, np.uint8)
    pixels[:, :, 0] = np.arange(first, first + count)[:, None, None]
    return pixels


def unpaired(
    x: np.ndarray, y: np.ndarray, batch_size: int, seed: int, flip: bool, rank: int = 0, world_size: int = 1
) -> UnpairedDataset:
    return UnpairedDataset([as_decoded("x", x), as_decoded("y", y)], Sampler(batch_size, seed, flip, rank, world_size))


def as_decoded(name: str, pixels: np.ndarray) -> DecodedDomain:
    return DecodedDomain(name, tuple(Path(f"{name}/{k}.png") for k in range(len(pixels))), pixels)


def numbers_in(batches, side: int = 0) -> list[int]:
    return [int(number) for batch in batches for number in to_pixels(batch[side])[..., 0].min((1, 2))]


def epoch(dataset: UnpairedDataset, number: int = 0) -> list:
    steps = dataset.steps_per_epoch
    return [dataset.batch(number * steps + step) for step in range(steps)]


def test_an_epoch_draws_each_image_of_the_larger_domain_once():
    dataset = unpaired(numbered(5), numbered(12, first=100), batch_size=2, seed=0, flip=True)
    assert dataset.steps_per_epoch == 6
    batches = epoch(dataset)
    assert sorted(numbers_in(batches, 1)) == list(range(100, 112))
    counts = np.bincount(numbers_in(batches, 0), minlength=5)
    assert counts.sum() == 12
    assert set(counts) == {2, 3}


def test_an_incomplete_batch_is_dropped_unless_it_is_the_only_one():
    assert unpaired(numbered(7), numbered(3), batch_size=3, seed=0, flip=False).steps_per_epoch == 2
    tiny = unpaired(numbered(2), numbered(3), batch_size=8, seed=0, flip=False)
    assert tiny.steps_per_epoch == 1
    assert tiny.batch(0).x.shape == tiny.batch(0).y.shape == (8, 3, 2, 2)


def test_two_processes_draw_what_one_with_twice_the_batch_size_draws():
    x, y = numbered(11), numbered(5, first=100)
    alone = unpaired(x, y, batch_size=4, seed=3, flip=True)
    ranks = [unpaired(x, y, batch_size=2, seed=3, flip=True, rank=rank, world_size=2) for rank in (0, 1)]
    assert ranks[0].steps_per_epoch == alone.steps_per_epoch
    for step in (0, 1, 2, 7):
        for side in (0, 1):
            together = np.concatenate([rank.batch(step)[side].numpy() for rank in ranks])
            assert np.array_equal(together, alone.batch(step)[side].numpy())


def test_a_batch_is_a_function_of_seed_and_step():
    def dataset(seed: int) -> UnpairedDataset:
        return unpaired(numbered(40), numbered(40), batch_size=4, seed=seed, flip=True)

    later = dataset(1).batch(25)
    for side in (0, 1):
        assert np.array_equal(later[side].numpy(), dataset(1).batch(25)[side].numpy())
    assert numbers_in(epoch(dataset(1))) != numbers_in(epoch(dataset(2)))
    assert numbers_in(epoch(dataset(1))) != numbers_in(epoch(dataset(1), 1))
    assert numbers_in(epoch(dataset(1))) != numbers_in(epoch(dataset(1)), side=1)


@pytest.mark.parametrize("flip", [False, True])
def test_half_of_the_images_are_mirrored_if_flip_is_set(flip):
    batches = epoch(unpaired(numbered(200), numbered(200), batch_size=20, seed=0, flip=flip))
    mirrored = sum(int((to_pixels(batch.x)[:, 0, 0, 0] == 255).sum()) for batch in batches)
    assert 70 < mirrored < 130 if flip else mirrored == 0


def training_domains(root: Path, *names: str) -> list[DecodedDomain]:
    return [
        decode_domain(domain, 8, True, nothing_skipped) for domain in find(DataConfig(root=root, names=names)).train
    ]


def test_pairs_share_their_name_and_their_subfolder(tmp_path):
    layout(tmp_path, "A/anna", "A/bob", "A/cleo", "B/anna", "B/bob", "B/dora")
    x, y = domains = training_domains(tmp_path, "A", "B")
    pairs = PairedDataset(domains, Sampler(1, 0, flip=False)).pairs
    names = [[str(d.files[index].relative_to(d.folder)) for d, index in zip((x, y), p, strict=True)] for p in pairs]
    assert names == [[f"{who}/{k}.png"] * 2 for who in ("anna", "bob") for k in (0, 1)]


def test_missing_and_ambiguous_pairs_are_refused(tmp_path):
    layout(tmp_path, "A/anna", "B/bob", "C/anna")
    with pytest.raises(UserError, match=r"the same name and subfolder in .*/A and .*/B; found 0$"):
        PairedDataset(training_domains(tmp_path, "A", "B"), Sampler(1, 0, flip=False))
    fill(tmp_path / "C" / "anna", "0.bmp")
    with pytest.raises(UserError, match=r"C/anna/0\.png: 0\.bmp has that name too"):
        PairedDataset(training_domains(tmp_path, "A", "C"), Sampler(1, 0, flip=False))


def composed_and_decomposed(name: str) -> tuple[str, str]:
    return unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)


def test_pairs_share_their_name_in_any_unicode_form(tmp_path):
    composed, decomposed = composed_and_decomposed("José")
    fill(tmp_path / "A", f"{composed}.png", "anna.png")
    fill(tmp_path / "B", f"{decomposed}.png", "anna.png")
    assert len(PairedDataset(training_domains(tmp_path, "A", "B"), Sampler(1, 0, flip=False)).pairs) == 2
    fill(tmp_path / "B", f"{composed}.png")
    with pytest.raises(UserError, match="has that name too, so its pair is unclear"):
        PairedDataset(training_domains(tmp_path, "A", "B"), Sampler(1, 0, flip=False))


def test_action_units_and_masks_are_found_in_any_unicode_form(tmp_path):
    composed, decomposed = composed_and_decomposed("José")
    for domain in "AB":
        fill(tmp_path / domain, f"{decomposed}.png", "anna.png")
        fill(tmp_path / "masks" / "face" / domain, f"{composed}.png", "anna.png")
    records = [
        {"file": f"{domain}/{name}.png", "action_units": [1.0]} for domain in "AB" for name in ("anna", composed)
    ]
    write_records(tmp_path / INDEX, records)
    domains = training_domains(tmp_path, "A", "B")
    assert all(domain.codes is not None and len(domain.codes) == 2 for domain in with_action_units(domains))
    assert face_masks(domains[0], 8)[:, 0, 0].tolist() in ([0, 1], [1, 0])


def labelled(
    sizes: tuple[int, ...], batch_size: int, balance: bool, rank: int = 0, world_size: int = 1
) -> LabelledDataset:
    """Domains of these sizes, whose images hold their numbers."""
    firsts = [sum(sizes[:k]) for k in range(len(sizes))]
    domains = [
        as_decoded(str(k), numbered(size, first)) for k, (size, first) in enumerate(zip(sizes, firsts, strict=True))
    ]
    return LabelledDataset(domains, Sampler(batch_size, 0, True, rank, world_size, balance))


def drawn(dataset: LabelledDataset, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The numbers of the images of the first steps, and their own and target domains."""
    batches = [dataset.batch(step) for step in range(steps)]
    numbers = np.concatenate([to_pixels(batch.image)[..., 0].min((1, 2)) for batch in batches])
    codes = [
        np.concatenate([code.argmax(1).numpy() for code in part])
        for part in zip(*(b[1:] for b in batches), strict=True)
    ]
    return numbers, codes[0], codes[1]


SIZES = (90, 8, 2)


def test_without_balance_domains_are_drawn_as_their_share():
    _, sources, targets = drawn(labelled(SIZES, 4, False), 25)
    assert np.bincount(sources).tolist() == np.bincount(targets).tolist() == [90, 8, 2]


def test_with_balance_every_domain_is_drawn_equally_often_as_source_and_as_target():
    dataset = labelled(SIZES, 3, True)
    assert dataset.steps_per_epoch == labelled(SIZES, 3, False).steps_per_epoch == 33
    numbers, sources, targets = drawn(dataset, 33)
    assert np.bincount(sources).tolist() == np.bincount(targets).tolist() == [33, 33, 33]
    assert (np.searchsorted(np.cumsum(SIZES), numbers, "right") == sources).all()
    counts = np.bincount(numbers, minlength=100)
    assert counts[:90].max() == 1
    assert set(counts[90:98]) == {4, 5}
    assert set(counts[98:]) == {16, 17}
    assert not np.array_equal(sources, targets)


def test_balanced_draws_are_a_function_of_the_step_and_shared_by_processes():
    alone, later = labelled(SIZES, 4, True), labelled(SIZES, 4, True)
    ranks = [labelled(SIZES, 2, True, rank=rank, world_size=2) for rank in (0, 1)]
    for step in (40, 3, 70):
        batch = later.batch(step)
        assert all(torch.equal(a, b) for a, b in zip(batch, alone.batch(step), strict=True))
        for part in range(3):
            together = np.concatenate([rank.batch(step)[part].numpy() for rank in ranks])
            assert np.array_equal(together, batch[part].numpy())
    assert not torch.equal(alone.batch(0).image, alone.batch(alone.steps_per_epoch).image)


def test_a_batch_with_fewer_images_than_domains_is_balanced_over_steps():
    numbers, sources, _ = drawn(labelled((1, 1, 1, 1), 1, True), 4)
    assert sorted(numbers) == sorted(sources) == [0, 1, 2, 3]


@pytest.mark.parametrize("units", ["strong", 3, ["1"], [[1]], [float("nan")], {"AU01": 1}])
def test_action_units_that_are_not_numbers_are_reported_by_file_and_line(tmp_path, units):
    layout(tmp_path, "A", "B")
    lines = [{"file": "A/0.png", "action_units": [1, 2.5]}, {"file": "A/1.png", "action_units": units}]
    (tmp_path / "images.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    with pytest.raises(UserError, match=r"images\.jsonl: line 2: action_units must be a list of numbers$"):
        with_action_units(training_domains(tmp_path, "A", "B"))


def test_an_image_without_action_units_among_others_is_reported(tmp_path):
    layout(tmp_path, "A", "B")
    (tmp_path / "images.jsonl").write_text('{"file": "A/0.png", "action_units": [1.0, 2.5]}\n{"file": "A/1.png"}\n')
    with pytest.raises(UserError, match=r"A/1\.png: it needs 2 action units in images\.jsonl, .* or remove the image"):
        with_action_units(training_domains(tmp_path, "A", "B"))


def test_the_index_of_an_older_set_is_read_under_its_former_name(tmp_path):
    layout(tmp_path, "A", "B")
    records = [{"file": f"{domain}/{k}.png", "action_units": [5.0 * k]} for domain in "AB" for k in (0, 1)]
    write_records(tmp_path / FORMER_INDEX, records)
    assert FORMER_INDEX == "pictures.jsonl"
    assert read_records(index_file(tmp_path)) == records
    codes = [domain.codes for domain in with_action_units(training_domains(tmp_path, "A", "B"))]
    assert [code.tolist() for code in codes if code is not None] == [[[0.0], [1.0]]] * 2


def test_a_new_index_takes_precedence_over_a_former_one(tmp_path):
    assert index_file(tmp_path) == tmp_path / INDEX
    for name in (INDEX, FORMER_INDEX):
        (tmp_path / name).touch()
    assert index_file(tmp_path) == tmp_path / INDEX
