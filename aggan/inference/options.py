"""Options of a translation of files. The command line and `translate_files` share them; no torch is needed here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aggan.errors import UserError

Runtime = Literal["auto", "torch", "torch-bf16", "onnxruntime", "openvino"]


@dataclass(frozen=True)
class TranslateOptions:
    """How files are translated."""

    strength: float = 1.0
    """Scales the attention mask: 0 keeps the image, 1 applies the whole translation."""
    faces: bool = False
    """Find and align every face, translate it, and paste it back. Needs the extra `faces`."""
    align_like: Path | None = None
    """With --faces: a folder of images like the training images, which shows how faces are aligned. Models that ship,
    and those trained with the extra `faces`, need no such folder."""
    tiles: bool = False
    """Translate the image at its own resolution, tile by tile, for models of textures and scenes. With the extra
    `tiff`, TIFFs of any size need little memory."""
    tile_size: int | None = None
    """With --tiles: the side of a tile in pixels. Larger tiles are faster and need more memory. Default: 512."""
    video: bool = False
    """The inputs are videos (mp4, m4v, mov, mkv). Sound is copied. Needs the extra `video`."""
    png: bool = False
    """Write PNG whatever the format of the source: lossless and upright."""
    masks: bool = False
    """Also write the attention mask NAME.mask.png and the content NAME.content.png, both upright."""
    ai_label: bool = True
    """Label changed images and videos as edited by AI: IPTC's DigitalSourceType in their XMP metadata."""
    bits: int | None = None
    """Bits that 16-bit images really use, 12 for many cameras. Default: those of the training images."""
    source: str | None = None
    """The domain of the input images. Few methods need it."""
    samples: int = 1
    """Number of results per image, NAME.1.png, NAME.2.png, ..., from a stochastic method."""
    interpolate: int = 0
    """Number of steps from --source to --to, NAME.1.png, NAME.2.png, ..., from a method with codes (ganimation)."""
    skip_existing: bool = False
    """Skip images whose results exist, for example to continue an interrupted command."""
    backend: Runtime = "auto"
    """The runtime. For many images, auto picks the fastest one here that agrees with torch in fp32. onnxruntime and
    openvino need the extra `export`."""
    jobs: int = 0
    """Number of images translated at a time; 0 means one per CPU core."""

    def __post_init__(self) -> None:
        """Raises `UserError` if an option is out of range or excludes another."""
        if not 0 <= self.strength <= 1:
            raise UserError(f"--strength must be between 0 and 1, not {self.strength}")
        if self.jobs < 0:
            raise UserError(f"--jobs must be 1 or more (or 0 for one per CPU core), not {self.jobs}")
        if self.bits is not None and not 8 <= self.bits <= 16:
            raise UserError(f"--bits must be between 8 and 16, not {self.bits}")
        if self.samples < 1:
            raise UserError(f"--samples must be 1 or more, not {self.samples}")
        if self.interpolate < 0 or self.interpolate == 1:
            raise UserError(f"--interpolate must be 2 or more steps, not {self.interpolate}")
        if self.faces and self.tiles:
            raise UserError("--faces and --tiles exclude each other: choose one")
        if self.tiles and self.backend in ("onnxruntime", "openvino"):
            raise UserError(
                f"--backend {self.backend} cannot normalise all tiles by one image, which --tiles needs: leave it out"
            )
        if self.tile_size is not None and not self.tiles:
            raise UserError("--tile-size only works with --tiles: add --tiles")
        if self.align_like and not self.faces:
            raise UserError("--align-like only works with --faces: add --faces")
        if self.interpolate and not self.source:
            raise UserError("--interpolate goes from --source to --to: add --source")
        if self.interpolate and self.samples > 1:
            raise UserError("--interpolate and --samples exclude each other: choose one")
        if self.video and (self.png or self.masks or self.samples > 1 or self.interpolate):
            raise UserError("--video writes one video per input: leave out --png, --masks, --samples and --interpolate")


DEFAULTS = TranslateOptions()
