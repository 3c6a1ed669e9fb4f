"""Exported files agree with torch at any size, or are not written."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_helpers import error_line, files_below, save_small_model, write_image
from tiny_models import SMALL

from aggan.cli.main import run
from aggan.errors import UserError
from aggan.images.convert import read
from aggan.inference import export as exporting
from aggan.inference import runtimes
from aggan.inference.compositing import Backend, composite
from aggan.inference.export import export
from aggan.inference.exported import Exported, OnnxRuntimeBackend, OpenVinoBackend, load_backend
from aggan.inference.parity import compare
from aggan.inference.runtimes import MIN_IMAGES, RuntimeRequest, choose_backend
from aggan.inference.translator import TorchBackend, load
from aggan.inference.views import whole_image
from aggan.methods import aggan
from aggan.methods.pretrained import ModelCard, save_model
from aggan.nn.layer_spec import AffineInstanceNorm
from aggan.types import Translation

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
FORMATS = ("onnx", "openvino")


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Path:
    """One model for all tests, because tracing takes seconds."""
    torch.manual_seed(0)
    return save_small_model(tmp_path_factory.mktemp("shared") / "model", aggan.Config.model_validate(SMALL))


@pytest.fixture(scope="module", autouse=True)
def _traced_once():
    cache, to_onnx = {}, exporting._to_onnx

    def cached(backend: TorchBackend, size: int | None, about: Exported):
        key = (backend.to, size, about.attention)
        if key not in cache:
            cache[key] = to_onnx(backend, size, about).SerializeToString()
        return onnx.load_from_string(cache[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporting, "_to_onnx", cached)
        yield


@pytest.fixture
def backend(shared) -> TorchBackend:
    return load(shared).backend("happy")


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(*shape) * 2 - 1


def require(format: str) -> str:
    """The suffix of a format; skips the test if OpenVINO is not installed."""
    if format == "openvino":
        pytest.importorskip("openvino")
    return {"onnx": ".onnx", "openvino": ".xml"}[format]


@pytest.mark.parametrize("format", FORMATS)
def test_an_exported_model_takes_any_number_and_size_of_images(tmp_path, backend, format):
    file = tmp_path / f"happy{require(format)}"
    parity = export(backend, file, [noise(2, 3, 32, 32)])
    exported = load_backend(file, threads=1)
    assert isinstance(exported, Backend)
    assert (exported.size, exported.fixed_size) == (32, False)
    for shape in ((1, 3, 32, 32), (3, 3, 8, 44), (2, 3, 60, 16)):
        images = noise(*shape)
        for actual, expected in zip(exported(images).attended(), backend(images).attended(), strict=True):
            torch.testing.assert_close(actual, expected, atol=1e-4, rtol=0)
    assert json.loads((tmp_path / f"{file.name}.json").read_text()) == json.loads(parity.model_dump_json())
    assert not [name for name in files_below(tmp_path) if ".happy" in name]


@pytest.mark.parametrize("format", FORMATS)
def test_an_image_of_any_size_is_translated_by_an_exported_model(tmp_path, backend, format):
    file = tmp_path / f"happy{require(format)}"
    export(backend, file, [noise(2, 3, 32, 32)])
    image = noise(1, 3, 50, 70)
    pixels = image[0].movedim(0, -1).add(1).mul(127.5).byte().numpy()
    expected = composite(pixels, whole_image(image, backend)).astype(int)
    assert abs(composite(pixels, whole_image(image, load_backend(file, threads=1))) - expected).max() <= 1


@pytest.mark.parametrize("format", FORMATS)
def test_a_model_without_attention_has_one_output(tmp_path, format):
    plain = {"attention_guided_generators": False, "attention_guided_discriminators": False}
    config = aggan.Config.model_validate(SMALL | plain)
    backend = load(save_small_model(tmp_path / "model", config)).backend("happy")
    file = tmp_path / f"happy{require(format)}"
    parity = export(backend, file, [noise(2, 3, 32, 32)])
    exported, images = load_backend(file, threads=1), noise(1, 3, 40, 36)
    assert list(parity.outputs) == ["translation"]
    assert (exported(images).mask, exported(images).content) == (None, None)
    torch.testing.assert_close(exported(images).image, backend(images).image, atol=1e-4, rtol=0)


def test_the_names_in_a_file_are_those_of_the_documentation(tmp_path, backend):
    export(backend, tmp_path / "happy.onnx", [noise(1, 3, 32, 32)])
    model = onnx.load(tmp_path / "happy.onnx")
    assert [entry.name for entry in model.graph.input] == ["image"]
    assert [entry.name for entry in model.graph.output] == ["translation", "mask", "content"]
    metadata = {entry.key: json.loads(entry.value) for entry in model.metadata_props if entry.key == "aggan"}
    expected = {"version": 2, "domain": "happy", "size": 32, "fixed_size": False, "attention": True}
    assert metadata == {"aggan": expected}


def test_a_file_can_take_squares_of_one_size(tmp_path, backend):
    export(backend, tmp_path / "happy.onnx", [noise(1, 3, 64, 64)], size=64)
    exported = load_backend(tmp_path / "happy.onnx", threads=1)
    assert (exported.size, exported.fixed_size) == (64, True)
    assert exported(noise(5, 3, 64, 64)).attended()[1].shape == (5, 1, 64, 64)
    with pytest.raises(Exception, match="invalid dimensions"):
        exported(noise(1, 3, 32, 32))


def test_a_model_of_a_fixed_size_keeps_it(tmp_path, backend, monkeypatch):
    monkeypatch.setattr(backend.method, "fixed_size", True, raising=False)
    with pytest.raises(UserError, match="only takes squares of 32 px: leave out --size"):
        export(backend, tmp_path / "happy.onnx", [noise(1, 3, 64, 64)], size=64)
    sizes = []
    to_onnx = exporting._to_onnx

    def record(backend: TorchBackend, size: int | None, about: Exported):
        sizes.append(size)
        return to_onnx(backend, None, about)

    monkeypatch.setattr(exporting, "_to_onnx", record)
    export(backend, tmp_path / "happy.onnx", [noise(1, 3, 32, 32)])
    exported = load_backend(tmp_path / "happy.onnx", threads=1)
    assert (exported.size, exported.fixed_size, sizes) == (32, True, [32])


def test_norms_are_exported_with_their_own_arithmetic():
    norm, x = AffineInstanceNorm(3), noise(2, 3, 8, 8)
    torch.nn.init.normal_(norm.weight)
    exported = torch.export.export(norm, (x,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)).module()
    for batch in (x, noise(1, 3, 8, 8), noise(5, 3, 8, 8)):
        if len(batch) > 1:
            torch.testing.assert_close(exported(batch), norm(batch), atol=1e-5, rtol=0)


def test_a_file_that_differs_from_torch_is_not_written_and_an_older_one_stays(tmp_path, backend, monkeypatch):
    file = tmp_path / "happy.onnx"
    file.write_text("an older file")
    monkeypatch.setattr(backend.method.G_xy.head, "bias", torch.nn.Parameter(torch.ones(4)))
    with pytest.raises(UserError, match=r"happy\.onnx is not written: its \w+ differs from torch by"):
        export(backend, file, [noise(2, 3, 32, 32)])
    assert file.read_text() == "an older file"
    assert {name for name in files_below(tmp_path) if "happy" in name} == {"happy.onnx"}


def test_differences_are_measured_in_levels_of_255(backend):
    images = noise(2, 3, 32, 32)

    class Shifted:
        size, fixed_size = 32, False

        def __call__(self, images: torch.Tensor) -> Translation:
            image, mask, content = backend(images).attended()
            return Translation(image + 0.02, mask + 0.01, content)

    outputs = compare(backend, Shifted(), [images, images]).outputs
    assert outputs["translation"].largest == pytest.approx(2.55, abs=1e-3)
    assert outputs["translation"].mean == pytest.approx(2.55, abs=1e-3)
    assert outputs["translation"].psnr == pytest.approx(40, abs=0.01)
    assert outputs["mask"].largest == pytest.approx(2.55, abs=1e-3)
    assert (outputs["content"].largest, outputs["content"].psnr) == (0, None)


def test_the_command_writes_a_file_and_a_report_for_each_domain(tmp_path, shared, capsys):
    assert run(["export", str(shared), "--to", "onnx", "--out", str(tmp_path / "out")]) == 0
    assert files_below(tmp_path / "out") == {
        f"{name}.onnx{part}" for name in ("neutral", "happy") for part in ("", ".json")
    }
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{tmp_path}/out/neutral.onnx: differs from PyTorch by at most ")
    assert lines[0].endswith("on 9 images")
    assert (tmp_path / "out" / "happy.onnx").stat().st_mode & 0o044


def test_parity_can_be_measured_on_a_folder_of_images(tmp_path, shared):
    for name in "abc":
        write_image(tmp_path / "in" / f"{name}.png")
    more = ["--domain", "happy", "--images", str(tmp_path / "in")]
    assert run(["export", str(shared), "--to", "onnx", "--out", str(tmp_path), *more]) == 0
    assert json.loads((tmp_path / "happy.onnx.json").read_text())["images"] == 4


def test_mistakes_are_one_line(tmp_path, shared, capsys):
    start = ["export", str(shared), "--to", "onnx", "--out", str(tmp_path / "out")]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"nonsense")
    for more, expected in [
        (["--size", "30"], "--size must be any, or a multiple of 4 from 8 on, not 30"),
        (["--size", "4"], "--size must be any, or a multiple of 4 from 8 on, not 4"),
        (["--size", "large"], "--size must be any, or a multiple of 4 from 8 on, not large"),
        (["--images", str(tmp_path / "in")], f"{tmp_path}/in/a.png: not an image; remove it from --images"),
        (["--domain", "sad"], "no domain 'sad' in this model"),
        (["--images", str(tmp_path / "gone")], "no such folder"),
    ]:
        assert expected in error_line(capsys, run([*start, *more]))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "content"), [("a.onnx", b"nonsense"), ("a.onnx", b""), ("a.txt", b"")])
def test_other_files_are_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=name):
        load_backend(tmp_path / name)
    with pytest.raises(UserError, match=r"gone\.onnx: no such file"):
        load_backend(Path("gone.onnx"))


def test_an_onnx_file_of_another_program_is_refused(tmp_path, backend):
    export(backend, tmp_path / "happy.onnx", [noise(1, 3, 32, 32)])
    model = onnx.load(tmp_path / "happy.onnx")
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(UserError, match="not written by aggan export"):
        load_backend(tmp_path / "other.onnx")


def test_a_file_of_the_first_format_version_must_be_exported_again(tmp_path, backend):
    export(backend, tmp_path / "happy.onnx", [noise(1, 3, 32, 32)])
    model = onnx.load(tmp_path / "happy.onnx")
    (entry,) = [entry for entry in model.metadata_props if entry.key == "aggan"]
    entry.value = json.dumps({"version": 1, "domain": "happy", "size": 32, "square": False})
    onnx.save(model, tmp_path / "old.onnx")
    with pytest.raises(UserError, match=r"old\.onnx: format version 1 is too old: run aggan export again"):
        load_backend(tmp_path / "old.onnx")


# --- as backends of aggan translate --------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("AGGAN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "in").mkdir()
    for index in range(3):
        write_image(tmp_path / "in" / f"{index}.png", 40, 50 + index)
    return tmp_path / "in"


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_cached_exports_translate_a_folder_like_torch(shared, folder, tmp_path, monkeypatch, runtime):
    pytest.importorskip(runtime)
    command = ["translate", str(shared), str(folder), "--to", "happy", "--jobs", "2"]
    assert run([*command, "--out", str(tmp_path / "torch"), "--backend", "torch"]) == 0
    for out in ("first", "second"):
        assert run([*command, "--out", str(tmp_path / out), "--backend", runtime]) == 0
        for file in (tmp_path / "torch").iterdir():
            assert np.abs(difference(file, tmp_path / out / file.name)).mean() < 0.1
        monkeypatch.setattr(runtimes, "export", None)  # the second call must use the cache


def difference(file: Path, other: Path) -> np.ndarray:
    return np.subtract(np.asarray(read(file), int), np.asarray(read(other), int))


def test_a_folder_is_translated_in_bf16_on_request(shared, folder, tmp_path):
    command = ["translate", str(shared), str(folder), "--to", "happy", "--png"]
    for runtime in ("torch", "torch-bf16"):
        assert run([*command, "--out", str(tmp_path / runtime), "--backend", runtime]) == 0
    for file in (tmp_path / "torch").iterdir():
        distance = np.abs(difference(file, tmp_path / "torch-bf16" / file.name))
        assert 0 < distance.max() < 16
        assert distance.mean() < 1


@pytest.mark.parametrize(("preferred", "mean", "chosen"), [(True, 0.1, True), (True, 0.6, False), (False, 0.1, False)])
def test_bf16_is_chosen_if_the_cpu_is_faster_with_it_and_images_agree(shared, monkeypatch, preferred, mean, chosen):
    backend = load(shared).backend("happy")
    parity = compare(backend, backend, [torch.zeros(1, 3, 64, 64)])
    translation = parity.outputs["translation"].model_copy(update={"mean": mean})
    parity = parity.model_copy(update={"outputs": {"translation": translation}})
    monkeypatch.setattr(runtimes, "compare", lambda *_: parity)
    monkeypatch.setattr(runtimes, "prefers_bf16", lambda: preferred)
    monkeypatch.setattr(runtimes, "_seconds", lambda backend, image: 0.001 if backend.bf16 else 0.002)
    fastest = choose_backend(backend, RuntimeRequest(shared, "auto", MIN_IMAGES, threads=1), print)
    assert isinstance(fastest, TorchBackend)
    assert fastest.bf16 == chosen


@pytest.mark.parametrize("fastest", [TorchBackend, OnnxRuntimeBackend, OpenVinoBackend])
def test_torch_translates_few_images_and_the_fastest_backend_many(shared, folder, monkeypatch, fastest):
    pytest.importorskip("openvino")
    seconds = {kind: 0.1 if kind is fastest else 0.2 for kind in (TorchBackend, OnnxRuntimeBackend, OpenVinoBackend)}
    monkeypatch.setattr(runtimes, "_seconds", lambda backend, image: seconds[type(backend)])
    monkeypatch.setattr(runtimes, "prefers_bf16", lambda: False)
    backend, messages = load(shared).backend("happy"), []
    request = RuntimeRequest(shared, "auto", MIN_IMAGES, threads=1)
    assert choose_backend(backend, request, messages.append) is backend  # an export would take longer
    assert isinstance(choose_backend(backend, request._replace(images=1000), messages.append), fastest)
    assert isinstance(choose_backend(backend, request, messages.append), fastest)  # the export is cached now
    assert choose_backend(backend, request._replace(images=MIN_IMAGES - 1), messages.append) is backend
    assert messages == []


def test_backends_are_timed_with_the_threads_that_they_will_have(shared, folder):
    threads = []

    class Recording(TorchBackend):
        def __call__(self, images):
            threads.append(torch.get_num_threads())
            return super().__call__(images)

    translator = load(shared)
    backend, before = Recording(translator.method, translator.card, "happy"), torch.get_num_threads()
    choose_backend(backend, RuntimeRequest(shared, "auto", MIN_IMAGES, threads=3), print)
    assert set(threads) == {3}
    assert torch.get_num_threads() == before


def test_a_backend_that_differs_from_torch_is_not_used_and_the_reason_is_reported(shared, folder, monkeypatch):
    def refuse(*_) -> None:
        raise UserError("it differs")

    monkeypatch.setattr(runtimes, "export", refuse)
    monkeypatch.setattr(runtimes, "prefers_bf16", lambda: False)
    backend, messages = load(shared).backend("happy"), []
    request = RuntimeRequest(shared, "auto", 10**9, threads=1)
    assert choose_backend(backend, request, messages.append) is backend
    assert messages[0] == "onnxruntime is not used: it differs"
    with pytest.raises(UserError, match="it differs"):
        choose_backend(backend, RuntimeRequest(shared, "onnxruntime", 1, threads=1), messages.append)


@pytest.mark.parametrize("format", FORMATS)
def test_a_destination_that_cannot_be_written_is_refused_before_the_work(shared, tmp_path, capsys, monkeypatch, format):
    suffix = require(format)
    monkeypatch.setattr(exporting, "_to_onnx", lambda *_: pytest.fail("the work began"))
    (tmp_path / "file").touch()
    (tmp_path / "out" / f"happy{suffix}.json").mkdir(parents=True)
    for out, expected in [
        (tmp_path / "file", f"file/neutral{suffix} cannot be written: {tmp_path}/file is not a folder"),
        (tmp_path / "out", f"out/happy{suffix}.json cannot be written: there is a folder of this name"),
        (Path("/proc/aggan"), "nothing can be written to /proc ("),
    ]:
        error = error_line(capsys, run(["export", str(shared), "--to", format, "--out", str(out)]))
        assert expected in error


def test_a_domain_whose_name_leaves_no_space_for_a_suffix_is_refused(tmp_path, capsys):
    card = ModelCard(method=aggan.Config.model_validate(SMALL), domains=("neutral", "x" * 246), size=32)
    save_model(tmp_path / "model", card, card.build().inference_state_dict())
    error = error_line(capsys, run(["export", str(tmp_path / "model"), "--to", "onnx", "--out", str(tmp_path / "out")]))
    assert "xx.onnx.json cannot be written: a name of 256 bytes is too long for this file system" in error
    assert not (tmp_path / "out").exists() or not files_below(tmp_path / "out")


@pytest.mark.parametrize("format", FORMATS)
def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path, backend, format):
    resource = pytest.importorskip("resource")
    file, limits = tmp_path / "out" / f"happy{require(format)}", resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))
    try:
        with pytest.raises(UserError, match=f"cannot write {file}: "):
            export(backend, file, [noise(1, 3, 32, 32)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not files_below(tmp_path / "out")


def test_a_runtime_whose_copy_cannot_be_cached_is_not_used(shared, tmp_path, monkeypatch):
    (tmp_path / "cache").touch()
    monkeypatch.setattr(runtimes, "prefers_bf16", lambda: False)
    backend, messages = load(shared).backend("happy"), []
    request = RuntimeRequest(shared, "auto", 10**9, threads=1)
    assert choose_backend(backend, request, messages.append) is backend
    assert messages[0].startswith("onnxruntime is not used: export: ")


def test_what_is_left_out_of_the_parity_check_is_named(tmp_path, shared, capsys):
    for name in ("a.png", "a.mask.png", "b.png"):
        write_image(tmp_path / "in" / name)
    (tmp_path / "in" / "c.cr2").write_bytes(b"")
    options = ["--to", "onnx", "--domain", "happy", "--images", str(tmp_path / "in"), "--out", str(tmp_path)]
    assert run(["export", str(shared), *options]) == 0
    output = capsys.readouterr()
    assert f"left out 1 (masks and contents of translations): {tmp_path}/in/a.mask.png" in output.err
    assert f"left out 1 (in a format that is not read): {tmp_path}/in/c.cr2" in output.err
    assert output.out.strip().endswith("on 3 images")
