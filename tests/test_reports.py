"""The report of a run is one self-contained page, and the quickstart writes one."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image as Pillow

from aggan.cli.main import run
from aggan.comparison import run_report
from aggan.comparison.curves import plot, plot_losses, plot_masks
from aggan.metric_table import METRICS, RESULTS_VERSION
from aggan.training import log

ROW = {"images": 2, "classified": 0.5, "psnr": 20.0, "mse": 3.0, "background_change": 1.25}


def prepare(folder: Path) -> None:
    results = {
        "version": RESULTS_VERSION,
        "to": "happy",
        "expression": "happy",
        "steps": 7,
        "features": None,
        "rows": {"translation": ROW, "identity_baseline": ROW | {"psnr": None}},
    }
    (folder / "results.json").write_text(json.dumps(results))
    people, samples = folder / "people", folder / "run" / "samples"
    people.mkdir(parents=True)
    samples.mkdir(parents=True)
    for name in ("ann", "bob"):
        for part in run_report.PARTS:
            Pillow.new("RGB", (8, 8), "red").save(people / f"{name}.{part}.png")
    for step in range(9):
        Pillow.new("RGB", (8, 8), "blue").save(samples / f"step-{step:06}.png")


JOURNAL = [
    {"step": 50, "seconds": 30.0, "losses": {"gan": 0.5}, "masks": {"M_y": {"mean": 0.3, "std": 0.2}}},
    {"step": 60, "warning": "the mask <M_y> is collapsing"},
    {"step": 70, "scores": {"swd": 1.0}},
    {"step": 100, "seconds": 90.0, "losses": {"gan": 0.4}, "masks": {"M_y": {"mean": 0.1, "std": 0.1}}},
]


@pytest.fixture
def report(tmp_path) -> str:
    prepare(tmp_path)
    return run_report.write(tmp_path, JOURNAL, {"method": {"lambda_gan": 0.5}}).read_text(encoding="utf-8")


def test_a_report_shows_people_metrics_curves_warnings_and_settings(report):
    assert report.count('<img src="data:image/png;base64,') == 2 * len(run_report.PARTS) + 4
    for expected in ("classified as happy, %", "<td>50.0</td>", "<th>identity baseline (copy of the input)</th>"):
        assert expected in report
    assert METRICS["background_change"].explanation in report
    assert "<td>-</td>" in report
    assert report.count("<svg") == 2
    assert "1.5 minutes (7 steps)" in report
    assert "the mask &lt;M_y&gt; is collapsing" in report
    assert "lambda_gan" in report


def test_a_report_works_offline(report):
    assert re.findall(r'(?:src|href)="(?!data:|#)([^"]*)"', report) == []
    assert "@import" not in re.sub(r"@import url\(data:", "", report)


def test_a_method_without_attention_has_no_masks_in_its_report(tmp_path):
    prepare(tmp_path)
    for part in ("mask", "content"):
        for name in ("ann", "bob"):
            (tmp_path / "people" / f"{name}.{part}.png").unlink()
    journal = [{"step": 50, "seconds": 30.0, "losses": {"gan": 0.5}, "masks": {}}]
    text = run_report.write(tmp_path, journal, {}).read_text(encoding="utf-8")
    assert text.count('<img src="data:image/png;base64,') == 2 * 3 + 4
    assert "attention mask" not in text
    assert text.count("<svg") == 1


READERS = ("rows", "tables", "figures", "curves", "costs", "report", "run_report", "migrate")


def test_everything_that_only_reads_files_imports_no_torch():
    modules = ", ".join(f"aggan.comparison.{name}" for name in READERS)
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_curves_skip_lines_without_losses_or_masks():
    assert plot_losses(JOURNAL).count('<g id="line2d') > 0
    assert "M_y mean" in plot_masks(JOURNAL)
    assert "M_y std" in plot_masks(JOURNAL)
    assert (plot_losses([]), plot_masks(JOURNAL[1:3])) == ("", "")
    assert plot({}, "loss").startswith("<svg")


def test_a_curve_of_zeros_is_drawn():
    assert plot_losses([{"step": step, "losses": {"gan": 0.0}} for step in (1, 2)]).startswith("<svg")


@pytest.mark.parametrize("content", [b"\xff\n", b"[1]\n", b"\0\0\0\n"])
def test_a_damaged_journal_ends_where_the_damage_begins(tmp_path, content):
    (tmp_path / log.FILE).write_bytes(b'{"step": 1}\n' + content)
    assert log.read(tmp_path) == [{"step": 1}]


@pytest.mark.slow
def test_the_quickstart_trains_evaluates_reports_and_resumes(tmp_path, capsys):
    command = ["quickstart", "--out", str(tmp_path / "quick"), "--minutes", "0.1"]
    assert run(command) == 0
    results = json.loads((tmp_path / "quick" / "results.json").read_text())
    assert (results["version"], results["rows"]["translation"]["images"]) == (3, 100)
    assert results["rows"]["identity_baseline"]["classified"] <= 0.1
    assert results["rows"]["ground_truth"]["classified"] >= 0.9
    assert "report.html" in capsys.readouterr().out
    assert run(command) == 0  # finished already: evaluates again
    assert run([*command, "--method", "aggan-no-ad"]) == 2
    assert "another method" in capsys.readouterr().err
