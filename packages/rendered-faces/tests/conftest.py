"""Settings that all tests of the package share."""

import pytest


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AGGAN_CACHE", str(tmp_path / "cache"))
