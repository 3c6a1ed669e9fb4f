"""What a training says before its first step, and what time and disk space it expects to need after a few steps."""

import shlex
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from pydantic import BaseModel
from torch import Tensor

from aggan.data.folders import Split
from aggan.methods.base import Method
from aggan.methods.registry import AnyMethodConfig
from aggan.nn.image_pool import ImagePool
from aggan.training.config import TrainingConfig
from aggan.training.fabric import Engine
from aggan.training.log import duration
from aggan.training.optimizer import NetworkOptimizer
from aggan.training.samples import sheet_bytes

LABEL = 8
"""Characters of a label and the spaces after it."""


def describe_data(split: Split) -> list[str]:
    """What was understood of the data, and what is left out."""
    return _block("data", split.describe())


def describe_method(config: AnyMethodConfig, method: Method) -> list[str]:
    """Name, size, and the settings that are not the method's own."""
    count = sum(parameter.numel() for parameter in method.parameters())
    differences = ", ".join(_differences(config, type(config)())) or "default settings"
    return _block("method", [f"{config.method}, {count:,} parameters; {differences}"])


def _differences(config: BaseModel, default: BaseModel, prefix: str = "") -> Iterator[str]:
    for name in type(config).model_fields:
        value, usual = getattr(config, name), getattr(default, name)
        if isinstance(value, BaseModel):
            yield from _differences(value, usual, f"{prefix}{name}.")
        elif value != usual:
            yield f"{prefix}{name} {value}"


def describe_device(engine: Engine) -> list[str]:
    """Device, precision, threads and processes."""
    device = engine.fabric.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"threads: {torch.get_num_threads()}"
    processes = f", processes: {engine.world_size}" if engine.world_size > 1 else ""
    return _block("device", [f"{device}, {name}{processes}, precision: {engine.precision}"])


def describe_length(config: TrainingConfig, steps_per_epoch: int, step: int, shift: int) -> list[str]:
    """Steps and epochs, and where a resumed run is."""
    epoch = f"an epoch has {steps_per_epoch:,} steps with a batch size of {config.batch}"
    if config.minutes is not None:
        limit = f" or {config.steps:,} steps" if config.steps else ""
        length = f"{config.minutes:g} minutes{limit}; {epoch}"
    elif config.steps is not None:
        length = f"{config.steps:,} steps, {config.steps / steps_per_epoch:.1f} epochs; {epoch}"
    else:
        length = f"{config.epochs:,} epochs, {config.epochs * steps_per_epoch - shift:,} steps; {epoch}"
    epochs = (step + shift) / steps_per_epoch
    return _block("length", [length, *([f"resumes at step {step:,}, after {epochs:.2f} epochs"] if step else [])])


def describe_run(run: Path) -> list[str]:
    """Where the results go, and how to stop and resume."""
    return _block("run", [f"{run}; Ctrl-C stops it, and this resumes it: aggan train --resume {shlex.quote(str(run))}"])


def _block(label: str, sentences: Sequence[str]) -> list[str]:
    labels = (label, *("",) * len(sentences))
    return [f"{label:<{LABEL}}{sentence}" for label, sentence in zip(labels, sentences, strict=False)]


class Space(NamedTuple):
    """Disk space in bytes."""

    run: int
    """Of the run folder at the end."""
    checkpoint: int
    """Of its checkpoint: a new one is written beside the one that it replaces."""


def forecast(seconds_left: float, space: Space, run: Path) -> str:
    """Time and disk space that the rest of a training takes."""
    free = shutil.disk_usage(run).free
    enough = "" if free > space.run + space.checkpoint else f", but only {free / 1e6:,.0f} MB are free"
    return f"about {duration(seconds_left)} left; at the end {run} takes about {space.run / 1e6:,.0f} MB{enough}"


def expected_space(
    config: TrainingConfig, method: Method, optimizers: Iterable[NetworkOptimizer], steps: int, processes: int
) -> Space:
    """The disk space of a training of `steps` steps; the optimizers must have made one."""
    model = sum(map(_size, method.inference_state_dict().values()))
    weights = sum(map(_size, method.parameters()))
    moments = sum(_size(moment) for optimizer in optimizers for moment in optimizer.moments)
    pools = sum(
        pool.size * sum(map(_size, pool.stored[0]))
        for pool in method.modules()
        if isinstance(pool, ImagePool) and pool.stored
    )
    checkpoint = weights + moments + pools * processes + (model if config.ema else 0)
    models = 1 + bool(config.score_every) + config.keep
    sheets = steps // config.sample_every if config.sample_every else 0
    return Space(checkpoint + models * model + sheets * sheet_bytes(method.task), checkpoint)


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
