"""A study on disk: STUDY/plan.json, which holds the answer key, and STUDY/pictures/."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from aggan.errors import UserError
from aggan.io import write_whole

PLAN = "plan.json"
PICTURES = "pictures"
HTTPS = r"^https://\S+$"
CONSENT = (
    "You will see pairs of pictures. One of each pair is real, the other was made by a computer, and you say which "
    "one is real.",
    "We store which pictures you choose and how long it takes you, and not your name. If you were sent here by a "
    "service that pays you, we also store your number there, so that you can be paid.",
    "Taking part is voluntary. You can stop at any time by closing the page; your answers up to then stay stored.",
)


class Pair(BaseModel):
    """A real picture and what each system made, by file name below `pictures`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="Which person or input it is.")
    real: str
    fakes: dict[str, str] = Field(description="By system; an attention check has one, of nobody.")


class Settings(BaseModel):
    """What whoever runs a study decides."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(default="Which picture is real?", min_length=1)
    consent: tuple[str, ...] = Field(default=CONSENT, description="Paragraphs.", min_length=1)
    exposure: float = Field(default=1.0, ge=0, description="Seconds that a pair is shown; 0 until it is answered.")
    misses: int = Field(default=1, ge=0, description="With more attention checks missed, a participant is not counted.")
    once: bool = Field(default=False, description="Refuse whoever has taken part already.")
    completion: str | None = Field(default=None, pattern=HTTPS, description="Prolific's completion URL.")
    mturk: bool = Field(default=False, description="May be shown within MTurk's page, and reports back to it.")


class Plan(BaseModel):
    """All that a server needs to know of a study; whoever reads it knows which pictures are real."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    study: str = Field(description="A random name, which the answers carry too.")
    secret: str = Field(description="Pictures' names on the page come from it.")
    seed: int
    settings: Settings
    systems: tuple[str, ...] = Field(min_length=1)
    trials: int = Field(ge=1, description="Pairs that count, of each participant; the same number of each system.")
    pairs: tuple[Pair, ...]
    practice: tuple[Pair, ...]
    checks: tuple[Pair, ...] = Field(description="At most as many as trials, among which they are strewn.")

    @model_validator(mode="after")
    def _can_be_taken(self) -> "Plan":
        if len(self.checks) > self.trials:
            raise ValueError("more checks than pairs that count, so nobody can take part; create the study anew")
        return self


def read_plan(study: Path) -> Plan:
    """The plan of a study; raises `UserError` where there is none."""
    path = study / PLAN
    try:
        return Plan.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{study}: no study here; make one with: aggan study create --out {study} ...") from None
    except OSError as why:
        raise UserError(f"{path}: cannot be read: {why.strerror}") from why
    except (UnicodeDecodeError, ValidationError) as why:
        raise UserError(f"{path}: damaged, or of another version: {_first(why)}") from why


def _first(why: UnicodeDecodeError | ValidationError) -> str:
    if isinstance(why, UnicodeDecodeError):
        return str(why)
    first = why.errors()[0]
    return ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))


def write_plan(study: Path, plan: Plan) -> None:
    """Write the plan."""
    write_whole(study / PLAN, lambda partial: partial.write_text(plan.model_dump_json(indent=1), encoding="utf-8"))
