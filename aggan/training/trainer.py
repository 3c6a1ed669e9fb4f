"""The training loop. It knows updates, loss terms and steps, and no paper.

Every random draw of a step is a function of (seed, step, process), and every schedule is a function of the step.
So weights, optimizers, image pools and counters are all that a resumed run needs.
"""

import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Generic

import torch
from torch import Tensor

from aggan.data.datasets import Dataset
from aggan.errors import UserError
from aggan.methods.base import Batch, Method, Outputs, Progress, Update
from aggan.methods.pretrained import ModelCard, save_model
from aggan.nn.discriminators import adaptive_probabilities, augment_discriminators
from aggan.nn.freeze import frozen
from aggan.training import checkpoint
from aggan.training.config import TrainingConfig
from aggan.training.ema import EMA
from aggan.training.experiment import Experiment
from aggan.training.fabric import Engine
from aggan.training.fingerprint import Fingerprint
from aggan.training.log import Display, Journal
from aggan.training.optimizer import NetworkOptimizer
from aggan.training.r1 import r1_update
from aggan.training.samples import sample_sheet, save_sheet
from aggan.training.summary import expected_space, forecast
from aggan.training.watch import Diverged, MaskStatistics, MaskWatch, MetricAccumulator
from aggan.types import Image

KEPT = "models"
"""Folder of the intermediate models."""
MEASURED_STEPS, MEASURED_SECONDS = 5, 10.0
"""Steps and seconds after which a training knows how long it will take; the first step is slow."""

Score = Callable[[Method], dict[str, float]]
"""Scores a method on the test images. The first value is the one to minimise."""


class Trainer(Generic[Batch, Outputs]):
    """Trains one method in one run folder."""

    def __init__(
        self,
        experiment: Experiment,
        method: Method[Batch, Outputs],
        dataset: Dataset[Batch],
        engine: Engine,
        run: Path,
    ) -> None:
        self.experiment, self.config = experiment, experiment.training
        self.method, self.dataset, self.engine, self.folder = method, dataset, engine, run
        if self.config.augment_target is not None and not method.adaptive_augmentation:
            raise UserError("--training.augment-target: only for methods whose discriminators learn by least squares")
        augment_discriminators(method, self.config.augment, self.config.augment_target)
        engine.setup(method)
        self.updates = method.updates()
        if self.config.r1:
            self.updates += (r1_update(method, self.config.r1),)
        self.optimizers = {
            name: NetworkOptimizer(self.config, update, method.get_submodule(name).parameters())
            for update in self.updates
            for name in update.networks
        }
        self.ema = EMA(method, self.config.ema) if self.config.ema else None
        self.steps, self.seconds = 0, 0.0
        self.best: tuple[str, float] | None = None
        """The metric of the scores and its smallest value so far."""
        self.shift = 0
        """`steps + shift` counts steps of the current batch size and data (`Progress.shift`)."""
        self.images: Fingerprint = {}
        """The images that the checkpoint says the run learns from."""
        self.losses, self.mask_means, self.mask_stds = MetricAccumulator(), MetricAccumulator(), MetricAccumulator()
        self.face: tuple[tuple[float, float], ...] = ()
        """`ModelCard.face` of the models that are saved."""
        self.watch = MaskWatch(method.mask_advice)

    # --- the loop ---------------------------------------------------------------------------------

    def run(self, display: Display, samples: list[Image], score: Score | None = None) -> bool:
        """Train to the end (True) or until SIGINT or SIGTERM (False). Everything is saved either way."""
        config, journal = self.config, Journal(self.folder, self.steps) if self.engine.is_global_zero else None
        pace = Pace(self.steps, self.seconds, self.fraction_done())
        with display if self.engine.is_global_zero else nullcontext(), interruptible() as interrupted:
            while (unfinished := self.fraction_done() < 1) and not self.engine.any_rank(
                interrupted() or display.closed
            ):
                start = self.engine.now()
                self.step()
                if self._is_due(config.journal_every):
                    self._log(journal, display)
                if self._is_due(config.sample_every):
                    self._sample(samples)
                if score and self._is_due(config.score_every):
                    self._score(score, journal, display)
                self.seconds = self.engine.broadcast(self.seconds + self.engine.now() - start)
                if journal:
                    self._report(display, pace)
                if self._is_due(config.save_every):
                    self._log(journal, display)
                    self.save(keep=config.keep)
            self._log(journal, display)
            self.save()
            self._sample(samples)
        return not unfinished

    def step(self) -> None:
        """One step: `forward` once, then every scheduled update."""
        progress = Progress(self.steps, self.dataset.steps_per_epoch, self.fraction_done(), self.shift)
        self.method.progress = progress
        torch.manual_seed(step_seed(self.config.seed, self.steps, self.engine.rank))
        learning_rate = self.learning_rate(self.config)
        batch = self.engine.to_device(self.dataset.batch(self.steps + self.shift))
        with self.engine.autocast():
            outputs: Outputs = self.method(batch)
        for update in self.updates:
            if update.when(progress):
                self._update(update, batch, outputs, learning_rate * update.lr_scale)
        masks = {name: mask.detach().float() for name, mask in self.method.masks(outputs).items()}
        self.mask_means.add(self.steps, {name: mask.mean() for name, mask in masks.items()})
        self.mask_stds.add(self.steps, {name: mask.std(correction=0) for name, mask in masks.items()})
        self.steps += 1
        if self.ema:
            self.ema.update(self.steps)

    def _update(self, update: Update[Batch, Outputs], batch: Batch, outputs: Outputs, learning_rate: float) -> None:
        learning = {name: self.method.get_submodule(name) for name in update.networks}
        others = [self.method.get_submodule(name) for name in self.optimizers if name not in learning]
        with frozen(*others), self.engine.autocast():
            terms = update.loss(batch, outputs)
        self.engine.backward(torch.stack(list(terms.values())).sum())
        self.engine.all_reduce_gradients(p for network in learning.values() for p in network.parameters())
        for name in learning:
            self.optimizers[name].step(learning_rate)
        update.after()
        self.losses.add(self.steps, terms)

    # --- between the steps ------------------------------------------------------------------------

    def fraction_done(self) -> float:
        """The fraction of the training that is done."""
        return self.config.progress(self.steps, self.dataset.steps_per_epoch, self.seconds, self.shift)

    def learning_rate(self, config: TrainingConfig) -> float:
        """The learning rate that a configuration gives the next step."""
        factor = config.lr_factor(self.steps, self.dataset.steps_per_epoch, self.seconds, self.shift)
        return config.learning_rate * factor

    def _is_due(self, interval: int) -> bool:
        return interval > 0 and self.steps % interval == 0

    def _report(self, display: Display, pace: "Pace") -> None:
        rate, seconds_left = pace.at(self.steps, self.seconds, self.fraction_done())
        display.show(self.steps, self.fraction_done(), rate, seconds_left)
        if pace.becomes_known(self.steps, self.seconds):
            steps = self.steps + round(rate * seconds_left)
            space = expected_space(self.config, self.method, self.optimizers.values(), steps, self.engine.world_size)
            display.print(forecast(seconds_left, space, self.folder))

    def _log(self, journal: Journal | None, display: Display) -> None:
        losses, means, stds = self._flush()
        if journal is None or not losses:
            return
        probabilities = adaptive_probabilities(self.method)
        journal.write(
            self.steps,
            epoch=(self.steps + self.shift) // self.dataset.steps_per_epoch,
            seconds=self.seconds,
            memory=self.engine.peak_memory(),
            losses=losses,
            masks={name: {"mean": means[name], "std": stds[name]} for name in means},
            **({"augment": probabilities} if probabilities else {}),
        )
        display.set_values(losses, means)
        masks = {name: MaskStatistics(means[name], stds[name]) for name in means}
        for notice in self.watch.check(self.steps, masks, self.method.mask_may_recover):
            journal.write(self.steps, warning=notice.text)
            (display.warn if notice.warning else display.print)(notice.text)

    def _flush(self) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
        """Mean losses, and means and standard deviations of the masks, since the last call.

        If a value is not finite in any process, all processes stop together.
        """
        values, failure = ({}, {}, {}), ""
        try:
            values = self.losses.flush(), self.mask_means.flush(), self.mask_stds.flush()
        except Diverged as error:
            failure = str(error)
        if message := next(filter(None, self.engine.gather(failure)), None):
            raise Diverged(message)
        return values

    @torch.no_grad()
    def _sample(self, samples: list[Image]) -> None:
        if not (self.engine.is_global_zero and self.config.sample_every):
            return
        with self._inference(), self.engine.autocast():
            sheet = sample_sheet(self.method, [self.engine.to_device(images) for images in samples])
        save_sheet(self.folder / "samples" / f"step-{self.steps:06}.png", sheet, self.method.task.size)

    def _score(self, score: Score, journal: Journal | None, display: Display) -> None:
        self._require_finite_weights()
        if journal is None:
            return
        with self._inference(), self.engine.autocast():
            scores = score(self.method)
        journal.write(self.steps, scores=scores)
        name, value = next(iter(scores.items()))
        if self.best is None or self.best[0] != name or value < self.best[1]:  # another metric starts anew
            self.best = name, value
            self._save_model("best")
            display.print(f"step {self.steps}: best so far, {name} {value:.4g}")

    @contextmanager
    def _inference(self) -> Iterator[None]:
        """Inside, the method is as users will have it: in eval mode, with averaged weights if there are any."""
        self.method.eval()
        with self.ema.applied() if self.ema else nullcontext():
            yield
        self.method.train()

    # --- state ------------------------------------------------------------------------------------

    def save(self, keep: int = 0) -> None:
        """Write the checkpoint and the last model, and this model beside `keep` - 1 earlier ones.

        Weights that are not finite are never written.
        """
        self._require_finite_weights()
        state = self.method.state_dict()
        ranks = self.engine.gather(self._rank_state(state))
        if self.engine.is_global_zero:
            checkpoint.save(
                self.folder,
                {
                    "steps": self.steps,
                    "seconds": self.seconds,
                    "best": self.best,
                    "shift": self.shift,
                    "steps_per_epoch": self.dataset.steps_per_epoch,
                    "images": self.images,
                    "domains": self.method.task.domains,
                    "method": state,
                    "ranks": ranks,
                    "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
                    "ema": self.ema.state if self.ema else {},
                },
            )
            self._save_model("last")
            if keep:
                self._save_model(f"{KEPT}/step-{self.steps:06}")
                for folder in kept_models(self.folder)[:-keep]:
                    shutil.rmtree(folder, ignore_errors=True)

    def load(self) -> None:
        """Load the run's checkpoint. Raises `UserError` if the training cannot resume from it."""
        state = checkpoint.load(self.folder)
        try:
            self._restore(state)
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{self.folder / checkpoint.FILE}: does not fit {self.experiment.method.method} as it is now "
                f"({checkpoint.describe_misfit(error)}), so the run cannot be resumed: start a new one, or resume it "
                "with the version of aggan that saved it"
            ) from error

    def _restore(self, state: dict[str, Any]) -> None:
        self.steps, self.seconds, self.best = state["steps"], state["seconds"], state["best"]
        ranks, domains = state["ranks"], self.method.task.domains
        if len(ranks) != self.engine.world_size:
            raise UserError(
                f"{self.folder} was trained by {len(ranks)} processes, but there are {self.engine.world_size} now: "
                f"resume it with the same number (--training.devices {len(ranks)}, or torchrun, or srun)"
            )
        if state["domains"] != domains:
            learned = ", ".join(state["domains"])
            raise UserError(f"{self.folder} learned the domains {learned}, but its data are {', '.join(domains)}")
        self.method.load_state_dict(state["method"] | ranks[self.engine.rank])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        if self.ema:
            self.ema.load(state["ema"] or self.method.inference_state_dict())
        self.images = state.get("images", {})
        epoch, past = self.dataset.steps_per_epoch, state.get("steps_per_epoch", self.dataset.steps_per_epoch)
        self.shift = (self.steps + state.get("shift", 0)) * epoch // past - self.steps

    def _rank_state(self, state: dict[str, Any]) -> dict[str, Any]:
        """What each process has for itself: image pools and running statistics."""
        shared = {name for name, _ in self.method.named_parameters()}
        return {key: value for key, value in state.items() if key not in shared}

    def _require_finite_weights(self) -> None:
        for name, parameter in self.method.named_parameters():
            if not torch.isfinite(parameter).all():
                raise Diverged(f"the weight {name} is not finite before step {self.steps}")

    def _save_model(self, name: str) -> None:
        card = ModelCard(
            method=self.experiment.method,
            domains=self.method.task.domains,
            size=self.method.task.size,
            codes=self.method.task.codes,
            face=self.face,
            bits=self.experiment.data.bits,
            steps=self.steps,
        )
        state: dict[str, Tensor] = self.ema.state if self.ema else self.method.inference_state_dict()
        save_model(self.folder / name, card, state)


def kept_models(run: Path) -> list[Path]:
    """The intermediate models of a run, the oldest first."""
    folders = {name.removeprefix("step-"): folder for folder in (run / KEPT).glob("step-*") if (name := folder.name)}
    return [folders[step] for step in sorted(filter(str.isdecimal, folders), key=int)]


class Pace:
    """Steps per second and seconds left, measured from the start of this process."""

    def __init__(self, steps: int, seconds: float, fraction_done: float) -> None:
        self._start = steps, seconds, fraction_done
        self._known = False

    def at(self, steps: int, seconds: float, fraction_done: float) -> tuple[float, float]:
        """Steps per second, and seconds left."""
        first_step, first_second, first_fraction = self._start
        elapsed = max(seconds - first_second, 1e-9)
        left = elapsed * (1 - fraction_done) / max(fraction_done - first_fraction, 1e-9)
        return (steps - first_step) / elapsed, left

    def becomes_known(self, steps: int, seconds: float) -> bool:
        """True once, when enough steps were measured for a forecast."""
        before, (first_step, first_second, _) = self._known, self._start
        self._known |= steps - first_step >= MEASURED_STEPS and seconds - first_second >= MEASURED_SECONDS
        return self._known and not before


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Inside, the first SIGINT or SIGTERM only sets a flag; the second one acts as usual."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread may handle signals
        yield lambda: False
        return
    received: list[int] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def receive(number: int, frame: object) -> None:
        received.append(number)
        signal.signal(number, handlers[signal.Signals(number)])

    for number in handlers:
        signal.signal(number, receive)
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def step_seed(seed: int, step: int, rank: int) -> int:
    """A seed for each run, step and process (multiplicative mixing to 63 bits)."""
    mixed = (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + rank * 0x94D049BB133111EB) & (2**64 - 1)
    return (mixed ^ (mixed >> 31)) & (2**63 - 1)
