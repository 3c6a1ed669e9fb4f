"""The training loop. It knows turns, terms and steps, and nothing of any paper.

Every random draw of a step is a function of (seed, step, process), and every schedule a function of
the step, so that weights, optimisers, pools and counters are all that a resumed run needs.
"""

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn

from aggan.data.datasets import Pictures
from aggan.errors import UserError
from aggan.methods.base import Clock, System, Turn
from aggan.methods.pretrained import ModelCard, save_model
from aggan.nn.freeze import frozen
from aggan.training import checkpoint
from aggan.training.config import Recipe
from aggan.training.ema import Average
from aggan.training.experiment import Experiment
from aggan.training.fabric import Engine
from aggan.training.log import Display, Journal, Window
from aggan.training.samples import save_sheet, sheet
from aggan.training.watch import Diverged, MaskWatch
from aggan.types import Image

Score = Callable[[System], dict[str, float]]
"""Figures of a system on held-out pictures; the first is the one to bring down."""


class Trainer:
    """Trains one system in one run folder."""

    def __init__(self, experiment: Experiment, system: System, data: Pictures, engine: Engine, run: Path) -> None:
        self.experiment, self.recipe = experiment, experiment.training
        self.system, self.data, self.engine, self.folder = system, data, engine, run
        engine.place(system)
        self.turns = system.turns()
        self.optimizers = {
            name: optimizer(self.recipe, turn, system.get_submodule(name).parameters())
            for turn in self.turns
            for name in turn.networks
        }
        self.average = Average(system, self.recipe.ema) if self.recipe.ema else None
        self.steps, self.seconds, self.best = 0, 0.0, float("inf")
        self.window, self.watch = Window(), MaskWatch(type(experiment.system).model_fields)

    # --- the loop ---------------------------------------------------------------------------------

    def run(self, display: Display, samples: list[Image], score: Score | None = None) -> bool:
        """Train to the end (True) or until SIGINT or SIGTERM (False); everything is saved either way."""
        recipe, journal = self.recipe, Journal(self.folder, self.steps) if self.engine.first else None
        pace = Pace(self.steps, self.seconds, self.progress())
        with display if self.engine.first else nullcontext(), interruptible() as interrupted:
            while (unfinished := self.progress() < 1) and not self.engine.agree(interrupted()):
                began = self.engine.now()
                self.step()
                if self._due(recipe.journal_every):
                    self._look(journal, display, pace)
                if self._due(recipe.sample_every):
                    self._sample(samples)
                if score and self._due(recipe.score_every):
                    self._score(score, journal, display)
                self.seconds = self.engine.same(self.seconds + self.engine.now() - began)
                if self._due(recipe.save_every):
                    self._look(journal, display, pace)
                    self.save()
            self._look(journal, display, pace)
            self.save()
            self._sample(samples)
        return not unfinished

    def step(self) -> None:
        """One step: the pictures are made once, then every turn that is due."""
        clock = Clock(self.steps, self.data.steps_per_epoch, self.progress())
        self.system.clock = clock
        torch.manual_seed(step_seed(self.recipe.seed, self.steps, self.engine.rank))
        rate = self.recipe.learning_rate * self.recipe.rate(self.steps, clock.steps_per_epoch, self.seconds)
        batch = self.engine.to_device(self.data.at(self.steps))
        with self.engine.precision():
            made = self.system(batch)
        for turn in self.turns:
            if turn.due(clock):
                self._take(turn, batch, made, rate * turn.rate)
        for name, mask in self.system.masks(made).items():
            values = mask.detach().float()
            self.window.add(self.steps, {f"{name} mean": values.mean(), f"{name} spread": values.std(correction=0)})
        self.steps += 1
        if self.average:
            self.average.update(self.steps)

    def _take(self, turn: Turn, batch: Any, made: Any, rate: float) -> None:
        learners = {name: self.system.get_submodule(name) for name in turn.networks}
        spectators = [self.system.get_submodule(name) for name in self.optimizers if name not in learners]
        with frozen(*spectators), self.engine.precision():
            terms = turn.loss(batch, made)
        self.engine.backward(torch.stack(list(terms.values())).sum())
        self.engine.share_gradients(p for network in learners.values() for p in network.parameters())
        for name in learners:
            optimizer = self.optimizers[name]
            optimizer.param_groups[0]["lr"] = rate
            optimizer.step()
            optimizer.zero_grad()
        turn.after()
        self.window.add(self.steps, terms)

    # --- between the steps ------------------------------------------------------------------------

    def progress(self) -> float:
        """The share of the training that is done."""
        return self.recipe.progress(self.steps, self.data.steps_per_epoch, self.seconds)

    def _due(self, every: int) -> bool:
        return every > 0 and self.steps % every == 0

    def _look(self, journal: Journal | None, display: Display, pace: "Pace") -> None:
        figures = self._figures()
        if journal is None or not figures:
            return
        rate, left = pace.at(self.steps, self.seconds, self.progress())
        epoch, memory = self.steps // self.data.steps_per_epoch, self.engine.peak_memory()
        journal.write(self.steps, epoch=epoch, seconds=self.seconds, memory=memory, **figures)
        display.show(self.steps, self.progress(), rate, left, figures)
        means = {name.removesuffix(" mean"): value for name, value in figures.items() if name.endswith(" mean")}
        for warning in self.watch.look(self.steps, means):
            journal.write(self.steps, warning=warning)
            display.warn(warning)

    def _figures(self) -> dict[str, float]:
        """What the window holds; if it is not finite anywhere, all processes stop together."""
        figures, wrong = {}, ""
        try:
            figures = self.window.empty_out()
        except Diverged as why:
            wrong = str(why)
        if told := next(filter(None, self.engine.gather(wrong)), None):
            raise Diverged(told)
        return figures

    @torch.no_grad()
    def _sample(self, samples: list[Image]) -> None:
        if not (self.engine.first and self.recipe.sample_every):
            return
        with self._translating(), self.engine.precision():
            sheets = sheet(self.system, [self.engine.to_device(pictures) for pictures in samples])
        save_sheet(self.folder / "samples" / f"step-{self.steps:06}.png", sheets, self.system.task.size)

    def _score(self, score: Score, journal: Journal | None, display: Display) -> None:
        self._require_finite_weights()
        if journal is None:
            return
        with self._translating(), self.engine.precision():
            figures = score(self.system)
        journal.write(self.steps, scores=figures)
        name, value = next(iter(figures.items()))
        if value < self.best:
            self.best = value
            self._save_model("best")
            display.say(f"step {self.steps}: best so far, {name} {value:.4g}")

    @contextmanager
    def _translating(self) -> Iterator[None]:
        """The system as a user would have it: in eval mode, with averaged weights where there are any."""
        self.system.eval()
        with self.average.in_place() if self.average else nullcontext():
            yield
        self.system.train()

    # --- state ------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write the checkpoint and the last model; weights that are not finite are never written."""
        self._require_finite_weights()
        state = self.system.state_dict()
        ranks = self.engine.gather(self._own_state(state))
        if self.engine.first:
            checkpoint.save(
                self.folder,
                {
                    "steps": self.steps,
                    "seconds": self.seconds,
                    "best": self.best,
                    "domains": self.system.task.domains,
                    "system": state,
                    "ranks": ranks,
                    "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
                    "average": self.average.state if self.average else {},
                },
            )
            self._save_model("last")

    def load(self) -> None:
        """Go on from the run's checkpoint; raises `UserError` where that cannot be."""
        state = checkpoint.load(self.folder)
        self.steps, self.seconds, self.best = state["steps"], state["seconds"], state["best"]
        ranks = state["ranks"]
        if len(ranks) != self.engine.world:
            raise UserError(
                f"{self.folder} was trained by {len(ranks)} processes, and here are {self.engine.world}: "
                f"resume it with as many (--training.devices {len(ranks)}, or torchrun, or srun)"
            )
        if (known := state.get("domains", here := self.system.task.domains)) != here:
            raise UserError(f"{self.folder} learned the domains {', '.join(known)}, but its data are {', '.join(here)}")
        self.system.load_state_dict(state["system"] | ranks[self.engine.rank])
        for name, optimizer in self.optimizers.items():
            asked = {key: value for key, value in optimizer.param_groups[0].items() if key != "params"}
            optimizer.load_state_dict(state["optimizers"][name])
            optimizer.param_groups[0].update(asked)  # or it would have the settings of before
        if self.average:
            self.average.load(state["average"] or self.system.translators_state())

    def _own_state(self, state: dict[str, Any]) -> dict[str, Any]:
        """What each process has for itself: its pools and its running statistics."""
        shared = {name for name, _ in self.system.named_parameters()}
        return {key: value for key, value in state.items() if key not in shared}

    def _require_finite_weights(self) -> None:
        for name, parameter in self.system.named_parameters():
            if not torch.isfinite(parameter).all():
                raise Diverged(f"the weight {name} is not finite before step {self.steps}")

    def _save_model(self, name: str) -> None:
        card = ModelCard(
            system=self.experiment.system,
            domains=self.system.task.domains,
            size=self.system.task.size,
            codes=self.system.task.codes,
            steps=self.steps,
        )
        state = self.average.state if self.average else self.system.translators_state()
        save_model(self.folder / name, card, state)


def optimizer(recipe: Recipe, turn: Turn, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """What moves a network: the recipe's, with the turn's own momentum terms where it has any."""
    betas = turn.betas or recipe.betas
    if recipe.optimizer == "rmsprop":
        return torch.optim.RMSprop(parameters, recipe.learning_rate, betas[1], weight_decay=recipe.weight_decay)
    return torch.optim.Adam(parameters, recipe.learning_rate, betas, weight_decay=recipe.weight_decay, fused=True)


class Pace:
    """Rate and time left, from where this process began."""

    def __init__(self, steps: int, seconds: float, progress: float) -> None:
        self._begin = steps, seconds, progress

    def at(self, steps: int, seconds: float, progress: float) -> tuple[float, float]:
        """Steps a second, and seconds left."""
        first, before, done = self._begin
        elapsed = max(seconds - before, 1e-9)
        return (steps - first) / elapsed, elapsed * (1 - progress) / max(progress - done, 1e-9)


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Inside, the first SIGINT or SIGTERM only sets a flag; a second one acts as usual."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread may take signals
        yield lambda: False
        return
    received: list[int] = []
    usual = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def receive(number: int, frame: object) -> None:
        received.append(number)
        signal.signal(number, usual[signal.Signals(number)])

    for number in usual:
        signal.signal(number, receive)
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)


def step_seed(seed: int, step: int, rank: int) -> int:
    """A number of its own for each run, step and process (multiplicative mixing to 63 bits)."""
    mixed = (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + rank * 0x94D049BB133111EB) & (2**64 - 1)
    return (mixed ^ (mixed >> 31)) & (2**63 - 1)
