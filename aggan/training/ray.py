"""Training by Ray Train's workers, on a laptop or on a cluster (the extra `ray`).

Ray starts the processes and starts them again when one dies; they train as torchrun's do.
"""

import os
from pathlib import Path

from ray.train import (  # pyright: ignore[reportMissingImports]
    FailureConfig,
    RunConfig,
    ScalingConfig,
    WorkerGroupError,
)
from ray.train.torch import TorchConfig, TorchTrainer  # pyright: ignore[reportMissingImports]
from rich.console import Console

from aggan.errors import AlreadySaid, UserError
from aggan.training.experiment import Experiment
from aggan.training.run import train


def train_on_ray(experiment: Experiment, run: Path, workers: int, failures: int = 0) -> None:
    """Train in the folder `run`, which all machines see, and go on there where it holds this very experiment.

    After the death of a worker Ray starts all of them again, at most `failures` times, and they go on exactly.
    Each worker has a GPU where `training.accelerator` is "gpu". Raises `UserError` for what ends the training.
    """
    recipe = experiment.training
    trainer = TorchTrainer(
        _work,
        train_loop_config={"experiment": experiment.model_dump_json(), "run": str(run.absolute())},
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=recipe.accelerator == "gpu"),
        torch_config=TorchConfig(timeout_s=int(60 * recipe.timeout)),
        run_config=RunConfig("ray", str(run.absolute()), failure_config=FailureConfig(max_failures=failures)),
    )
    try:
        trainer.fit()
    except WorkerGroupError as why:
        said = [wrong for wrong in why.worker_failures.values() if not isinstance(wrong, AlreadySaid)]
        raise UserError(f"training on Ray stopped: {said[0]}") from why


def _work(asked: dict[str, str]) -> None:
    """What each worker does, under the variables that torchrun would have set."""
    machines = int(os.environ["WORLD_SIZE"]) // int(os.environ["LOCAL_WORLD_SIZE"])
    os.environ |= {
        "TORCHELASTIC_RUN_ID": "ray",
        "TORCHELASTIC_RESTART_COUNT": "1",  # Ray does not say whether it is the first time
        "GROUP_RANK": os.environ["NODE_RANK"],
        "GROUP_WORLD_SIZE": str(machines),
    }
    train(Experiment.model_validate_json(asked["experiment"]), Path(asked["run"]), Console())
