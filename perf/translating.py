"""A folder of JPEGs of 681x1024 through the model that ships: `python benchmarks/translating.py`.

`aggan translate` as a process of its own against the plain loop in another: decode, run the model in fp32 with a batch
of one, bring mask and content up, fuse, encode, one picture after the other. They take their turns. Then ten times as
many pictures once, for the peak of the memory.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from subprocess import DEVNULL
from typing import Any, NamedTuple

import numpy as np
from PIL import Image as Pillow

WIDTH, HEIGHT, QUALITY = 681, 1024, 90
TEN = 10
MODEL, TO = "faces64", "happy"
OURS, REFERENCE = "aggan translate", "aggan translate --backend torch"
WORDS = ["translate", MODEL, "INPUTS", "--to", TO, "--out", "OUT"]
WAYS = {REFERENCE: [*WORDS, "--backend", "torch"], OURS: WORDS}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, default=Path("translating.json"))
    options.add_argument("--pictures", type=int, default=1000)
    options.add_argument("--times", type=int, default=3)
    options.add_argument("--plainly", type=Path, nargs=2, metavar=("INPUTS", "OUT"), help="run the plain loop, here")
    asked = options.parse_args()
    if asked.plainly:
        return plainly(*asked.plainly)
    with tempfile.TemporaryDirectory() as room:
        found = _measured(Path(room), asked.pictures, asked.times)
    print(json.dumps(found, indent=2))
    asked.out.write_text(json.dumps(found, indent=2) + "\n")
    return None


def plainly(inputs: Path, out: Path) -> None:
    """As one would write it first."""
    import torch
    from torch.nn import functional as F

    from aggan.inference.translator import Translator, folder_of
    from aggan.methods.pretrained import load_model

    translator = Translator(*load_model(folder_of(MODEL)))  # as it lies on disk: `aggan.load` makes it quick
    out.mkdir(parents=True, exist_ok=True)
    for file in sorted(inputs.iterdir()):
        picture = torch.from_numpy(np.array(Pillow.open(file).convert("RGB"))).permute(2, 0, 1)[None] / 127.5 - 1
        height, width = (round(side * 64 / WIDTH / 4) * 4 for side in picture.shape[-2:])
        small = F.interpolate(picture, (height, width), mode="bicubic", antialias=True).clamp(-1, 1)
        made = translator.batch(small, TO)
        mask, content = (F.interpolate(part, picture.shape[-2:], mode="bicubic") for part in (made.mask, made.content))
        fused = (content * mask + picture * (1 - mask)).clamp(-1, 1)
        pixels = ((fused[0].permute(1, 2, 0) + 1) * 127.5).round().byte().numpy()
        Pillow.fromarray(pixels).save(out / file.name, quality=QUALITY)


def _measured(room: Path, pictures: int, times: int) -> dict[str, Any]:
    inputs = room / "inputs"
    _photographs(inputs, pictures)
    commands = {"the plain loop": [sys.executable, __file__, "--plainly", str(inputs), "OUT"]}
    for way, words in WAYS.items():
        commands[way] = [sys.executable, "-m", "aggan", *(str(inputs) if word == "INPUTS" else word for word in words)]
    told: dict[str, list[Told]] = {way: [] for way in commands}
    for number in range(times):
        for way, command in commands.items():
            told[way].append(_told(command, room / f"{way}-{number}"))
    plain, reference = statistics.median(one.seconds for one in told["the plain loop"]), room / f"{REFERENCE}-0"
    ways = [_row(way, told[way], plain, pictures, room / f"{way}-0", reference) for way in commands]
    for number in range(1, TEN):
        for file in sorted(inputs.iterdir())[:pictures]:
            os.link(file, file.with_name(f"{number}-{file.name}"))
    many = {
        f"{pictures:,}": ways[-1]["peak, MB"],
        f"{TEN * pictures:,}": _told(commands[OURS], room / "many").megabytes,
    }
    size = {"pictures": pictures, "width": WIDTH, "height": HEIGHT, "times": times}
    return size | {"ways": ways, "peak of so many pictures, MB": many}


class Told(NamedTuple):
    """What a process took."""

    seconds: float
    megabytes: float
    """Its peak."""


def _told(command: list[str], out: Path) -> Told:
    began = time.perf_counter()
    process = subprocess.Popen([str(out) if w == "OUT" else w for w in command], stdout=DEVNULL, stderr=DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return Told(time.perf_counter() - began, usage.ru_maxrss / 1024)


def _row(way: str, told: list[Told], plain: float, pictures: int, made: Path, reference: Path) -> dict[str, Any]:
    names = sorted(path.name for path in reference.iterdir())[:50]
    apart = [np.abs(_pixels(made / name) - _pixels(reference / name)).mean() for name in names]
    seconds = statistics.median(one.seconds for one in told)
    return {
        "way": way,
        "seconds": [one.seconds for one in told],
        "peak, MB": max(one.megabytes for one in told),
        "pictures a second": pictures / seconds,
        "ratio": plain / seconds,
        "difference, of 255": float(np.mean(apart)),
    }


def _pixels(file: Path) -> np.ndarray:
    with Pillow.open(file) as picture:
        return np.asarray(picture.convert("RGB"), np.float32)


def _photographs(folder: Path, count: int) -> None:
    """The faces that ship, enlarged, with grain: JPEGs take as long as photographs do."""
    faces = folder.with_name("faces")
    subprocess.run([sys.executable, "-m", "aggan", "data", "faces", "--out", str(faces), "--size", "128"], check=True)
    folder.mkdir()
    random, sources = np.random.default_rng(0), sorted((faces / "test" / "neutral").glob("*.png"))
    grain = random.normal(0, 6, (HEIGHT, WIDTH, 1))
    for index in range(count):
        with Pillow.open(sources[index % len(sources)]) as face:
            large = face.convert("RGB").resize((WIDTH, HEIGHT), Pillow.Resampling.BICUBIC)
        pixels = np.asarray(large) + np.roll(grain, index * 7, axis=0)
        Pillow.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{index:06}.jpg", quality=QUALITY)


if __name__ == "__main__":
    main()
