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
    assert "aggan study: results needs sqlalchemy, which cannot be imported (cannot import name" in error
    assert error.count("\n") == 1
