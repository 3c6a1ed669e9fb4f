"""`dataset.json`: what a prepared set is, and whether it is the one that is asked for."""

import hashlib
import json
from pathlib import Path
from typing import Any

from aggan.data.index import CARD, VERSION
from aggan.data.originals.photographs import Found
from aggan.data.originals.settings import Settings
from aggan.errors import UserError

Card = dict[str, Any]


def describe(name: str, settings: Settings, found: Found) -> Card:
    """All that is known before the pictures are counted; `plan` is a digest of what is to be made of what."""
    plan = hashlib.sha256()
    for split, photograph in found.planned():
        plan.update(f"{photograph.place(split)}\0{photograph.source.name}\n".encode())
    return {
        "name": name,
        "version": VERSION,
        "source": settings.title,
        "seed": settings.seed,
        "size": settings.size,
        "settings": settings.model_dump(mode="json"),
        "plan": plan.hexdigest()[:32],
    }


def require_same(folder: Path, new: Card, dst: Path) -> None:
    """Raise `UserError` unless the card in `folder` was made with the settings and the source of `new`."""
    old = _load(folder / CARD)
    before, now = ({"data set": card["name"], **card["settings"]} for card in (old, new))
    for key in now:
        if before.get(key) != now[key]:
            said = f"was made with {key} {before.get(key)}, not {now[key]}"
            raise UserError(f"{dst}: {said}: choose another folder or remove this one")
    if old.get("plan") != new["plan"]:
        raise UserError(f"{dst}: was made of other pictures than are in the source now: choose another folder")


def _load(path: Path) -> Card:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as why:
        raise UserError(f"{path}: cannot be read: {why}") from why
    if not (isinstance(found, dict) and isinstance(found.get("settings"), dict) and "name" in found):
        raise UserError(f"{path}: was not made by this command: choose another folder")
    return found
