"""Exported files say what torch says, at any size, or are not written."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from translating import below, picture, refused, saved
from worlds import SMALL

from aggan.cli.main import run
from aggan.errors import UserError
from aggan.images.convert import read
from aggan.inference import export as exporting
from aggan.inference import runtimes
from aggan.inference.compositing import Backend, paint
from aggan.inference.export import export
from aggan.inference.exported import OnnxRuntime, OpenVino, load_backend
from aggan.inference.parity import compare
from aggan.inference.runtimes import FEW, Asked, runtime_for
from aggan.inference.translator import Torch, load
from aggan.inference.views import whole
from aggan.methods import aggan
from aggan.nn.layer_spec import AffineInstanceNorm
from aggan.types import Translation

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
FORMATS = ("onnx", "openvino")


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Path:
    """One model for all tests: tracing it takes seconds."""
    torch.manual_seed(0)
    return saved(tmp_path_factory.mktemp("shared") / "model", aggan.Config.model_validate(SMALL))


@pytest.fixture(scope="module", autouse=True)
def _traced_once():
    traced, trace = {}, exporting._onnx

    def cached(backend: Torch, size: int):
        if (backend.to, size) not in traced:
            traced[backend.to, size] = trace(backend, size).SerializeToString()
        return onnx.load_from_string(traced[backend.to, size])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporting, "_onnx", cached)
        yield


@pytest.fixture
def backend(shared) -> Torch:
    return load(shared).backend("happy")


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(*shape) * 2 - 1


def require(format: str) -> str:
    """The suffix of a format that is installed."""
    if format == "openvino":
        pytest.importorskip("openvino")
    return {"onnx": ".onnx", "openvino": ".xml"}[format]


@pytest.mark.parametrize("format", FORMATS)
def test_an_exported_model_takes_any_number_and_size_of_pictures(tmp_path, backend, format):
    file = tmp_path / f"happy{require(format)}"
    parity = export(backend, file, [noise(2, 3, 32, 32)])
    exported = load_backend(file, threads=1)
    assert isinstance(exported, Backend)
    assert (exported.size, exported.square) == (32, False)
    for shape in ((1, 3, 32, 32), (3, 3, 8, 44), (2, 3, 60, 16)):
        images = noise(*shape)
        made, expected = exported(images), backend(images)
        for ours, theirs in zip(made, expected, strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)
    assert json.loads((tmp_path / f"{file.name}.json").read_text()) == json.loads(parity.model_dump_json())
    assert not [name for name in below(tmp_path) if ".happy" in name]


@pytest.mark.parametrize("format", FORMATS)
def test_a_picture_of_any_size_is_translated_by_an_exported_model(tmp_path, backend, format):
    file = tmp_path / f"happy{require(format)}"
    export(backend, file, [noise(2, 3, 32, 32)])
    photograph = noise(1, 3, 50, 70)
    pixels = photograph[0].movedim(0, -1).add(1).mul(127.5).byte().numpy()
    expected = paint(pixels, whole(photograph, backend)).astype(int)
    assert abs(paint(pixels, whole(photograph, load_backend(file, threads=1))) - expected).max() <= 1


def test_squares_of_one_size_if_asked(tmp_path, backend):
    export(backend, tmp_path / "happy.onnx", [noise(1, 3, 64, 64)], size=64)
    exported = load_backend(tmp_path / "happy.onnx", threads=1)
    assert (exported.size, exported.square) == (64, True)
    assert exported(noise(5, 3, 64, 64)).mask.shape == (5, 1, 64, 64)
    with pytest.raises(Exception, match="invalid dimensions"):
        exported(noise(1, 3, 32, 32))


def test_a_model_for_squares_only_stays_one(tmp_path, backend, monkeypatch):
    monkeypatch.setattr(backend.system, "square", True, raising=False)
    with pytest.raises(UserError, match="takes squares of 32 px only: leave out --size"):
        export(backend, tmp_path / "happy.onnx", [noise(1, 3, 64, 64)], size=64)
    asked = []
    trace = exporting._onnx
    monkeypatch.setattr(exporting, "_onnx", lambda traced, size: asked.append(size) or trace(traced, 0))
    export(backend, tmp_path / "happy.onnx", [noise(1, 3, 32, 32)])
    exported = load_backend(tmp_path / "happy.onnx", threads=1)
    assert (exported.size, exported.square, asked) == (32, True, [32])


def test_the_norms_are_exported_with_their_own_arithmetic():
    norm, x = AffineInstanceNorm(3), noise(2, 3, 8, 8)
    torch.nn.init.normal_(norm.weight)
    exported = torch.export.export(norm, (x,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)).module()
    for batch in (x, noise(1, 3, 8, 8), noise(5, 3, 8, 8)):
        if len(batch) > 1:
            torch.testing.assert_close(exported(batch), norm(batch), atol=1e-5, rtol=0)


def test_what_differs_from_torch_is_not_written_and_what_was_there_stays(tmp_path, backend, monkeypatch):
    file = tmp_path / "happy.onnx"
    file.write_text("an older file")
    monkeypatch.setattr(backend.system.G_xy.head, "bias", torch.nn.Parameter(torch.ones(4)))
    with pytest.raises(UserError, match=r"happy\.onnx is not written: its \w+ differs from torch's by"):
        export(backend, file, [noise(2, 3, 32, 32)])
    assert file.read_text() == "an older file"
    assert {name for name in below(tmp_path) if "happy" in name} == {"happy.onnx"}


def test_differences_are_measured_in_levels_of_255(backend):
    images = noise(2, 3, 32, 32)

    class Off:
        size, square = 32, False

        def __call__(self, images: torch.Tensor) -> Translation:
            made = backend(images)
            return made._replace(image=made.image + 0.02, mask=made.mask + 0.01)

    found = compare(backend, Off(), [images, images]).outputs
    assert found["image"].largest == pytest.approx(2.55, abs=1e-3)
    assert found["image"].mean == pytest.approx(2.55, abs=1e-3)
    assert found["image"].psnr == pytest.approx(40, abs=0.01)
    assert found["attention"].largest == pytest.approx(2.55, abs=1e-3)
    assert (found["content"].largest, found["content"].psnr) == (0, None)


def test_the_command_writes_a_file_and_a_report_for_each_domain(tmp_path, shared, capsys):
    assert run(["export", str(shared), "--to", "onnx", "--out", str(tmp_path / "out")]) == 0
    assert below(tmp_path / "out") == {f"{name}.onnx{part}" for name in ("neutral", "happy") for part in ("", ".json")}
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith(f"{tmp_path}/out/neutral.onnx: at most ")
    assert told[0].endswith("on 9 pictures")
    assert (tmp_path / "out" / "happy.onnx").stat().st_mode & 0o044


def test_parity_is_measured_on_pictures_of_ones_own_if_asked(tmp_path, shared):
    for name in "abc":
        picture(tmp_path / "in" / f"{name}.png")
    more = ["--domain", "happy", "--pictures", str(tmp_path / "in")]
    assert run(["export", str(shared), "--to", "onnx", "--out", str(tmp_path), *more]) == 0
    assert json.loads((tmp_path / "happy.onnx.json").read_text())["pictures"] == 4


def test_mistakes_are_one_line(tmp_path, shared, capsys):
    start = ["export", str(shared), "--to", "onnx", "--out", str(tmp_path / "out")]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"nonsense")
    for more, expected in [
        (["--size", "30"], "--size is any, or a multiple of 4 from 8 on, not 30"),
        (["--size", "4"], "--size is any, or a multiple of 4 from 8 on, not 4"),
        (["--size", "large"], "--size is any, or a multiple of 4 from 8 on, not large"),
        (["--pictures", str(tmp_path / "in")], f"{tmp_path}/in/a.png: not a picture; take it out of --pictures"),
        (["--domain", "sad"], "no domain 'sad' in this model"),
        (["--pictures", str(tmp_path / "gone")], "no such folder"),
    ]:
        assert expected in refused(capsys, run([*start, *more]))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "content"), [("a.onnx", b"nonsense"), ("a.onnx", b""), ("a.txt", b"")])
def test_what_is_no_exported_model_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=name):
        load_backend(tmp_path / name)
    with pytest.raises(UserError, match=r"gone\.onnx: no such file"):
        load_backend(Path("gone.onnx"))


def test_an_onnx_file_of_somebody_else_is_refused(tmp_path, backend):
    export(backend, tmp_path / "happy.onnx", [noise(1, 3, 32, 32)])
    model = onnx.load(tmp_path / "happy.onnx")
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(UserError, match="not a file that aggan export wrote"):
        load_backend(tmp_path / "other.onnx")


# --- as what computes a folder ----------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("AGGAN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "in").mkdir()
    for index in range(3):
        picture(tmp_path / "in" / f"{index}.png", 40, 50 + index)
    return tmp_path / "in"


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_folder_is_translated_alike_by_what_was_exported_and_kept(shared, folder, tmp_path, monkeypatch, runtime):
    pytest.importorskip(runtime)
    command = ["translate", str(shared), str(folder), "--to", "happy", "--jobs", "2"]
    assert run([*command, "--out", str(tmp_path / "torch"), "--backend", "torch"]) == 0
    for out in ("first", "again"):
        assert run([*command, "--out", str(tmp_path / out), "--backend", runtime]) == 0
        for file in (tmp_path / "torch").iterdir():
            apart = read(file), read(tmp_path / out / file.name)
            assert np.abs(np.subtract(*(np.asarray(some, int) for some in apart))).mean() < 0.1
        monkeypatch.setattr(exporting, "export", None)  # once is enough


def test_a_folder_is_translated_in_bf16_where_it_is_asked_for(shared, folder, tmp_path):
    command = ["translate", str(shared), str(folder), "--to", "happy", "--png"]
    for way in ("torch", "torch-bf16"):
        assert run([*command, "--out", str(tmp_path / way), "--backend", way]) == 0
    for file in (tmp_path / "torch").iterdir():
        apart = np.subtract(np.asarray(read(file), int), np.asarray(read(tmp_path / "torch-bf16" / file.name), int))
        assert 0 < np.abs(apart).max() < 16
        assert np.abs(apart).mean() < 1


@pytest.mark.parametrize(("bf16", "apart", "taken"), [(True, 0.1, True), (True, 0.6, False), (False, 0.1, False)])
def test_bf16_is_taken_where_the_processor_is_faster_in_it_and_pictures_stay(shared, monkeypatch, bf16, apart, taken):
    backend = load(shared).backend("happy")
    told = compare(backend, backend, [torch.zeros(1, 3, 64, 64)])
    image = told.outputs["image"].model_copy(update={"mean": apart})
    monkeypatch.setattr(runtimes, "compare", lambda *_: told.model_copy(update={"outputs": {"image": image}}))
    monkeypatch.setattr(runtimes, "prefers_bf16", lambda: bf16)
    monkeypatch.setattr(runtimes, "_seconds", lambda way, picture: 0.001 if way.half else 0.002)
    chosen = runtime_for(backend, Asked(shared, "auto", FEW, threads=1), print)
    assert isinstance(chosen, Torch)
    assert chosen.half == taken


@pytest.mark.parametrize("fastest", [Torch, OnnxRuntime, OpenVino])
def test_few_pictures_are_left_to_torch_and_many_to_the_fastest(shared, folder, monkeypatch, fastest):
    pytest.importorskip("openvino")
    times = {way: 0.1 if way is fastest else 0.2 for way in (Torch, OnnxRuntime, OpenVino)}
    monkeypatch.setattr(runtimes, "_seconds", lambda way, picture: times[type(way)])
    monkeypatch.setattr(runtimes, "prefers_bf16", lambda: False)
    backend, said = load(shared).backend("happy"), []
    asked = Asked(shared, "auto", FEW, threads=1)
    assert runtime_for(backend, asked, said.append) is backend  # it does not pay to export
    assert isinstance(runtime_for(backend, asked._replace(pictures=1000), said.append), fastest)
    assert isinstance(runtime_for(backend, asked, said.append), fastest)  # as it is there now
    assert runtime_for(backend, asked._replace(pictures=FEW - 1), said.append) is backend
    assert said == []


def test_backends_are_timed_with_the_threads_that_they_will_have(shared, folder):
    seen = []

    class Watching(Torch):
        def __call__(self, images):
            seen.append(torch.get_num_threads())
            return super().__call__(images)

    translator = load(shared)
    backend, before = Watching(translator.system, translator.card, "happy"), torch.get_num_threads()
    runtime_for(backend, Asked(shared, "auto", FEW, threads=3), print)
    assert set(seen) == {3}
    assert torch.get_num_threads() == before


def test_what_differs_from_torch_is_not_used_and_why_is_told(shared, folder, monkeypatch):
    def refuse(*_) -> None:
        raise UserError("it differs")

    monkeypatch.setattr(exporting, "export", refuse)
    backend, said = load(shared).backend("happy"), []
    assert runtime_for(backend, Asked(shared, "auto", 10**9, threads=1), said.append) is backend
    assert said[0] == "not by onnxruntime: it differs"
    with pytest.raises(UserError, match="it differs"):
        runtime_for(backend, Asked(shared, "onnxruntime", 1, threads=1), said.append)
