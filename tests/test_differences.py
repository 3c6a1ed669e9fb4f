"""Differences between methods, and intervals over people and seeds."""

import json
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest

from aggan.comparison.differences import difference_table
from aggan.comparison.rows import read_rows
from aggan.metric_table import RESULTS_VERSION
from aggan.stats import bootstrap_interval, seed_error

RANDOM = np.random.default_rng(0)
PEOPLE = RANDOM.normal(30, 3, 200)
"""What is peculiar to each person, and so the same for both methods."""


def save(folder: Path, psnr: np.ndarray, kernel: tuple[float, float, float]) -> None:
    row = {
        "psnr": float(psnr.mean()),
        "kernel_distance": kernel[0],
        "intervals": {"psnr": bootstrap_interval(psnr), "kernel_distance": kernel[1:]},
    }
    each = {"name": [f"{i:03}" for i in range(len(psnr))], "psnr": psnr.tolist()}
    folder.mkdir(parents=True)
    content = {"version": RESULTS_VERSION, "rows": {"translation": row}, "each": each}
    (folder / "results.json").write_text(json.dumps(content))


@pytest.fixture
def out(tmp_path) -> Path:
    """The ablation is better by 0.5 dB for everybody, with two seeds that differ by 0.1."""
    small = RANDOM.normal(0, 0.1, 200)
    save(tmp_path / "faces/aggan/seed-0/happy", PEOPLE, (0.03, 0.02, 0.04))
    save(tmp_path / "faces/less/seed-0/happy", PEOPLE + 0.45 + small, (0.04, 0.03, 0.05))
    save(tmp_path / "faces/less/seed-1/happy", PEOPLE + 0.55 + small, (0.04, 0.03, 0.05))
    return tmp_path


def numbers(text: str) -> list[float]:
    return [float(word) for word in text.replace("(", " ").replace(")", " ").replace("to", " ").split()]


def test_people_are_compared_with_themselves(out):
    rows = read_rows(out, "faces", ["aggan", "less"], "happy", [])
    table = difference_table("Differences", out, rows, "happy")
    assert table
    (line,) = table.lines
    cells = dict(zip(table.headings, line.cells, strict=True))
    mean, low, high = numbers(cells["PSNR, dB"].text)
    assert mean == pytest.approx(0.5, abs=0.02)
    # Seeds that differ by 0.1 have a standard error of 0.05; people add next to nothing.
    assert high - low == pytest.approx(2 * 1.96 * 0.05, abs=0.02)
    assert cells["PSNR, dB"].best
    own = next(row for row in rows if row.name == "aggan").estimates["psnr"]
    assert own.high - own.low > 3 * (high - low)


def test_metrics_of_sets_are_compared_as_if_they_were_independent(out):
    rows = read_rows(out, "faces", ["aggan", "less"], "happy", [])
    table = difference_table("Differences", out, rows, "happy")
    assert table
    kernel = table.lines[0].cells[[heading.startswith("kernel") for heading in table.headings].index(True)]
    assert numbers(kernel.text) == pytest.approx([0.01, 0.01 - 0.01 * 2**0.5, 0.01 + 0.01 * 2**0.5], abs=6e-4)
    assert not kernel.best


def test_one_method_has_no_differences(out):
    assert difference_table("Differences", out, read_rows(out, "faces", ["aggan"], "happy", []), "happy") is None


def test_an_interval_over_people_and_seeds_is_wider_than_over_people(out):
    less = read_rows(out, "faces", ["less"], "happy", [])[0].estimates["psnr"]
    alone = read_rows(out, "faces", ["aggan"], "happy", [])[0].estimates["psnr"]
    assert less.high - less.low > alone.high - alone.low
    assert less.mean == pytest.approx(alone.mean + 0.5, abs=0.02)


def test_the_error_over_seeds_is_that_of_a_mean_of_normal_values():
    assert seed_error([3.0]) == 0
    values = np.random.default_rng(1).normal(5, 2, 4000)
    assert seed_error(list(values)) == pytest.approx(NormalDist().inv_cdf(0.975) * 2 / 4000**0.5, rel=0.05)
