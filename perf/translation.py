"""Time the translation of a folder of JPEGs of 681x1024 pixels with the model that ships: `python perf/translation.py`.

Compares `aggan translate` with a plain loop, each in a process of its own, in turn. For one image after the other the
plain loop decodes, runs the model in fp32, resizes mask and content, composites and encodes. Then `aggan translate`
runs once on ten times as many images, for its peak memory.
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
FACTOR = 10
"""How many times as many images the run for the peak memory has."""
MODEL, TO = "faces64", "happy"
PLAIN, TORCH, OURS = "plain loop", "aggan translate --backend torch", "aggan translate"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("translation.json"))
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3, help="runs of each variant; the median counts")
    parser.add_argument("--plain", type=Path, nargs=2, metavar=("INPUTS", "OUT"), help="only run the plain loop")
    args = parser.parse_args()
    if args.plain:
        translate_plainly(*args.plain)
        return
    with tempfile.TemporaryDirectory() as folder:
        results = measure(Path(folder), args.images, args.repeats)
    print(json.dumps(results, indent=2))
    args.out.write_text(json.dumps(results, indent=2) + "\n")


def translate_plainly(inputs: Path, out: Path) -> None:
    """The loop that one would write first."""
    import torch
    from torch.nn import functional as F

    from aggan.inference.translator import Translator, model_folder
    from aggan.methods.pretrained import load_model

    # Unlike `aggan.load`, this leaves memory contiguous and convolutions plain.
    translator = Translator(*load_model(model_folder(MODEL)))
    out.mkdir(parents=True, exist_ok=True)
    for file in sorted(inputs.iterdir()):
        image = torch.from_numpy(np.array(Pillow.open(file).convert("RGB"))).permute(2, 0, 1)[None] / 127.5 - 1
        height, width = (round(side * 64 / WIDTH / 4) * 4 for side in image.shape[-2:])
        small = F.interpolate(image, (height, width), mode="bicubic", antialias=True).clamp(-1, 1)
        _, *parts = translator.batch(small, TO).attended()
        mask, content = (F.interpolate(part, image.shape[-2:], mode="bicubic") for part in parts)
        composite = (content * mask + image * (1 - mask)).clamp(-1, 1)
        pixels = ((composite[0].permute(1, 2, 0) + 1) * 127.5).round().byte().numpy()
        Pillow.fromarray(pixels).save(out / file.name, quality=QUALITY)


def commands(inputs: Path) -> dict[str, list[str]]:
    """The command of each variant; OUT stands for its output folder."""
    translate = [sys.executable, "-m", "aggan", "translate", MODEL, str(inputs), "--to", TO, "--out", "OUT"]
    return {
        PLAIN: [sys.executable, __file__, "--plain", str(inputs), "OUT"],
        TORCH: [*translate, "--backend", "torch"],
        OURS: translate,
    }


class Usage(NamedTuple):
    """What a process used."""

    seconds: float
    megabytes: float
    """Its peak memory."""


def measure(folder: Path, images: int, repeats: int) -> dict[str, Any]:
    inputs = folder / "inputs"
    write_photographs(inputs, images)
    usages: dict[str, list[Usage]] = {variant: [] for variant in commands(inputs)}
    for repeat in range(repeats):
        for variant, command in commands(inputs).items():
            usages[variant].append(run(command, folder / f"{variant}-{repeat}"))
    plain_seconds = statistics.median(usage.seconds for usage in usages[PLAIN])
    rows = [
        {
            "variant": variant,
            "seconds": [usage.seconds for usage in usages[variant]],
            "peak, MB": max(usage.megabytes for usage in usages[variant]),
            "images per second": images / statistics.median(usage.seconds for usage in usages[variant]),
            "ratio": plain_seconds / statistics.median(usage.seconds for usage in usages[variant]),
            "difference, of 255": mean_difference(folder / f"{variant}-0", folder / f"{TORCH}-0"),
        }
        for variant in usages
    ]
    for copy in range(1, FACTOR):
        for file in sorted(inputs.iterdir())[:images]:
            os.link(file, file.with_name(f"{copy}-{file.name}"))
    peaks = {
        f"{images:,}": rows[-1]["peak, MB"],
        f"{FACTOR * images:,}": run(commands(inputs)[OURS], folder / "many").megabytes,
    }
    size = {"images": images, "width": WIDTH, "height": HEIGHT, "repeats": repeats}
    return size | {"variants": rows, "peak by number of images, MB": peaks}


def run(command: list[str], out: Path) -> Usage:
    start = time.perf_counter()
    argv = [str(out) if word == "OUT" else word for word in command]
    process = subprocess.Popen(argv, stdout=DEVNULL, stderr=DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(argv)} failed")
    return Usage(time.perf_counter() - start, usage.ru_maxrss / 1024)


def mean_difference(outputs: Path, reference: Path) -> float:
    """Mean absolute difference of the first 50 images, of 255."""
    names = sorted(path.name for path in reference.iterdir())[:50]
    return float(np.mean([np.abs(read(outputs / name) - read(reference / name)).mean() for name in names]))


def read(file: Path) -> np.ndarray:
    with Pillow.open(file) as image:
        return np.asarray(image.convert("RGB"), np.float32)


def write_photographs(folder: Path, count: int) -> None:
    """The faces that ship, enlarged and with noise, so that their JPEGs take as long as those of photographs."""
    faces = folder.with_name("faces")
    subprocess.run([sys.executable, "-m", "aggan", "data", "faces", "--out", str(faces), "--size", "128"], check=True)
    folder.mkdir()
    random, sources = np.random.default_rng(0), sorted((faces / "test" / "neutral").glob("*.png"))
    noise = random.normal(0, 6, (HEIGHT, WIDTH, 1))
    for index in range(count):
        with Pillow.open(sources[index % len(sources)]) as face:
            enlarged = face.convert("RGB").resize((WIDTH, HEIGHT), Pillow.Resampling.BICUBIC)
        pixels = np.asarray(enlarged) + np.roll(noise, index * 7, axis=0)
        Pillow.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{index:06}.jpg", quality=QUALITY)


if __name__ == "__main__":
    main()
