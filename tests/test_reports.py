"""The report is one page that stands alone; the quickstart makes one from nothing."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image as Pillow

from aggan.cli.main import run
from aggan.comparison import run_report
from aggan.comparison.curves import curves

ROW = {"images": 2, "judged": 0.5, "psnr": 20.0, "mse": 3.0, "change where still": 1.25}


def prepare(folder: Path) -> None:
    results = {
        "to": "happy",
        "expression": "happy",
        "steps": 7,
        "rows": {"translation": ROW, "copy the input": ROW | {"psnr": None}},
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
    {"step": 50, "seconds": 30.0, "gan": 0.5, "M_y mean": 0.3},
    {"step": 60, "warning": "the mask <M_y> is dying"},
    {"step": 70, "scores": {"distance": 1.0}},
    {"step": 100, "seconds": 90.0, "gan": 0.4, "M_y mean": 0.1},
]


@pytest.fixture
def report(tmp_path) -> str:
    prepare(tmp_path)
    return run_report.write(tmp_path, JOURNAL, {"method": {"lambda_gan": 0.5}}).read_text(encoding="utf-8")


def test_a_report_shows_people_scores_curves_warnings_and_settings(report):
    assert report.count('<img src="data:image/png;base64,') == 2 * len(run_report.PARTS) + 4
    assert "judged happy" in report
    assert "50.0%" in report
    assert "<td>-</td>" in report
    assert report.count("<svg") == 2
    assert "1.5 minutes (7 steps)" in report
    assert "the mask &lt;M_y&gt; is dying" in report
    assert "lambda_gan" in report


def test_a_report_asks_nothing_of_any_other_machine(report):
    outside = re.findall(r'(?:src|href)="(?!data:|#)([^"]*)"', report)
    assert outside == []
    assert "@import" not in re.sub(r"@import url\(data:", "", report)


def test_reports_do_without_torch():
    code = "import sys, aggan.comparison.run_report; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_curves_pass_over_what_a_line_lacks():
    assert curves(JOURNAL, ["gan", "nothing"], "loss").count('<g id="line2d') > 0
    assert curves([], ["gan"], "loss").startswith("<svg")


@pytest.mark.slow
def test_the_quickstart_goes_the_whole_way_and_goes_on(tmp_path, capsys):
    command = ["quickstart", "--out", str(tmp_path / "quick"), "--minutes", "0.1"]
    assert run(command) == 0
    results = json.loads((tmp_path / "quick" / "results.json").read_text())
    assert (results["version"], results["rows"]["translation"]["images"]) == (2, 100)
    assert results["rows"]["copy the input"]["judged"] <= 0.1
    assert results["rows"]["true answer"]["judged"] >= 0.9
    assert "report.html" in capsys.readouterr().out
    assert run(command) == 0  # finished already: measures once more
    assert run([*command, "--method", "aggan-no-ad"]) == 2
    assert "another method" in capsys.readouterr().err
