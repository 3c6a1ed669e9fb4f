"""One table names every metric, and reads the names that results.json used to have."""

import subprocess
import sys
from pathlib import Path

import pytest

from aggan.comparison.rows import COMPARED
from aggan.errors import UserError
from aggan.metric_table import METRICS, RENAMED, RESULTS_VERSION, ROWS, documentation, migrate_results

MEASURES = Path(__file__).parents[1] / "docs" / "measures.md"


def test_numbers_are_printed_in_the_unit_of_their_metric():
    assert METRICS["classified"].heading("happy", "rendered-faces") == "classified as happy, %"
    assert METRICS["classified"].text(0.975) == "97.5"
    assert METRICS["kernel_distance"].heading("happy", "Inception v3") == "kernel distance (Inception v3)"
    assert (METRICS["psnr"].text(27.491), METRICS["psnr"].text(None), METRICS["identical"].text(3)) == (
        "27.49",
        "-",
        "3",
    )


def test_tables_compare_metrics_that_have_a_better_direction_and_an_interval():
    assert {"fooled", "classified", "psnr"} <= set(COMPARED)
    assert not {"change", "mask_mean", "identical", "psnr_pooled"} & set(COMPARED)


@pytest.mark.skipif(not MEASURES.exists(), reason="docs/ is not in source distributions")
def test_the_documentation_has_the_same_table():
    assert documentation() in MEASURES.read_text(encoding="utf-8")


FORMER = {
    "version": 2,
    "to": "happy",
    "answers": "faces/test/happy",
    "seconds a picture": 0.01,
    "lpips sha256": None,
    "features": {"name": "judge", "sha256": ""},
    "rows": {
        "translation": {
            "pictures": 2,
            "judged": 0.5,
            "change where still": 1.0,
            "mask spread": 0.1,
            "intervals": {"judged": [0.1, 0.9]},
        },
        "copy the input": {"pictures": 2, "rank-1": 1.0, "intervals": {}},
        "true answer": {"pictures": 2, "ms-ssim": 1.0, "psnr pooled": None, "intervals": {}},
    },
    "each": {"name": ["judged", "ann"], "judged": [1.0, 0.0], "mask where changed": [0.5, None]},
}


@pytest.mark.parametrize("version", [1, 2])
def test_former_results_are_read_in_the_names_of_today(version):
    results = migrate_results(FORMER | {"version": version})
    assert results == {
        "version": RESULTS_VERSION,
        "to": "happy",
        "ground_truth": "faces/test/happy",
        "seconds_per_image": 0.01,
        "lpips_sha256": None,
        "classifier": "rendered-faces",
        "features": {"name": "rendered-faces", "sha256": ""},
        "rows": {
            "translation": {
                "images": 2,
                "classified": 0.5,
                "background_change": 1.0,
                "mask_std": 0.1,
                "intervals": {"classified": [0.1, 0.9]},
            },
            "identity_baseline": {"images": 2, "identity_rank1": 1.0, "intervals": {}},
            "ground_truth": {"images": 2, "ms_ssim": 1.0, "psnr_pooled": None, "intervals": {}},
        },
        "each": {"name": ["judged", "ann"], "classified": [1.0, 0.0], "mask_on_change": [0.5, None]},
    }
    assert migrate_results(results) is results


def test_results_of_a_newer_version_are_refused():
    with pytest.raises(UserError, match=r"written by a newer aggan \(version 4\): update aggan"):
        migrate_results({"version": RESULTS_VERSION + 1})


def test_every_former_name_of_a_metric_or_row_leads_to_one_of_today():
    others = {"images", "seconds_per_image", "ground_truth", "lpips_sha256"}
    assert set(RENAMED.values()) <= METRICS.keys() | ROWS.keys() | others


def test_the_metric_table_imports_no_torch():
    code = "import sys, aggan.metric_table; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
