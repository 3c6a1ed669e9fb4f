"""Train the judge on rendered people: `python -m aggan.evaluation.train_judge --faces DIR`.

`DIR` is what `aggan data render bu3dfe` or the like wrote for people of their own seed. A fifth of them is held
out; the accuracy on those goes into `judge/README.md` together with everything needed to repeat it.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from aggan.data.images import read, square, to_tensor
from aggan.evaluation.judges import EXPRESSIONS, FOLDER, SIZE, Judge, says

EPOCHS, BATCH, RATE = 120, 32, 2e-3


def main() -> None:
    """Train, measure on held-out people, write `judge.safetensors`."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--faces", type=Path, required=True)
    options.add_argument("--seed", type=int, default=0)
    asked = options.parse_args()
    torch.manual_seed(asked.seed)
    pictures, labels = read_faces(asked.faces)
    held_out = len(pictures) // 5 // 2 * 2
    judge = train(pictures[held_out:], labels[held_out:])
    right = says(judge, pictures[:held_out]) == labels[:held_out]
    FOLDER.mkdir(exist_ok=True)
    save_file(judge.state_dict(), FOLDER / "judge.safetensors")
    for index, name in enumerate(EXPRESSIONS):
        chosen = right[labels[:held_out] == index]
        print(f"{name}: {chosen.sum()} of {len(chosen)} held-out pictures right")


def read_faces(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (2n, 64, 64, 3) and labels (2n,), person after person."""
    splits = [split for split in ("test", "train") if (folder / split).is_dir()]
    people = [(split, file.name) for split in splits for file in sorted((folder / split / EXPRESSIONS[0]).iterdir())]
    files = [folder / split / expression / name for split, name in people for expression in EXPRESSIONS]
    pictures = np.stack([square(read(file), SIZE) for file in files])
    return pictures, np.tile(np.arange(len(EXPRESSIONS)), len(people))


def train(pictures: np.ndarray, labels: np.ndarray) -> Judge:
    """Adam with a cosine schedule on augmented pictures; labels smoothed by 0.05."""
    judge, truth = Judge().train(), torch.from_numpy(labels)
    steps = EPOCHS * len(pictures) // BATCH
    optimizer = torch.optim.AdamW(judge.parameters(), RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        chosen = torch.randint(len(pictures), (BATCH,))
        images = augment(to_tensor(pictures[chosen.numpy()]))
        loss = F.cross_entropy(judge(images), truth[chosen], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return judge.eval()


def augment(images: Tensor) -> Tensor:
    """Mirrored, turned, moved, scaled, recoloured, blurred and noisy: what a translation may do besides."""
    n = len(images)
    turn, scale = (torch.rand(n) - 0.5) * 0.35, 1 + (torch.rand(n) - 0.5) * 0.3
    mirror = torch.where(torch.rand(n) < 0.5, -1.0, 1.0)
    rows = torch.stack((torch.cos(turn) * mirror, -torch.sin(turn), torch.sin(turn) * mirror, torch.cos(turn)), 1)
    moves = (torch.rand(n, 2, 1) - 0.5) * 0.25
    affine = torch.cat((rows.view(n, 2, 2) * scale.view(n, 1, 1), moves), 2)
    grid = F.affine_grid(affine, list(images.shape), align_corners=False)
    images = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    blurred = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="reflect"), 3, 1)
    images = torch.where(torch.rand(n, 1, 1, 1) < 0.3, blurred, images)
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * torch.rand(n, 1, 1, 1) * 1.5
    images = images * (0.6 + 0.8 * torch.rand(n, 1, 1, 1)) + (torch.rand(n, 3, 1, 1) - 0.5) * 0.5
    return images + torch.randn_like(images) * torch.rand(n, 1, 1, 1) * 0.08


if __name__ == "__main__":
    main()
