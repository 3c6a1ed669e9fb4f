"""Training by Ray Train's workers, on a laptop or on a cluster (the extra `ray`).

Ray starts the processes, and restarts them when one dies; they train as torchrun's do.
"""

import json
import os
from pathlib import Path

from rich.console import Console

from aggan.errors import AlreadyReported, UserError
from aggan.extras import require_module
from aggan.training.experiment import Experiment
from aggan.training.run import train


def train_on_ray(experiment: Experiment, run: Path, workers: int, failures: int = 0) -> None:
    """Train in the folder `run`, which all machines share; resume if it holds this very experiment.

    When a worker dies, Ray restarts all of them, at most `failures` times, and they resume exactly. Each worker has a
    GPU if `training.accelerator` is "gpu". Raises `UserError` with the reason if the training stops.
    """
    # Imported here, after the telemetry is forbidden.
    ray, ray_torch = (require_module(name, "ray", "training on Ray") for name in ("ray.train", "ray.train.torch"))
    config = experiment.training
    trainer = ray_torch.TorchTrainer(
        _worker,
        train_loop_config={"experiment": experiment.to_json(), "run": str(run.absolute())},
        scaling_config=ray.ScalingConfig(num_workers=workers, use_gpu=config.accelerator == "gpu"),
        torch_config=ray_torch.TorchConfig(timeout_s=int(60 * config.timeout)),
        run_config=ray.RunConfig("ray", str(run.absolute()), failure_config=ray.FailureConfig(max_failures=failures)),
    )
    try:
        trainer.fit()
    except ray.WorkerGroupError as error:
        reasons = [failure for failure in error.worker_failures.values() if not isinstance(failure, AlreadyReported)]
        raise UserError(f"training on Ray stopped: {reasons[0]}") from error


def _worker(arguments: dict[str, str]) -> None:
    """One worker's training, with the variables that torchrun would have set."""
    machines = int(os.environ["WORLD_SIZE"]) // int(os.environ["LOCAL_WORLD_SIZE"])
    os.environ |= {
        "TORCHELASTIC_RUN_ID": "ray",
        "TORCHELASTIC_RESTART_COUNT": "1",  # Ray does not say whether this is the first start
        "GROUP_RANK": os.environ["NODE_RANK"],
        "GROUP_WORLD_SIZE": str(machines),
    }
    train(Experiment.model_validate(json.loads(arguments["experiment"])), Path(arguments["run"]), Console())
