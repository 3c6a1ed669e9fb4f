"""Reads what earlier versions of the file formats called otherwise: experiment.json, config.json and journal.jsonl.

Each function takes the parsed JSON of a file and returns it in today's names; what is of today already is returned as
it is. Checkpoints of version 1 are not converted: a new run starts from their model with `--training.init-from`.
"""

from typing import Any, Final

Json = dict[str, Any]

EXPERIMENT_VERSION: Final = 3
CARD_VERSION: Final = 2
REMEDIES = {
    "ramp_steps": "ramp_steps",
    "lambda_band": "lambda_band",
    "mask_band": "mask_band",
    "lambda_content": "lambda_content",
    "discriminator_rate": "discriminator_lr_scale",
    "augment": "augment",
}
TRAINING = {"begin_with": "init_from", "recompute": "activation_checkpointing"}
METHOD = {"system": "method", "encoder_rate": "encoder_lr_scale"}
RELEASED_DOMAINS = ("generator_width", "generator_blocks", "discriminator_width", "critic_steps", "released_init")
DELETED = {"mask_floor"}
"""Settings that never changed what a trained model computes."""
NOT_LOSSES = {"step", "epoch", "seconds", "memory", "scores", "warning", "losses", "masks", "augment"}
MASKS = {" mean": "mean", " spread": "std"}


def migrate_experiment(content: Json) -> Json:
    """The content of an experiment.json."""
    version = content.get("version")
    if version not in (1, 2, EXPERIMENT_VERSION):
        return content
    rest = {key: value for key, value in content.items() if key not in ("version", "system", "method", "training")}
    method = _method_of_1(content["system"]) if version == 1 else content["method"]
    method, augment = _without_augment(_released_domains(method))
    training = {TRAINING.get(key, key): value for key, value in content.get("training", {}).items()}
    return {"version": EXPERIMENT_VERSION, "method": method, "training": training | augment} | rest


def migrate_card(content: Json) -> Json:
    """The content of a model's config.json."""
    version = content.get("version")
    if version not in (1, 2):
        return content
    rest = {key: value for key, value in content.items() if key not in ("version", "system", "method")}
    method = _method_of_1(content["system"]) if version == 1 else content["method"]
    method, _ = _without_augment(_released_domains(method))
    return {"version": CARD_VERSION, "method": method} | rest


def migrate_journal_line(line: Json) -> Json:
    """A line of a journal.jsonl: losses and masks used to stand beside each other."""
    named = {key: value for key, value in line.items() if key not in NOT_LOSSES}
    if not named:
        return line
    losses, masks = {}, {}
    for key, value in named.items():
        suffix = next((suffix for suffix in MASKS if key.endswith(suffix)), None)
        if suffix:
            masks.setdefault(key.removesuffix(suffix), {})[MASKS[suffix]] = value
        else:
            losses[key] = value
    return {key: line[key] for key in line if key in NOT_LOSSES} | {"losses": losses, "masks": masks}


def _without_augment(method: Json) -> tuple[Json, Json]:
    """The augmentation of the discriminators used to be a remedy of AGGAN; now it is a setting of every training."""
    remedies = dict(method.get("remedies", {}))
    augment = {"augment": remedies.pop("augment")} if "augment" in remedies else {}
    return (method | {"remedies": remedies} if augment else method), augment


def _released_domains(method: Json) -> Json:
    """`aggan-domains-released` used to be `aggan-domains` with other settings; today it has its own."""
    if method.get("method") != "aggan-domains" or method.get("content") != "linear" or "critic_steps" not in method:
        return method
    kept = {key: method[key] for key in RELEASED_DOMAINS if key in method}
    return {"method": "aggan-domains-released", **kept}


def _method_of_1(settings: Json) -> Json:
    """AGGAN's remedies used to stand among the paper's settings."""
    nested = settings.get("system") in ("aggan", "aggan-domains")
    remedies = {REMEDIES[key]: value for key, value in settings.items() if nested and key in REMEDIES}
    flat = {
        METHOD.get(key, key): value
        for key, value in settings.items()
        if key not in DELETED and not (nested and key in REMEDIES)
    }
    return flat | ({"remedies": remedies} if remedies else {})
