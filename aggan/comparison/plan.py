"""The plan of a benchmark in YAML, and the trials that it consists of."""

from itertools import product
from pathlib import Path
from typing import Literal, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from aggan.comparison.migrate import PLAN_VERSION
from aggan.data.sample_faces import SIZES
from aggan.errors import UserError
from aggan.io import is_file_name
from aggan.methods.registry import METHODS
from aggan.training.experiment import validation_errors

PLANS = Path(__file__).parent / "plans"


class DataSet(BaseModel):
    """The folders of one data set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: Path | None = Field(
        default=None,
        description="Folder with {train,test}/DOMAIN; test images of one name in two domains are pairs. By default the "
        "rendered faces that ship.",
    )
    pairs: Path | None = Field(
        default=None, description="Folder with training pairs, for methods that learn from pairs; by default root."
    )


class Plan(BaseModel):
    """Train every method on every data set with every seed under one budget."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[2] = PLAN_VERSION
    methods: tuple[str, ...] = Field(min_length=1)
    data: dict[str, DataSet] = Field(default={"faces": DataSet()}, min_length=1, description="Data sets by name.")
    source: str = Field(default="neutral", description="The domain to translate from.")
    targets: tuple[str, ...] = Field(
        default=("happy",), min_length=1, description="The domains to translate to; the main tables compare the first."
    )
    size: int = Field(default=64, ge=16, description="Side of the images in pixels.")
    bits: int | None = Field(default=None, ge=8, le=16, description="Bits that 16-bit images really use.")
    recipe: str = Field(default="faces64", description="A recipe that ships, or a YAML file.")
    minutes: float | None = Field(default=None, gt=0, description="Budget of each training in minutes.")
    epochs: int | None = Field(default=None, ge=1, description="Or the budget in epochs.")
    threads: int | None = Field(default=None, ge=1, description="CPU threads of each training.")
    processor_time: bool = Field(default=False, description="Count minutes of processor time.")
    classifier: str | None = Field(
        default=None,
        description="Classifier of the translations, as in aggan evaluate; found from the data by default.",
    )
    inception: Path | None = Field(default=None, description="Weights of Inception v3 for the distances between sets.")
    lpips: Path | None = Field(default=None, description="Weights of AlexNet for LPIPS.")
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1, description="Seeds of every method.")
    more_seeds: dict[str, tuple[int, ...]] = Field(default={}, description="Further seeds by method.")

    @model_validator(mode="after")
    def _validate(self) -> "Plan":
        for name in self.data:
            if not is_file_name(name):
                raise ValueError(f"a data set cannot be called {name!r}: a folder is named after it")
        for name in (*self.methods, *self.more_seeds):
            if name not in METHODS:
                raise ValueError(f"no method {name!r}; there are {', '.join(METHODS)}")
        if (self.minutes is None) == (self.epochs is None):
            raise ValueError("a budget is either minutes or epochs")
        if self.size not in SIZES and any(data_set.root is None for data_set in self.data.values()):
            raise ValueError(f"the faces that ship come at {' and '.join(map(str, SIZES))} px, not {self.size}")
        return self


class Trial(NamedTuple):
    """One training of one method on one data set."""

    data: str
    method: str
    seed: int

    def folder(self, out: Path) -> Path:
        """Its folder: run/, a folder for each target domain, log.txt, commands.txt, and failure.json if it failed."""
        return out / self.data / self.method / f"seed-{self.seed}"


def list_trials(plan: Plan) -> list[Trial]:
    """All trials, data set by data set, the seeds of all methods before the further ones."""
    trials = [Trial(data, method, seed) for data, seed, method in product(plan.data, plan.seeds, plan.methods)]
    further = [(method, seed) for method, seeds in plan.more_seeds.items() for seed in seeds]
    trials += [Trial(data, method, seed) for data, (method, seed) in product(plan.data, further)]
    return list(dict.fromkeys(trials))


def read_plan(name: str) -> Plan:
    """A plan that ships, or a YAML file. Raises `UserError` if there is none, or if it is not valid."""
    path = PLANS / f"{name}.yaml" if "/" not in name and not name.endswith((".yaml", ".yml")) else Path(name)
    if not path.is_file():
        names = ", ".join(sorted(plan.stem for plan in PLANS.glob("*.yaml")))
        raise UserError(f"{name}: no such plan; give a YAML file or one of {names}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        if isinstance(content, dict) and "systems" in content:
            raise UserError(f"plan {path}: the key systems is called methods now")
        return Plan.model_validate(content)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        raise UserError(f"plan {path}: {validation_errors(error)}") from error
