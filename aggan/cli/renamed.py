"""Names that are not ours: those from before a change, and those of other programs. A sentence names ours."""

from collections.abc import Sequence
from itertools import pairwise

from aggan.errors import UserError

VERBS = {"systems": "methods"}
OPTIONS = {
    "train": {
        "--training.begin-with": "--training.init-from",
        "--training.recompute": "--training.activation-checkpointing",
        "--method.ramp-steps": "--method.remedies.ramp-steps",
        "--method.lambda-band": "--method.remedies.lambda-band",
        "--method.mask-band": "--method.remedies.mask-band",
        "--method.lambda-content": "--method.remedies.lambda-content",
        "--method.discriminator-rate": "--method.remedies.discriminator-lr-scale",
        "--method.augment": "--training.augment",
        "--method.remedies.augment": "--training.augment",
        "--method.encoder-rate": "--method.encoder-lr-scale",
    },
    "quickstart": {"--system": "--method"},
    "translate": {"--like": "--align-like", "--missing": "--skip-existing", "--path": "--interpolate"},
    "evaluate": {
        "--answers": "--ground-truth",
        "--photographs": "--classifier",
        "--pictures": "--save-images",
    },
    "export": {"--pictures": "--images"},
    "import": {"--there": "--generator-xy", "--back": "--generator-yx"},
    "study create": {
        "--misses": "--max-missed-checks",
        "--once": "--forbid-repeats",
        "--completion": "--completion-url",
    },
    "study serve": {"--rate": "--rate-limit-factor"},
    "study results": {"--people": "--participants"},
    "study power": {"--systems": "--methods", "--spread": "--std"},
}
"""Verb (and action): old option, new option."""
REMOVED = {"--method.mask-floor": "it was removed because it made masks collapse sooner (docs/mask.md)"}

ELSEWHERE = {
    "--out": "output output-dir out-dir save-dir work-dir checkpoints-dir logdir name",
    "--resume": "continue-train resume-from resume-from-checkpoint",
    "--recipe": "config cfg config-file",
    "--data.root": "data dataroot data-root dataset data-dir data-path",
    "--data.size": "image-size img-size resolution crop-size finesize",
    "--data.load-size": "loadsize",
    "--data.no-flip": "no-hflip",
    "--data.direction": "which-direction",
    "--training.epochs": "num-epochs n-epochs max-epochs",
    "--training.decay-after": "lr-decay-start decay-epoch",
    "--training.steps": "num-steps max-steps num-iters iterations",
    "--training.batch": "batch-size bs train-batch-size",
    "--training.optimizer": "optim opt",
    "--training.learning-rate": "lr",
    "--training.betas": "beta1 beta2",
    "--training.weight-decay": "wd",
    "--training.ema": "ema-decay",
    "--training.seed": "random-seed manual-seed",
    "--training.init-from": "pretrained checkpoint weights",
    "--training.accelerator": "device cuda gpu cpu",
    "--training.devices": "gpus gpu-ids num-gpus",
    "--training.precision": "fp16 bf16 amp mixed-precision",
    "--training.threads": "num-workers workers num-threads n-cpu",
    "--training.activation-checkpointing": "gradient-checkpointing",
    "--training.journal-every": "log-every log-interval print-freq log-step",
    "--training.save-every": "save-freq save-epoch-freq save-interval model-save-step",
    "--training.keep": "save-top-k save-total-limit max-to-keep",
    "--training.sample-every": "sample-interval sample-step display-freq",
    "--training.score-every": "eval-every eval-interval",
}
"""Options of `aggan train`, and what other programs call them."""
SPELLINGS = {
    f"--{word}": ours for ours, words in ELSEWHERE.items() for word in (*words.split(), ours.lstrip("-").split(".")[-1])
}
"""Another program's option, or ours without its section: ours."""
VALUES = {
    "--training.accelerator": dict.fromkeys(("cuda", "cuda:0", "gpus", "0"), "gpu"),
    "--training.precision": dict.fromkeys(("bf16", "bfloat16", "fp16", "16-mixed", "16", "amp"), "bf16-mixed")
    | dict.fromkeys(("fp32", "float32", "32"), "32-true"),
}
"""The same for values."""


def require_new_names(verb: str, argv: Sequence[str]) -> None:
    """Raise `UserError` if the verb or one of its options or values is called otherwise here."""
    if verb in VERBS:
        raise UserError(f"this verb is called {VERBS[verb]} now: aggan {VERBS[verb]}")
    options = OPTIONS.get(verb, {}) | OPTIONS.get(" ".join((verb, *argv[:1])), {})
    for word in argv:
        given = word.partition("=")[0].replace("_", "-")
        name = given.replace("--system.", "--method.") if verb == "train" else given
        if name in REMOVED:
            raise UserError(f"{given}: {REMOVED[name]}")
        name = options.get(name, name)
        if name != given:
            raise UserError(f"{given} is called {name} now")
    if verb == "train":
        _require_our_names(argv)


def _require_our_names(argv: Sequence[str]) -> None:
    for word, following in pairwise((*argv, "")):
        option, equals, value = word.partition("=")
        if option.startswith("--"):
            name = option.lower().replace("_", "-")
            short = "--" + name.removeprefix("--").removeprefix("training.").removeprefix("data.")
            ours = SPELLINGS.get(name) or SPELLINGS.get(short, name)
            if ours != name:
                raise UserError(f"there is no option {option}: here it is {ours}")
            value = value if equals else following
            if other := VALUES.get(name, {}).get(value):
                raise UserError(f"{option} {value}: here it is {option} {other}")
