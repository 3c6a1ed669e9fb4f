"""Optional modules: one that is not installed and one that is broken are told apart, and the cause is named."""

import sys
from pathlib import Path

import pytest

from aggan.cli.main import run
from aggan.errors import UserError
from aggan.extras import require_module

BROKEN = {
    "a library that is missing": (
        "raise ImportError('libavcodec.so.61: cannot open shared object file')",
        "libavcodec",
    ),
    "another module that is missing": ("import a_module_that_nobody_has", "No module named 'a_module_that_nobody_has'"),
    "a name that has gone": ("from pathlib import Pfad", "cannot import name 'Pfad'"),
    "an error of its own": ("raise RuntimeError('compiled for NumPy 1')", "compiled for NumPy 1"),
    "an error without a message": ("raise KeyError", "KeyError"),
}


@pytest.fixture
def module(tmp_path, monkeypatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "an_extra", raising=False)
    return tmp_path / "an_extra.py"


@pytest.mark.parametrize(("code", "cause"), BROKEN.values(), ids=BROKEN)
def test_a_broken_module_is_not_called_missing(module, code, cause):
    module.write_text(code)
    with pytest.raises(UserError, match="reading them needs an_extra, which cannot be imported") as error:
        require_module("an_extra", "video", "reading them")
    assert cause in str(error.value)
    assert "not installed" not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["an_extra", "an_extra.part", "no_such_package.part"])
def test_a_module_that_is_not_installed_is_called_missing(name):
    with pytest.raises(UserError, match=r"which is not installed: run pip install '\.\[video\]'"):
        require_module(name, "video", "reading them")


def test_a_broken_part_of_a_study_is_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("sqlmodel", "aggan.cli.study_results", "aggan.study.results", "aggan.study.database"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "sqlmodel.py").write_text("from sqlalchemy import a_name_that_has_gone")
    assert run(["study", "results", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "aggan study: results needs sqlmodel, which cannot be imported (cannot import name" in error
    assert error.count("\n") == 1


def test_a_server_library_that_raises_an_error_of_its_own_is_one_sentence(tmp_path, monkeypatch, capsys):
    pytest.importorskip("sqlmodel")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "fastapi", raising=False)
    (tmp_path / "fastapi.py").write_text("raise RuntimeError('compiled for another Python')")
    assert run(["study", "serve", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "aggan study: serve needs fastapi, which cannot be imported (compiled for another Python)" in error
    assert error.count("\n") == 1


RAY = """
import os
assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0", "imported before its telemetry was forbidden"
raise RuntimeError("imported without telemetry")
"""


def test_ray_is_imported_after_its_telemetry_is_forbidden(tmp_path, monkeypatch):
    from aggan.training.experiment import Experiment
    from aggan.training.ray import train_on_ray

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("RAY_USAGE_STATS_ENABLED", raising=False)
    for name in ("ray", "ray.train"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "__init__.py").write_text(RAY)
    with pytest.raises(UserError, match=r"training on Ray needs ray, .* \(imported without telemetry\)"):
        train_on_ray(Experiment.of("aggan", None), tmp_path / "run", workers=1)
