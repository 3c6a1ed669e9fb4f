"""`--tiles`: an image of any size at its own resolution, without seams and with little memory."""

import tracemalloc
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_helpers import error_line, files_below, label_of, noise, read_pixels, save_small_model, translate
from jaxtyping import Float
from PIL import Image as Pillow
from PIL import TiffImagePlugin
from tiny_models import SMALL, shrunk
from torch import Tensor, nn
from torch.nn import functional as F

from aggan.cli.main import run
from aggan.images import tiff_bands
from aggan.images.ai_label import CHANGED
from aggan.images.convert import to_tensor
from aggan.images.tiff_bands import TiffBands, open_bands
from aggan.inference import pipeline, tiles
from aggan.inference.compositing import STRIDE, MaskAndContent, mask_and_content
from aggan.inference.paths import OutputPaths
from aggan.inference.pipeline import ImageTask
from aggan.inference.tiles import Tiles, translate_bands
from aggan.inference.translator import TorchBackend, Translator, load
from aggan.methods import aggan
from aggan.methods.base import Task
from aggan.methods.pretrained import ModelCard
from aggan.methods.registry import METHODS
from aggan.nn.generators import STARGAN, ResNetGenerator, resnet_trunk, stargan_trunk
from aggan.nn.layer_spec import UPSAMPLINGS, Style
from aggan.nn.tiling import fix_statistics, halo
from aggan.types import Translation

HALO = 20
"""Of the small model."""


def small_backend(norm: str = "instance") -> TorchBackend:
    """A model with random weights, and with random running statistics if it has batch norms."""
    config = aggan.Config.model_validate(SMALL | {"generator_norm": norm})
    backend = Translator(
        config.build(Task(("x", "y"), 32)), ModelCard(method=config, domains=("x", "y"), size=32)
    ).backend("y")
    for layer in backend.method.modules():
        if isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None and layer.running_var is not None:
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):  # the initial weights of a training are very small
            layer.weight.data.mul_(10)
    return backend


def image_tensor(height: int, width: int) -> Float[Tensor, "1 3 h w"]:
    return to_tensor(noise(height, width))[None]


def untiled(image: Tensor, backend: TorchBackend) -> MaskAndContent:
    """The prediction for the whole image, continued by its edge to multiples of the stride."""
    height, width = image.shape[-2:]
    padded = F.pad(image, (0, -width % STRIDE, 0, -height % STRIDE), "replicate")
    mask, content = mask_and_content(backend(padded))
    return MaskAndContent(mask[..., :height, :width], content[..., :height, :width])


GENERATORS = [
    *(
        (resnet_trunk(4, blocks), Style(upsampling=upsampling))
        for blocks in (1, 2)
        for upsampling in UPSAMPLINGS.values()
    ),
    (stargan_trunk(4, 1), STARGAN),
]


@pytest.mark.parametrize(("trunk", "style"), GENERATORS)
def test_the_halo_is_what_a_pixel_sees(trunk, style):
    network = ResNetGenerator(trunk, style, nn.Tanh()).eval()
    reach = halo(network, lambda: network(torch.zeros(1, 3, 16, 16)), STRIDE)
    image = torch.rand(1, 3, 160, 16)
    fix_statistics(network, lambda: network(image))
    image[..., :80, :] = torch.nan
    unknown = network(image).isnan().any(dim=3)[0, 0]
    assert not unknown[80 + reach :].any()
    assert unknown[80 : 80 + reach - STRIDE + 1].all()


@pytest.mark.parametrize("norm", ["instance", "batch"])
@pytest.mark.parametrize(("height", "width"), [(150, 131), (64, 64), (9, 130), (65, 3)])
def test_tiles_give_the_same_pixels_as_the_whole_image(norm, height, width):
    image, backend = image_tensor(height, width), small_backend(norm)
    assert backend.halo() == HALO
    prediction = Tiles(side=64, halo=HALO)(image, backend)
    if min(height, width) >= 8:  # the model itself takes no smaller images
        expected = untiled(image, backend)
        assert (prediction.mask - expected.mask).abs().max() < 1 / 255
        assert (prediction.content - expected.content).abs().max() < 2 / 255
    assert prediction.mask.std() > 0.01
    assert prediction.content.shape == image.shape


def test_a_smaller_halo_gives_other_pixels():
    image, backend = image_tensor(128, 128), small_backend("batch")
    difference = Tiles(side=64, halo=STRIDE)(image, backend).content - untiled(image, backend).content
    assert difference.abs().max() > 2 / 255


def seam_contrast(prediction: MaskAndContent, core: int) -> float:
    """The steps of the content across the edges of tiles, compared with those inside of tiles.

    They are measured between columns of blocks of the stride's width, whose mean knows no pattern of upsampling.
    """
    columns = prediction.content[0].mean(dim=1).unflatten(1, (-1, STRIDE)).mean(dim=2)
    steps = columns.diff(dim=1).abs().mean(dim=0)
    at_seam = torch.arange(1, len(steps) + 1) % (core // STRIDE) == 0
    return float(steps[at_seam].mean() / steps[~at_seam].mean())


def test_no_seam_is_stronger_than_the_contrast_inside_a_tile(monkeypatch):
    monkeypatch.setattr(tiles, "_SAMPLE_SIDE", 32)
    image = torch.linspace(-0.8, 0.8, 400).expand(1, 3, 160, 400)
    backend, view = small_backend(), Tiles(side=64, halo=HALO)
    assert seam_contrast(view(image, backend), core=24) < 1
    assert seam_contrast(view(image, Unfixed(backend)), core=24) > 1.2
    assert seam_contrast(Tiles(side=64, halo=0)(image, backend), core=64) > 1.2


@dataclass
class Unfixed:
    """A backend whose instance norms take the statistics of each tile."""

    backend: TorchBackend
    size: int = 32
    fixed_size: bool = False

    def with_statistics_of(self, images: Tensor) -> TorchBackend:
        return self.backend

    def __call__(self, images: Tensor) -> Translation:
        return self.backend(images)


def test_the_norms_of_a_backend_stay_its_own():
    image, backend = image_tensor(32, 32), small_backend()
    before = backend(image).image
    fixed = backend.with_statistics_of(image_tensor(64, 64))
    assert not torch.allclose(fixed(image).image, before)
    assert torch.equal(backend(image).image, before)
    pairs = zip(backend.method.parameters(), fixed.method.parameters(), strict=True)
    assert all(ours is theirs for ours, theirs in pairs)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_of_any_size_has_tiles(name):
    codes = ((0.0, 1.0), (1.0, 0.0)) if name == "ganimation" else ()
    config, size = shrunk(name), 128 if name.endswith("released") else 64
    card = ModelCard(method=config, domains=("x", "y"), size=size, codes=codes)
    backend = Translator(card.build(), card).backend("y", "x")
    if not backend.fixed_size and not backend.method.depends_on_place:
        prediction = Tiles(side=64, halo=backend.halo())(image_tensor(70, 90), backend)
        assert prediction.content.isfinite().all()


@dataclass
class Echo:
    """Its content is the image; `shapes` are those of all images that it got."""

    size: int = 16
    fixed_size: bool = False
    shapes: list[tuple[int, ...]] = field(default_factory=list)

    def with_statistics_of(self, images: Tensor) -> "Echo":
        self.shapes.append(tuple(images.shape))
        return self

    def __call__(self, images: Tensor) -> Translation:
        self.shapes.append(tuple(images.shape))
        return Translation(images)


tifffile = pytest.importorskip("tifffile")

GEOREFERENCE = [
    (33550, 12, 3, (0.5, 0.5, 0.0), True),
    (33922, 12, 6, (0.0, 0.0, 0.0, 440_720.0, 3_751_320.0, 0.0), True),
    (34735, 3, 8, (1, 1, 0, 1, 1024, 0, 1, 1), True),
    (34737, 2, 0, "UTM 11 N|NAD27|", True),
    (42113, 2, 0, "-9999", True),
    (315, 2, 0, "A. N. Author", True),
    (700, 1, 8, b"<x:xmp/>", True),
    (34675, 7, 8, b"profile.", True),
    (65000, 7, 4, b"\x00\x01\x02\x03", True),
]


def write_tiff(path: Path, pixels: np.ndarray, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    byteorder = options.pop("byteorder", "<")
    alpha = ["unassalpha"] if pixels.ndim == 3 and pixels.shape[2] in (2, 4) else None
    photometric = "rgb" if pixels.ndim == 3 and pixels.shape[2] > 2 else "minisblack"
    settings = {
        "photometric": photometric,
        "extrasamples": alpha,
        "planarconfig": "contig" if pixels.ndim == 3 else None,
    }
    tifffile.imwrite(path, pixels, byteorder=byteorder, metadata=None, **settings, **options)
    return path


@pytest.fixture
def unchanging(tmp_path, small) -> Path:
    """A model whose masks are empty."""
    return save_small_model(tmp_path / "unchanging", small, mask_bias=-1000.0)


LAYOUTS = {
    "strips": {"rowsperstrip": 7},
    "one strip": {},
    "deflate": {"compression": "zlib", "rowsperstrip": 16, "predictor": True},
    "lzw": {"compression": "lzw", "rowsperstrip": 16, "predictor": True},
    "tiles": {"tile": (32, 48), "compression": "zlib"},
    "big endian": {"byteorder": ">", "compression": "zlib", "tile": (32, 32)},
    "big endian strip": {"byteorder": ">"},
    "BigTIFF": {"bigtiff": True, "tile": (16, 256)},
}
SHAPES = {"grey": (), "grey and alpha": (2,), "RGB": (3,), "RGBA": (4,)}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", SHAPES)
def test_pixels_and_tags_outside_the_mask_stay(tmp_path, unchanging, layout, dtype, channels):
    if layout == "lzw":
        pytest.importorskip("imagecodecs")
    largest = np.iinfo(dtype).max
    pixels = np.random.default_rng(0).integers(0, largest, (150, 131, *SHAPES[channels]), dtype, endpoint=True)
    options = {"extratags": GEOREFERENCE, "resolution": (300, 200), "resolutionunit": 3, "description": "a field"}
    source = write_tiff(tmp_path / "in" / "a.tif", pixels, **LAYOUTS[layout], **options)
    with open_bands(source) as bands:
        assert isinstance(bands, TiffBands)
    more = ("--tiles", "--tile-size", "64", "--no-ai-label")
    assert translate(unchanging, source, out=tmp_path / "out", more=more) == 0
    with tifffile.TiffFile(source) as before, tifffile.TiffFile(tmp_path / "out" / "a.tif") as after:
        assert np.array_equal(after.asarray(), pixels)
        tags = [{tag.code: tag.value for tag in file.pages[0].tags} for file in (before, after)]
        for code in (270, 282, 283, 296, *(tag[0] for tag in GEOREFERENCE)):
            assert tags[1][code] == tags[0][code]
        assert (after.byteorder, after.is_bigtiff) == (before.byteorder, before.is_bigtiff)
        assert after.pages[0].compression == before.pages[0].compression
    assert files_below(tmp_path / "out") == {"a.tif"}


def test_bands_and_their_contents_are_labelled(tmp_path, unchanging):
    source = write_tiff(tmp_path / "in" / "a.tif", noise(70, 80), extratags=GEOREFERENCE)
    more = ("--tiles", "--tile-size", "64", "--masks")
    assert translate(unchanging, source, out=tmp_path / "out", more=more) == 0
    labels = {file.name: label_of(file) for file in (tmp_path / "out").iterdir()}
    assert labels == {"a.tif": CHANGED, "a.content.png": CHANGED, "a.mask.png": None}


def test_a_lossy_compression_becomes_deflate(tmp_path, unchanging):
    pytest.importorskip("imagecodecs")
    source = write_tiff(tmp_path / "in" / "a.tif", noise(150, 131), compression="jpeg", tile=(64, 64))
    assert translate(unchanging, source, out=tmp_path / "out", more=("--tiles", "--tile-size", "64")) == 0
    with tifffile.TiffFile(tmp_path / "out" / "a.tif") as after:
        assert (after.pages[0].compression, after.pages[0].photometric) == (8, 2)
        assert np.array_equal(after.asarray(), tifffile.imread(source))


@pytest.mark.parametrize("tags", [{0x8769: {0x9003: "2026:01:02 03:04:05"}}, {0x0112: 6}], ids=["EXIF", "orientation"])
def test_what_bands_would_lose_goes_to_pillow(tmp_path, unchanging, tags):
    source, directory = tmp_path / "in" / "a.tif", TiffImagePlugin.ImageFileDirectory_v2()
    source.parent.mkdir()
    directory.update(tags)
    Pillow.fromarray(noise(100, 90)).save(source, tiffinfo=directory)
    with open_bands(source) as bands:
        assert bands is None
    assert translate(unchanging, source, out=tmp_path / "out", more=("--tiles", "--tile-size", "64")) == 0
    with Pillow.open(tmp_path / "out" / "a.tif") as after, Pillow.open(source) as before:
        assert after.getexif().get(0x0112, 1) == before.getexif().get(0x0112, 1)
        assert after.getexif().get_ifd(0x8769) == tags.get(0x8769, {})
        assert np.array_equal(np.array(after), np.array(before))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_tiff_is_translated_as_an_image_in_memory_is(tmp_path, model, dtype):
    pixels = (noise(150, 131).astype(dtype) * (1 if dtype is np.uint8 else 257)).astype(dtype)
    write_tiff(tmp_path / "in" / "a.tif", pixels, compression="zlib")
    Pillow.fromarray(noise(150, 131)).save(tmp_path / "in" / "b.png")
    more = ("--tiles", "--tile-size", "64", "--masks")
    assert translate(model, tmp_path / "in", out=tmp_path / "out", more=more) == 0
    out = tmp_path / "out"
    assert files_below(out) == {"a.tif", "a.mask.png", "a.content.png", "b.png", "b.mask.png", "b.content.png"}
    for part in ("mask", "content"):
        assert np.array_equal(read_pixels(out / f"a.{part}.png"), read_pixels(out / f"b.{part}.png"))
    expected = read_pixels(out / "b.png").astype(np.float64) * (np.iinfo(dtype).max / 255)
    assert np.abs(tifffile.imread(out / "a.tif") - expected).max() <= np.iinfo(dtype).max / 510


def test_twelve_bits_stay_twelve(tmp_path, unchanging, capsys):
    pixels = np.random.default_rng(0).integers(0, 2**12, (40, 50), np.uint16)
    source = write_tiff(tmp_path / "in" / "a.tif", pixels)
    assert translate(unchanging, source, out=tmp_path / "out", more=("--tiles",)) == 2
    assert "its range is unclear: name them with --bits 12" in capsys.readouterr().err
    assert translate(unchanging, source, out=tmp_path / "out", more=("--tiles", "--bits", "12")) == 0
    assert np.array_equal(tifffile.imread(tmp_path / "out" / "a.tif"), pixels)


def test_memory_does_not_grow_with_the_rows_of_an_image(tmp_path):
    peaks, largest = [], []
    for rows in (1000, 4000):
        pixels = np.tile(noise(500, 500), (rows // 500, 8, 1))
        source = write_tiff(tmp_path / "a.tif", pixels, compression="zlib", tile=(256, 256))
        backend = Echo()
        with open_bands(source) as bands:
            assert bands is not None
            tracemalloc.start()
            bands.write(tmp_path / "b.tif", translate_bands(bands, backend, Tiles(side=256, halo=HALO)))
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        largest.append(max(np.prod(shape) for shape in backend.shapes))
        assert np.array_equal(tifffile.imread(tmp_path / "b.tif"), pixels)
    assert peaks[1] < min(1.2 * peaks[0], pixels.nbytes)  # NumPy's arrays
    assert largest[0] == largest[1]  # torch's tensors


@dataclass
class Interrupted(Echo):
    def __call__(self, images: Tensor) -> Translation:
        if len(self.shapes) > 10:
            raise KeyboardInterrupt
        return super().__call__(images)


def test_an_interrupted_translation_leaves_nothing(tmp_path):
    source = write_tiff(tmp_path / "in" / "a.tif", noise(150, 131))
    task = ImageTask({"": Interrupted()}, Tiles(side=64, halo=HALO), parts=True)
    with pytest.raises(KeyboardInterrupt):
        task(OutputPaths(source, tmp_path / "out" / "a", ".tif"))
    assert files_below(tmp_path / "out") == set()


def test_ctrl_c_stops_a_single_worker_at_once():
    def task(item: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(pipeline.in_parallel([1, 2], task, workers=1))


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_broken_band_is_named_and_nothing_is_written(tmp_path, model, compression, capsys):
    source = write_tiff(
        tmp_path / "in" / "a.tif",
        noise(300, 200),
        compression=compression,
        rowsperstrip=300 if compression is None else 16,
    )
    with source.open("r+b") as file, tifffile.TiffFile(source) as tiff:
        offset, count = tiff.pages[0].dataoffsets[-1], tiff.pages[0].databytecounts[-1]
        file.truncate(offset + count // 2)
    assert translate(model, source, out=tmp_path / "out", more=("--tiles", "--tile-size", "64")) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert f"skipped {source}: broken image (" in error
    assert "Traceback" not in error
    assert files_below(tmp_path / "out") == set()


def test_one_compressed_strip_that_is_too_large_is_refused(tmp_path, model, capsys, monkeypatch):
    source = write_tiff(tmp_path / "in" / "a.tif", noise(300, 200), compression="zlib", rowsperstrip=300)
    monkeypatch.setattr(tiff_bands, "_MAX_SEGMENT_BYTES", 100_000)
    assert translate(model, source, out=tmp_path / "whole", more=("--tiles",)) == 0  # Pillow decodes it
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", 20_000)
    assert translate(model, source, out=tmp_path / "out", more=("--tiles",)) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert "it is compressed in strips of 300 rows, which are decoded as a whole: store it in tiles" in error


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_an_image_too_large_for_the_memory_suggests_tiles(tmp_path, model, capsys, monkeypatch, suffix):
    monkeypatch.setattr(pipeline, "free_memory", lambda: 100_000.0)
    source = tmp_path / f"a.{suffix}"
    Pillow.fromarray(noise(100, 100)).save(source)
    assert translate(model, source, out=tmp_path / "out") == 2
    error = " ".join(capsys.readouterr().err.split())
    assert f"{source}: its 0 megapixels do not fit the memory that is free: with --tiles and the extra tiff" in error
    if suffix == "tif":
        assert translate(model, source, out=tmp_path / "out", more=("--tiles",)) == 0


@pytest.mark.parametrize(
    ("name", "more", "message"),
    [
        ("aggan", ("--tiles", "--tile-size", "40"), "must be 44 or more"),
        ("aggan", ("--tile-size", "40"), "--tile-size only works with --tiles: add --tiles"),
        ("aggan", ("--tiles", "--backend", "openvino"), "--backend openvino cannot normalise all tiles by one image"),
        ("contrastgan", ("--tiles",), "this model changes the middle of an image"),
        ("discogan", ("--tiles", "--tile-size", "64"), "so its tiles have this size: leave out --tile-size"),
    ],
)
def test_what_tiles_cannot_do_is_one_sentence(tmp_path, capsys, name, more, message):
    model = save_small_model(tmp_path / "model", shrunk(name), size=64)
    Pillow.fromarray(noise(20, 30)).save(tmp_path / "a.png")
    code = run(["translate", str(model), str(tmp_path / "a.png"), "--to", "happy", "--out", str(tmp_path / "o"), *more])
    assert message in error_line(capsys, code)


def test_a_model_of_a_fixed_size_blends_its_tiles(tmp_path):
    model = save_small_model(tmp_path / "model", shrunk("discogan"), size=64)
    Pillow.fromarray(noise(100, 130)).save(tmp_path / "a.png")
    assert translate(model, tmp_path / "a.png", out=tmp_path / "out", more=("--tiles",)) == 0
    assert read_pixels(tmp_path / "out" / "a.png").shape == (100, 130, 3)
    assert load(model).method.fixed_size
