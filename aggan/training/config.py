"""How long, how fast and on what a method is trained. recipes/*.yaml name such settings together."""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from aggan.errors import UserError

RECIPES = Path(__file__).parent / "recipes"
Fraction = Annotated[float, Field(ge=0, lt=1)]
"""In [0, 1)."""


class TrainingConfig(BaseModel):
    """The defaults are the paper's (Sec. IV-A) for AR Face, Bu3dfe and RaFD.

    A length in steps or minutes replaces the epochs, and the learning rate decays over the same fraction of it.
    A length on the command line replaces the recipe's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(default=200, ge=1, description="Length of the training in epochs.")
    decay_after: int = Field(
        default=100, ge=0, description="Epochs at the full learning rate; then it decays linearly to 0."
    )
    steps: int | None = Field(default=None, ge=1, description="Length in steps; replaces the epochs.")
    minutes: float | None = Field(default=None, gt=0, description="Length in minutes; replaces the epochs.")
    processor_time: bool = Field(
        default=False, description="Count minutes of processor time, for trainings that share a machine."
    )
    batch: int = Field(default=1, ge=1, description="Batch size: images per domain and step, for each process.")
    optimizer: Literal["adam", "rmsprop"] = Field(default="adam", description="Optimizer of all networks.")
    learning_rate: float = Field(default=1e-4, gt=0, description="Initial learning rate.")
    betas: tuple[Fraction, Fraction] = Field(
        default=(0.5, 0.999), description="Adam's betas; RMSProp uses the second as its smoothing constant."
    )
    weight_decay: float = Field(default=0.0, ge=0, description="Weight decay (L2).")
    ema: Fraction = Field(default=0.0, description="Decay of the generators' moving average; 0 turns it off.")
    augment: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Probability that a discriminator sees an image shifted, turned, scaled and recoloured, against "
        "overfitting.",
    )
    augment_target: float | None = Field(
        default=None,
        gt=-1,
        lt=1,
        description="Adaptive augmentation: augment rises while discriminators recognise more of their training "
        "images, and falls otherwise. 0.3 suits hundreds of images; least-squares methods only.",
    )
    r1: float = Field(
        default=0.0, ge=0, description="Weight of the R1 penalty, which keeps discriminators smooth; 0 turns it off."
    )
    seed: int = Field(default=0, ge=0, lt=2**63, description="Seed of all random numbers.")
    init_from: Path | None = Field(
        default=None,
        description="Initialise the generators from a run, a model folder, or a model that ships; sizes may differ.",
    )

    accelerator: Literal["auto", "cpu", "gpu"] = Field(default="auto", description="Where to train.")
    devices: int = Field(
        default=1, ge=1, description="Processes, one per GPU (or CPU processes); torchrun and SLURM set it themselves."
    )
    timeout: float = Field(
        default=10, gt=0, le=10_000, description="Minutes that a process waits for the others before it gives up."
    )
    precision: Literal["auto", "32-true", "bf16-mixed"] = Field(
        default="32-true",
        description="32-true is fp32; bf16-mixed computes most layers in bf16; auto takes bf16 where it is faster.",
    )
    threads: int | None = Field(
        default=None, ge=1, description="CPU threads per process; by default all cores that the process may use."
    )

    activation_checkpointing: bool = Field(
        default=False, description="Use less memory: compute the generators' layers twice, a quarter slower."
    )

    journal_every: int = Field(default=50, ge=1, description="Logging interval in steps.")
    save_every: int = Field(default=1000, ge=1, description="Steps between checkpoints.")
    keep: int = Field(
        default=0, ge=0, description="Models of the last checkpoints that stay in RUN/models; 0 keeps last/ alone."
    )
    sample_every: int = Field(default=1000, ge=0, description="Steps between sample sheets; 0 turns them off.")
    score: Literal["none", "swd", "classifier"] | None = Field(
        default=None, description="What chooses best/; found from the data by default."
    )
    classifier: str | None = Field(
        default=None,
        description="Classifier of the score: a folder that aggan classifier train wrote, rendered-faces, photographs, "
        "or a file of the latter; found by default.",
    )
    score_every: int = Field(
        default=0, ge=0, description="Steps between scores of the test images, which choose best/; 0 turns them off."
    )

    def progress(self, step: int, steps_per_epoch: int, seconds: float, shift: int = 0) -> float:
        """The fraction of the training that is done; at least 1 at the end.

        `step + shift` counts steps of the current batch size, of which `steps_per_epoch` make an epoch.
        """
        if self.minutes is not None:
            done = seconds / (60 * self.minutes)
            return max(done, step / self.steps) if self.steps else done
        return step / self.steps if self.steps else (step + shift) / (self.epochs * steps_per_epoch)

    def lr_factor(self, step: int, steps_per_epoch: int, seconds: float, shift: int = 0) -> float:
        """The learning rate's factor in [0, 1]: 1, then linearly to 0; constant within epochs if epochs count."""
        if self.steps is None and self.minutes is None:
            step -= (step + shift) % steps_per_epoch
        flat = min(1.0, self.decay_after / self.epochs)
        past = self.progress(step, steps_per_epoch, seconds, shift) - flat
        return max(0.0, 1 - past / (1 - flat)) if past > 0 else 1.0


Sections = dict[str, dict[str, Any]]
"""A recipe: `method`, `data`, `training`, and `for`: the same sections for single methods."""


def load_recipe(name: str) -> Sections:
    """A recipe that ships, or a YAML file. Raises `UserError`."""
    path = RECIPES / f"{name}.yaml" if "/" not in name and not name.endswith((".yaml", ".yml")) else Path(name)
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in RECIPES.glob("*.yaml")))
        raise UserError(f"{name}: no such recipe; give a YAML file or one of {known}")
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    return require_sections(settings, str(path))


def require_sections(settings: object, where: str) -> Sections:
    """The same settings. Raises `UserError` unless they are sections, each a mapping."""
    if not isinstance(settings, dict) or not all(isinstance(section, dict) for section in settings.values()):
        raise UserError(f"{where}: a recipe has the sections method, data and training, each with settings")
    if "system" in settings:
        raise UserError(f"{where}: the section system is called method now")
    return settings
