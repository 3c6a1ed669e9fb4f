"""What a benchmark compares: a plan in YAML, and the cells that it is made of."""

from itertools import product
from pathlib import Path
from typing import Literal, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from aggan.data.sample_faces import SIZES
from aggan.errors import UserError
from aggan.methods.registry import CATALOGUE
from aggan.training.experiment import mistakes

PLANS = Path(__file__).parent / "plans"


class Source(BaseModel):
    """A data set: `root` holds {train,test}/DOMAIN, and files of one name in two test domains answer each other."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: Path | None = Field(default=None, description="Its folder; the faces that ship if left out.")
    pairs: Path | None = Field(default=None, description="The folder for systems that learn from pairs, if another.")


class Plan(BaseModel):
    """Every system is trained on every data set with every seed, under one budget."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    systems: tuple[str, ...] = Field(min_length=1)
    data: dict[str, Source] = Field(default={"faces": Source()}, min_length=1)
    source: str = "neutral"
    targets: tuple[str, ...] = Field(default=("happy",), min_length=1, description="The first is what tables compare.")
    size: int = Field(default=64, ge=16)
    recipe: str = "faces64"
    minutes: float | None = Field(default=None, gt=0, description="Budget of each training.")
    epochs: int | None = Field(default=None, ge=1, description="The same in epochs, instead.")
    threads: int | None = Field(default=None, ge=1, description="CPU threads of each training.")
    processor_time: bool = Field(default=False, description="Count the processor's minutes, not the clock's.")
    inception: Path | None = Field(default=None, description="Inception v3's weights for the distances between sets.")
    lpips: Path | None = Field(default=None, description="AlexNet's weights for the perceptual distance.")
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1)
    more_seeds: dict[str, tuple[int, ...]] = Field(default={}, description="Further seeds of single systems.")

    @model_validator(mode="after")
    def _fits(self) -> "Plan":
        for name in (*self.systems, *self.more_seeds):
            if name not in CATALOGUE:
                raise ValueError(f"no system {name!r}; there are {', '.join(CATALOGUE)}")
        if (self.minutes is None) == (self.epochs is None):
            raise ValueError("a budget is either minutes or epochs")
        if self.size not in SIZES and any(source.root is None for source in self.data.values()):
            raise ValueError(f"the faces that ship come at {' and '.join(map(str, SIZES))} px, not {self.size}")
        return self


class Cell(NamedTuple):
    """One training of one system on one data set."""

    data: str
    system: str
    seed: int

    def folder(self, out: Path) -> Path:
        """Where all about it lies: run/, a folder for each target, log.txt, commands.txt, or failure.json."""
        return out / self.data / self.system / f"seed-{self.seed}"


def cells(plan: Plan) -> list[Cell]:
    """All cells, one data set after the other, first seeds first."""
    found = [Cell(data, system, seed) for data, seed, system in product(plan.data, plan.seeds, plan.systems)]
    more = [(system, seed) for system, seeds in plan.more_seeds.items() for seed in seeds]
    return list(dict.fromkeys(found + [Cell(data, *rest) for data, rest in product(plan.data, more)]))


def read_plan(name: str) -> Plan:
    """A plan that ships, or a YAML file; raises `UserError`."""
    path = PLANS / f"{name}.yaml" if "/" not in name and not name.endswith((".yaml", ".yml")) else Path(name)
    if not path.is_file():
        known = ", ".join(sorted(plan.stem for plan in PLANS.glob("*.yaml")))
        raise UserError(f"{name}: no such plan; give a YAML file or one of {known}")
    try:
        return Plan.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError) as why:
        raise UserError(f"{path}: not YAML: {' '.join(str(why).split())}") from why
    except ValidationError as why:
        raise UserError(f"plan {path}: {mistakes(why)}") from why
