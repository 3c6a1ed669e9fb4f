"""What a client can choose: the options of `aggan translate` that make sense for one image. No torch is needed here."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from aggan.inference.options import TranslateOptions

MAX_SAMPLES = 16
Output = Literal["image", "mask", "content", "zip"]


class TranslateQuery(BaseModel):
    """The query of `POST /v1/translate`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    to: str = Field(max_length=200, description="The domain to translate to.")
    model: str | None = Field(
        default=None, max_length=200, description="A name that GET /v1/models lists. Default: the first one."
    )
    output: Output = Field(
        default="image",
        description="The translated image, the attention mask, the content, or all of them in a zip file.",
    )
    strength: float = Field(default=1.0, ge=0, le=1, description="Scales the mask: 0 keeps the image.")
    faces: bool = Field(default=False, description="Find and align every face, translate it, and paste it back.")
    tiles: bool = Field(default=False, description="Translate overlapping tiles at the image's own resolution.")
    png: bool = Field(default=False, description="Reply with PNG whatever the format of the image.")
    bits: int | None = Field(default=None, ge=8, le=16, description="Bits that a 16-bit image really uses.")
    source: str | None = Field(
        default=None, max_length=200, description="The domain of the image. Few methods need it."
    )
    samples: int = Field(
        default=1, ge=1, le=MAX_SAMPLES, description="Number of results of a stochastic method, in a zip file."
    )

    def options(self) -> TranslateOptions:
        """The same options for a translation of files. Raises `UserError` if one excludes another."""
        return TranslateOptions(
            strength=self.strength,
            faces=self.faces,
            tiles=self.tiles,
            png=self.png,
            masks=self.output != "image",
            bits=self.bits,
            source=self.source,
            samples=self.samples,
        )
