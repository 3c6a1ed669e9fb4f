"""The commands of a cell."""

from pathlib import Path
from typing import NamedTuple

from aggan.benchmark.plan import Cell, Plan, cells
from aggan.data.folders import Data, find, pictures
from aggan.errors import UserError
from aggan.systems.catalogue import CATALOGUE
from aggan.training.experiment import FILE
from aggan.training.recipe import named

RESULTS, PICTURES = "results.json", "pictures"


class Command(NamedTuple):
    """What is typed after `aggan`."""

    doing: str
    words: list[str]
    made: Path | None = None
    """The file that is there once it has been done."""


def training(plan: Plan, out: Path, cell: Cell) -> Command:
    """Train, or go on with it."""
    run = cell.folder(out) / "run"
    if (run / FILE).exists():
        return Command("training", ["train", "--resume", str(run)])
    words = ["train", cell.system, "--recipe", plan.recipe, "--out", str(run)]
    words += ["--data.root", str(root_of(plan, out, cell)), "--data.names", plan.source, *plan.targets]
    words += ["--data.size", str(plan.size), "--training.seed", str(cell.seed)]
    words += ["--training.threads", str(plan.threads)] if plan.threads else []
    words += ["--training.processor-time"] if plan.processor_time else []
    words += ["--training.minutes", str(plan.minutes)] if plan.minutes else ["--training.epochs", str(plan.epochs)]
    return Command("training", words)


class Way(NamedTuple):
    """What is tested: the pictures below a root, from one domain to another."""

    root: Path
    source: str
    to: str
    weights: tuple[str, ...] = ()
    """Further words for `evaluate`, each option before its file."""

    @property
    def inputs(self) -> Path:
        return self.root / "test" / self.source

    @property
    def others(self) -> Path:
        """Pictures of the target: true answers, or others."""
        return self.root / "test" / self.to

    @property
    def files(self) -> list[Path]:
        """All that is read, besides the model."""
        return [*pictures(self.inputs), *pictures(self.others), *map(Path, self.weights[1::2])]


def ways(root: Path, source: str, targets: tuple[str, ...], inception: Path | None, lpips: Path | None) -> list[Way]:
    """One for each target."""
    given = (("--inception", inception), ("--lpips", lpips))
    weights = tuple(word for option, path in given if path for word in (option, str(path)))
    return [Way(root, source, to, weights) for to in targets]


def require_data(plan: Plan, out: Path) -> None:
    """Raises `UserError` where what the cells will read is not there; the faces that ship always are."""
    named(plan.recipe)
    require_weights(plan.inception, plan.lpips)
    domains = plan.source, *plan.targets
    for root in {root_of(plan, out, cell) for cell in cells(plan) if plan.data[cell.data].root}:
        find(Data(root=root, names=domains))
        for domain in domains:
            pictures(root / "test" / domain)


def require_weights(*files: Path | None) -> None:
    """Raises `UserError` where one that is named is not there."""
    for file in files:
        if file and not file.is_file():
            raise UserError(f"{file}: no such file")


def test(run: Path, folder: Path, way: Way) -> Command:
    """Translate pictures that the run has never seen, and measure; where there are no pairs, against others."""
    kept, made = folder / way.to / PICTURES, folder / way.to / RESULTS
    against = "--answers" if paired(way.inputs, way.others) else "--real"
    words = ["evaluate", str(run), "--inputs", str(way.inputs), against, str(way.others)]
    words += ["--to", way.to, "--source", way.source, *way.weights, "--pictures", str(kept), "--out", str(made)]
    return Command(f"measuring {way.to}", words, made)


def paired(inputs: Path, others: Path) -> bool:
    """Whether files of one name answer each other."""
    names = [{file.relative_to(folder).with_suffix("") for file in pictures(folder)} for folder in (inputs, others)]
    return bool(names[0] & names[1])


def root_of(plan: Plan, out: Path, cell: Cell) -> Path:
    """The folder that a cell learns from."""
    source, by_pairs = plan.data[cell.data], CATALOGUE[cell.system].about.needs == "pairs"
    if source.root is None:
        return out / ("faces-pairs" if by_pairs else "faces")
    return source.pairs if by_pairs and source.pairs else source.root
