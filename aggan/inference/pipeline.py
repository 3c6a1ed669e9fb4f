"""The translation of many files with one model: `translate_files`, which `aggan translate` calls.

A file is decoded while another one is translated and a third one is encoded. Each result is written under a temporary
name and renamed when it is complete. The results that exist are therefore complete, and several processes on any
number of machines can share the work without communicating.
"""

import math
import shutil
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from PIL import Image as Pillow
from rich.console import Console
from rich.progress import track

from aggan.data.listing import PARTS
from aggan.errors import UserError
from aggan.images.ai_label import add_label
from aggan.images.convert import Unreadable, to_tensor
from aggan.images.decode import TooLarge
from aggan.images.encodings import SaveOptions, place_xmp
from aggan.images.file import ImageFile, read_image_file
from aggan.images.formats import FORMATS
from aggan.images.png_rows import PngRows
from aggan.images.tiff_bands import TiffBands, open_bands
from aggan.inference.alignment import alignment_like
from aggan.inference.compositing import ALL_ROWS, Backend, LazyPrediction, NothingToTranslate, View, composite
from aggan.inference.faces import Faces, faces_view
from aggan.inference.landmarks import FaceFinder
from aggan.inference.options import DEFAULTS, TranslateOptions
from aggan.inference.paths import (
    OutputPaths,
    obstacles,
    plan_images,
    plan_videos,
    require_distinct,
    require_free,
    shard,
    unfinished,
)
from aggan.inference.runtimes import RuntimeRequest, choose_backend
from aggan.inference.smoothing import smooth
from aggan.inference.tiles import BlendedTiles, Span, Tiles, TrackBands, translate_bands
from aggan.inference.translator import TorchBackend, load, model_folder
from aggan.inference.video import translate_video
from aggan.inference.views import whole_image
from aggan.io import UnwritableName, require_not_below, require_output_folder, write_atomic, write_together
from aggan.ops.cpu_features import available_cores, free_memory

FRAMES_PER_VIDEO = 250
"""An estimate for the choice of a runtime: ten seconds."""
TILE_SIZE = 512
"""The default of `--tile-size`."""
MIN_BYTES_PER_PIXEL = 25
"""Memory that an image needs at least if it is translated as a whole."""
_LITTLE_MEMORY = "with --tiles and the extra tiff, an 8- or 16-bit TIFF in grey or RGB of any size needs little memory"
QUEUED_PER_WORKER = 2
"""Items submitted ahead for each worker, so that memory does not grow with their number."""

_CHANNELS_OF_PARTS = (1, 3)

Item = TypeVar("Item")


@dataclass
class Summary:
    """What happened to the files that a process translated."""

    planned: int
    """Number of inputs, including those of other processes."""
    existing: int = 0
    """Number of inputs that were skipped because their results exist."""
    translated: int = 0
    """Number of inputs whose results were written."""
    copied: dict[Path, str] = field(default_factory=dict)
    """Inputs with nothing to translate, and why: they were copied unchanged."""
    skipped: dict[Path, str] = field(default_factory=dict)
    """Inputs that could not be read, or not be written in their format or under their name, and why."""


class Version(NamedTuple):
    """One of the results of each input."""

    suffix: str
    """Part of the result's name: `.2` for `a.2.png`."""
    to: str
    sample: int = 0


def translate_files(
    model: str | Path,
    inputs: str | Path | Sequence[str | Path],
    to: str,
    out: str | Path,
    options: TranslateOptions = DEFAULTS,
    *,
    rank: int = 0,
    world_size: int = 1,
    console: Console | None = None,
) -> Summary:
    """Translate image or video files to the domain `to`, and write the results below the folder `out`.

    `model` is a run folder, a model folder, or a model that ships. `inputs` are files, folders (with their subfolders)
    or glob patterns. Names, subfolders and sizes stay, and so do the formats that can be written; other images become
    PNG. No source is overwritten. Masks and contents beside their images are no inputs. Process number `rank` of
    `world_size` translates its share of the inputs. Progress and messages go to `console`, by default nowhere.

    Raises `UserError` if the model, an input, a domain or an optional dependency is missing, if a file would be
    overwritten, or if writing fails. Broken files, and names that the file system of `out` cannot hold, raise nothing:
    the summary names them.
    """
    console = console or Console(quiet=True)
    report = partial(_print, console)
    names = [str(name) for name in ([inputs] if isinstance(inputs, str | Path) else inputs)]
    out, existing = Path(out), options.skip_existing
    inputs_plan = plan_videos(names, out, existing) if options.video else plan_images(names, out, options.png, existing)
    plan = inputs_plan.paths
    translator = load(model)
    options = replace(options, bits=options.bits or translator.card.bits)
    versions = plan_versions(to, options)
    backends = {version.suffix: translator.backend(version.to, options.source, version.sample) for version in versions}
    parts = PARTS if options.masks else ()
    if parts and not translator.attention:
        report("no masks are written: this model has no attention")
        parts = ()
    require_distinct(plan, list(backends), parts)
    share = shard(plan, rank, world_size)
    pending = unfinished(share, list(backends), parts) if existing else share
    summary = Summary(planned=len(plan), existing=len(share) - len(pending))
    if not existing:
        require_not_below(out, [Path(name) for name in names if Path(name).is_dir()], "--out")
        require_free(pending, list(backends), parts)
    if pending:
        require_output_folder(out, "--out")
    summary.skipped = obstacles(pending, list(backends), parts)
    pending = [paths for paths in pending if paths.source not in summary.skipped]
    for sentence in inputs_plan.left_out if rank == 0 else ():
        report(sentence)
    for reason in summary.skipped.values():
        report(f"skipped {reason}")
    if pending:
        _translate_all(pending, model, backends, options, bool(parts), summary, console)
    return summary


class TranslatedFile(NamedTuple):
    """A translated image file before it is written."""

    image: ImageFile
    prediction: LazyPrediction


def translate_image(
    image: ImageFile, backend: Backend, view: View, strength: float = 1.0, ai_label: bool = True
) -> TranslatedFile:
    """Translate an image file in memory. Raises `NothingToTranslate` if the view finds nothing."""
    prediction = view(to_tensor(image.rgb8)[None], backend)
    return TranslatedFile(image.with_pixels(composite(image.pixels, prediction, strength), ai_label), prediction)


class PartImage(NamedTuple):
    """Mask or content of a translated image."""

    image: Pillow.Image
    options: SaveOptions

    def save(self, target: Path | BytesIO) -> None:
        """Write it as PNG."""
        self.image.save(target, "PNG", **self.options)


def part_images(prediction: LazyPrediction, ai_label: bool) -> dict[str, PartImage]:
    """Mask and content of a translated image, by the parts of their files' names. The label is for contents."""
    full = prediction.rows(ALL_ROWS)
    label: SaveOptions = {}
    if ai_label:
        place_xmp(label, add_label(), "PNG")
    images = (
        PartImage(Pillow.fromarray(full.mask_pixels()), {}),
        PartImage(Pillow.fromarray(full.content_pixels()), label),
    )
    return dict(zip(PARTS, images, strict=True))


@dataclass(frozen=True)
class ImageTask:
    """Reads an image, translates it and writes its results."""

    backends: Mapping[str, Backend]
    """By version."""
    view: View
    strength: float = 1.0
    parts: bool = False
    """Whether masks and contents are written."""
    bits: int | None = None
    """Bits that 16-bit images use; None if that is not known."""
    ai_label: bool = True
    """Whether the results are labelled as edited by AI."""
    max_pixels: float = math.inf
    """Larger images do not fit the memory as a whole."""

    def __call__(self, paths: OutputPaths) -> None:
        """Write all results of one image.

        Raises `Unreadable` if it cannot be read, or not be written in its format. If there is nothing to translate,
        the image is copied and `NothingToTranslate` is raised.
        """
        if isinstance(self.view, Tiles) and FORMATS[paths.suffix.lower()] == "TIFF":
            with open_bands(paths.source, self.bits) as bands:
                if bands is not None:
                    return self._translate_bands(paths, bands, self.view)
        return self._translate_whole(paths)

    def _translate_whole(self, paths: OutputPaths) -> None:
        try:
            source = read_image_file(paths.source, self.bits, self.max_pixels)
        except TooLarge as error:
            raise TooLarge(f"{error}: {_LITTLE_MEMORY}") from error
        for version, backend in self.backends.items():
            try:
                image, prediction = translate_image(source, backend, self.view, self.strength, self.ai_label)
            except NothingToTranslate:
                for each in self.backends:
                    _copy(source, paths.source, paths.image(each))
                raise
            image.save(paths.image(version))
            if self.parts:
                _save_parts(prediction, paths, version, self.ai_label)

    def _translate_bands(self, paths: OutputPaths, source: TiffBands, tiles: Tiles) -> None:
        """The same, with little memory for an image of any size."""
        for version, backend in self.backends.items():
            parts = [paths.part(version + part) for part in PARTS] if self.parts else []

            def write(partials: Sequence[Path], backend: Backend = backend) -> None:
                *part_paths, image_path = partials
                with ExitStack() as stack:
                    streams = [stack.enter_context(path.open("wb")) for path in part_paths]
                    writers = [
                        stack.enter_context(PngRows(stream, source.height, source.width, channels))
                        for stream, channels in zip(streams, _CHANNELS_OF_PARTS, strict=False)
                    ]
                    if writers and self.ai_label:
                        writers[-1].write_xmp(add_label())
                    bands = translate_bands(source, backend, tiles, self.strength, writers)
                    source.write(image_path, bands, self.ai_label)

            write_together([*parts, paths.image(version)], write)


def in_parallel(
    items: Iterable[Item], task: Callable[[Item], None], workers: int
) -> Generator[tuple[Item, Future[None]]]:
    """Run a task on each item in threads, and yield items with their futures in order.

    Pillow and torch release Python's global lock. With several workers, each of them computes with one thread. If the
    iteration is left early, running tasks finish and no other one starts. A single worker is this thread itself, so
    that Ctrl-C also stops a task that takes long.
    """
    if workers == 1:
        yield from ((item, _run(task, item)) for item in items)
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    submitted: deque[tuple[Item, Future[None]]] = deque()
    try:
        with ThreadPoolExecutor(workers) as pool:
            try:
                for item in items:
                    submitted.append((item, pool.submit(task, item)))
                    if len(submitted) > QUEUED_PER_WORKER * workers:
                        yield _wait_for_first(submitted)
                while submitted:
                    yield _wait_for_first(submitted)
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
    finally:
        torch.set_num_threads(threads)


def plan_versions(to: str, options: TranslateOptions) -> list[Version]:
    """The results of each input: one, or one for each sample or each step of an interpolation."""
    if steps := options.interpolate:
        targets = [f"{options.source}>{to}@{step / (steps - 1)}" for step in range(steps)]
        return [Version(f".{number}", target) for number, target in enumerate(targets, start=1)]
    if options.samples == 1:
        return [Version("", to)]
    return [Version(f".{sample + 1}", to, sample) for sample in range(options.samples)]


def _translate_all(
    pending: Sequence[OutputPaths],
    model: str | Path,
    torch_backends: Mapping[str, TorchBackend],
    options: TranslateOptions,
    parts: bool,
    summary: Summary,
    console: Console,
) -> None:
    """Translate the files and add the outcomes to the summary."""
    report = partial(_print, console)

    def track_bands(bands: Sequence[Span]) -> Iterable[Span]:
        return track(bands, "translating", console=console, transient=True, disable=options.video)

    backend = next(iter(torch_backends.values()))
    view = tiles_view(backend, options.tile_size, track_bands) if options.tiles else _view(options, model, report)
    # The face detector is not thread-safe, and a video's frames depend on those before.
    sequential = options.faces or options.video or isinstance(view, Tiles)
    jobs = 1 if sequential else options.jobs or max(1, min(len(pending), available_cores()))
    images = len(pending) * (FRAMES_PER_VIDEO if options.video else 1)
    # Only torch normalises tiles by statistics of the whole image.
    runtime = "torch" if options.tiles and options.backend == "auto" else options.backend
    request = RuntimeRequest(model_folder(model), runtime, images, threads=1 if jobs > 1 else 0)
    backends = {version: choose_backend(backend, request, report) for version, backend in torch_backends.items()}

    def track_frames(frames: Iterable[None], count: int) -> Iterable[None]:
        return track(frames, "translating", total=count or None, console=console)

    def video_task(paths: OutputPaths) -> None:
        translate_video(paths, backends[""], smooth(view), options.strength, track_frames, options.ai_label)

    max_pixels = free_memory() / (MIN_BYTES_PER_PIXEL * jobs)
    image_task = ImageTask(backends, view, options.strength, parts, options.bits, options.ai_label, max_pixels)
    outcomes = in_parallel(pending, video_task if options.video else image_task, jobs)
    has_own_bars = options.video or isinstance(view, Tiles)
    for paths, outcome in track(outcomes, "translating", len(pending), console=console, disable=has_own_bars):
        try:
            outcome.result()
            summary.translated += 1
        except NothingToTranslate as error:
            summary.copied[paths.source] = str(error)
            report(f"copied {paths.source}: {error}")
        except (Unreadable, UnwritableName) as error:
            summary.skipped[paths.source] = str(error)
            report(f"skipped {error}")


def _view(options: TranslateOptions, model: str | Path, report: Callable[[str], None]) -> View:
    if not options.faces:
        return whole_image
    if options.align_like:
        finder = FaceFinder()
        return Faces(finder, alignment_like(Path(options.align_like), finder, options.bits))
    hint = "name a folder of images like the training images with --align-like DIR"
    return faces_view(model, lambda sentence: report(f"{sentence}; {hint}"))


def tiles_view(backend: TorchBackend, tile_size: int | None = None, track_bands: TrackBands = iter) -> View:
    """The view of a model by tiles. Raises `UserError` if it has none, or none of this size."""
    if backend.method.depends_on_place:
        raise UserError("this model changes the middle of an image, which tiles do not know: leave out --tiles")
    if not backend.fixed_size:
        return Tiles(tile_size or TILE_SIZE, backend.halo(), track_bands)
    if tile_size:
        raise UserError(
            f"this model only takes squares of {backend.size} px, so its tiles have this size: leave out --tile-size"
        )
    return BlendedTiles()


def _copy(image: ImageFile, source: Path, target: Path) -> None:
    if source.suffix == target.suffix:
        write_atomic(target, partial(shutil.copyfile, source))
    else:
        image.save(target)


def _save_parts(prediction: LazyPrediction, paths: OutputPaths, version: str, ai_label: bool) -> None:
    for part, image in part_images(prediction, ai_label).items():
        write_atomic(paths.part(version + part), image.save)


def _run(task: Callable[[Item], None], item: Item) -> Future[None]:
    outcome: Future[None] = Future()
    try:
        outcome.set_result(task(item))
    except Exception as error:  # it is raised where the result is read
        outcome.set_exception(error)
    return outcome


def _wait_for_first(submitted: deque[tuple[Item, Future[None]]]) -> tuple[Item, Future[None]]:
    item, future = submitted.popleft()
    future.exception()
    return item, future


def _print(console: Console, message: str) -> None:
    # File names are no markup, and a message stays on one line.
    console.print(message, markup=False, highlight=False, soft_wrap=True)
