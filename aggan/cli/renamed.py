"""Verbs and options with a new name: the old one is answered by a sentence that names the new one."""

from collections.abc import Sequence

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
        "--method.augment": "--method.remedies.augment",
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


def require_new_names(verb: str, argv: Sequence[str]) -> None:
    """Raise `UserError` if the verb or one of its options has a new name."""
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
