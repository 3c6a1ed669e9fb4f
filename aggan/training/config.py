"""How long, how fast and on what a system is trained; recipes/*.yaml name such settings together."""

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from aggan.errors import UserError

RECIPES = Path(__file__).parent / "recipes"
Share = Annotated[float, Field(ge=0, lt=1)]
"""From 0 to below 1."""


class Recipe(BaseModel):
    """The defaults are the paper's (Sec. IV-A) for AR Face, Bu3dfe and RaFD.

    A length in steps or minutes replaces the epochs; the same share of it is trained at the full rate.
    On the command line a length replaces the recipe's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(default=200, ge=1, description="Length of the training.")
    decay_after: int = Field(default=100, ge=0, description="Epochs at the full rate, then linearly to 0.")
    steps: int | None = Field(default=None, ge=1, description="Length in steps, instead.")
    minutes: float | None = Field(default=None, gt=0, description="Length in minutes, instead.")
    processor_time: bool = Field(
        default=False, description="Count minutes of the processor's work, where trainings share a machine."
    )
    batch: int = Field(default=1, ge=1, description="Pictures of each domain a step (and a process).")
    optimizer: Literal["adam", "rmsprop"] = "adam"
    learning_rate: float = Field(default=1e-4, gt=0)
    betas: tuple[Share, Share] = Field(
        default=(0.5, 0.999), description="Adam's momentum terms; the second is RMSProp's decay."
    )
    weight_decay: float = Field(default=0.0, ge=0, description="Pull of the weights to 0.")
    ema: Share = Field(default=0.0, description="Decay of the generators' moving average; 0 is none.")
    seed: int = Field(default=0, ge=0, lt=2**63)
    begin_with: Path | None = Field(
        default=None,
        description="Model folder, run, or model that ships whose translators to begin with, perhaps of another size.",
    )

    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: int = Field(
        default=1, ge=1, description="Processes, one a GPU (or CPU processes); torchrun and SLURM say it themselves."
    )
    timeout: float = Field(
        default=10, gt=0, le=10_000, description="Minutes that a process waits for the others before it gives up."
    )
    precision: Literal["auto", "32-true", "bf16-mixed"] = Field(
        default="32-true", description="auto: bf16 where it is faster."
    )
    threads: int | None = Field(default=None, ge=1, description="CPU threads a process; all cores if not given.")

    recompute: bool = Field(
        default=False, description="Keep less in memory: compute the generators' layers twice, in a quarter more time."
    )

    journal_every: int = Field(default=50, ge=1, description="Steps between two looks at the losses.")
    save_every: int = Field(default=1000, ge=1, description="Steps between two checkpoints.")
    sample_every: int = Field(default=1000, ge=0, description="Steps between two sample sheets; 0 is none.")
    score_every: int = Field(
        default=0, ge=0, description="Steps between two scores of held-out pictures, which choose best/; 0 is never."
    )

    def progress(self, step: int, steps_per_epoch: int, seconds: float) -> float:
        """The share of the training that is done, at least 1 when it is over."""
        if self.minutes is not None:
            done = seconds / (60 * self.minutes)
            return max(done, step / self.steps) if self.steps else done
        return step / (self.steps or self.epochs * steps_per_epoch)

    def rate(self, step: int, steps_per_epoch: int, seconds: float) -> float:
        """The learning rate's factor: 1, then down to 0; by whole epochs where epochs count, as released."""
        if self.steps is None and self.minutes is None:
            step = step // steps_per_epoch * steps_per_epoch
        flat = min(1.0, self.decay_after / self.epochs)
        past = self.progress(step, steps_per_epoch, seconds) - flat
        return max(0.0, 1 - past / (1 - flat)) if past > 0 else 1.0


def named(name: str) -> dict[str, dict]:
    """A recipe that ships, or a YAML file: `system`, `data`, `training`, and the same `for` single systems."""
    path = RECIPES / f"{name}.yaml" if "/" not in name and not name.endswith((".yaml", ".yml")) else Path(name)
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in RECIPES.glob("*.yaml")))
        raise UserError(f"{name}: no such recipe; give a YAML file or one of {known}")
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as why:
        raise UserError(f"{path}: not YAML: {' '.join(str(why).split())}") from why
    return require_parts(settings, str(path))


def require_parts(settings: object, where: str) -> dict[str, dict]:
    """The same settings; raises `UserError` where they are not parts, each with settings."""
    if not isinstance(settings, dict) or not all(isinstance(part, dict) for part in settings.values()):
        raise UserError(f"{where}: a recipe has the parts system, data and training, each with settings")
    return settings
