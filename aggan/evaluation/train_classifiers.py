"""Train the judges on rendered people: `python -m aggan.evaluation.train_classifiers FACES`.

`FACES` is what `aggan data render judges --out FACES --size 64` wrote. Its test people are held out; how good
the judges are on them is printed, and goes into `judge/README.md` with everything needed to repeat it.
"""

import argparse
import time
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from safetensors.torch import save as to_bytes
from torch import Tensor, nn
from torch.nn import functional as F

from aggan.data.expressions import EXPRESSIONS
from aggan.data.index import INDEX, read_records
from aggan.evaluation.classifiers import FOLDER, IDENTITY, SIZE, IdentityJudge, Judge
from aggan.images.convert import read, square, to_tensor
from aggan.io import write_whole
from aggan.types import Image

EPOCHS, BATCH, RATE = 50, 64, 3e-3
SHARPNESS = 16.0
"""Factor of the cosines in front of the softmax over people."""
Network = TypeVar("Network", bound=nn.Module)


class Faces(NamedTuple):
    """Pictures of some people."""

    pictures: np.ndarray
    expression: np.ndarray
    person: np.ndarray
    visit: np.ndarray


class Recognition(nn.Module):
    """The identity judge with one direction for each person that it learns from."""

    def __init__(self, people: int) -> None:
        super().__init__()
        self.judge = IdentityJudge()
        self.people = nn.Parameter(torch.randn(people, IDENTITY))

    def forward(self, image: Image) -> Tensor:
        """Logits over the people."""
        return SHARPNESS * self.judge(image) @ F.normalize(self.people).T


def main() -> None:
    """Train both, measure on held-out people, write their weights."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("faces", type=Path)
    options.add_argument("--seed", type=int, default=0)
    asked = options.parse_args()
    torch.manual_seed(asked.seed)
    learned, held_out = (read_faces(asked.faces, split) for split in ("train", "test"))
    began = time.monotonic()
    people = int(learned.person.max()) + 1
    judge = train(Judge(), learned.pictures, learned.expression)
    save(judge, FOLDER / "expression.safetensors")
    print(confusion(judge.says(held_out.pictures), held_out.expression), flush=True)
    who = train(Recognition(people), learned.pictures, learned.person).judge
    save(who, FOLDER / "identity.safetensors")
    print(f"{len(learned.pictures)} pictures of {people} people, {time.monotonic() - began:.0f} s")
    print(f"rank-1 between two visits: {rank_one(who.identities(held_out.pictures), held_out):.1%}")


def save(judge: nn.Module, path: Path) -> None:
    """Write the weights at half precision."""
    state = {key: value.contiguous() for key, value in judge.state_dict().items()}
    half = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
    write_whole(path, lambda place: place.write_bytes(to_bytes(half)))


def read_faces(root: Path, split: str) -> Faces:
    """All pictures of a split; people are numbered from 0."""
    records = [record for record in read_records(root / INDEX) if record["split"] == split]
    pictures = np.stack([square(read(root / record["file"]), SIZE) for record in records])
    _, person = np.unique([record["person"] for record in records], return_inverse=True)
    expression = np.array([EXPRESSIONS.index(record["expression"]) for record in records])
    return Faces(pictures, expression, person, np.array([record["visit"] for record in records]))


def train(network: Network, pictures: np.ndarray, labels: np.ndarray) -> Network:
    """AdamW with a one-cycle schedule on augmented pictures; labels smoothed by 0.05."""
    truth, steps = torch.from_numpy(labels), EPOCHS * len(pictures) // BATCH
    network.train().to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for _ in range(steps):
        chosen = torch.randint(len(pictures), (BATCH,))
        images = augment(to_tensor(pictures[chosen.numpy()]))
        loss = F.cross_entropy(network(images), truth[chosen], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


def confusion(said: np.ndarray, truth: np.ndarray) -> str:
    """A table of Markdown: rows are what is shown, columns what the judge says."""
    lines = ["| | " + " | ".join(EXPRESSIONS) + " |", "|---" * (len(EXPRESSIONS) + 1) + "|"]
    for index, name in enumerate(EXPRESSIONS):
        counts = np.bincount(said[truth == index], minlength=len(EXPRESSIONS))
        lines.append(f"| {name} | " + " | ".join(str(count) for count in counts) + " |")
    return "\n".join([*lines, f"accuracy {(said == truth).mean():.2%} of {len(truth)}"])


def rank_one(vectors: np.ndarray, faces: Faces) -> float:
    """How often the nearest of the pictures of all people's other visits, with other hair and light, is one's own."""
    likeness = np.where(faces.visit[:, None] == faces.visit[None], -np.inf, vectors @ vectors.T)
    return float((faces.person[likeness.argmax(1)] == faces.person).mean())


def augment(images: Tensor) -> Tensor:
    """Mirrored, turned, moved, scaled, recoloured, blurred and noisy: what a translation may do besides."""
    n = len(images)
    turn, scale = (torch.rand(n) - 0.5) * 0.35, 1 + (torch.rand(n) - 0.5) * 0.3
    mirror = torch.where(torch.rand(n) < 0.5, -1.0, 1.0)
    rows = torch.stack((torch.cos(turn) * mirror, -torch.sin(turn), torch.sin(turn) * mirror, torch.cos(turn)), 1)
    moves = (torch.rand(n, 2, 1) - 0.5) * 0.2
    affine = torch.cat((rows.view(n, 2, 2) * scale.view(n, 1, 1), moves), 2)
    grid = F.affine_grid(affine, list(images.shape), align_corners=False)
    images = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    blurred = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="reflect"), 3, 1)
    images = torch.where(torch.rand(n, 1, 1, 1) < 0.15, blurred, images)
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * torch.rand(n, 1, 1, 1) * 1.5
    images = images * (0.6 + 0.8 * torch.rand(n, 1, 1, 1)) + (torch.rand(n, 3, 1, 1) - 0.5) * 0.5
    return images + torch.randn_like(images) * torch.rand(n, 1, 1, 1) * 0.05


if __name__ == "__main__":
    main()
