"""Shapes of all of tswork are checked while tests run; files and environment of the user are kept out."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny tensors: threads that wait for each other cost ten times the work

from jaxtyping import install_import_hook

install_import_hook("tswork", "beartype.beartype")

import pytest  # noqa: E402


@pytest.fixture
def data_root() -> Path:
    """The folder of real data sets, or a skip that says how to provide it."""
    root = os.environ.get("TSWORK_DATA")
    if not root or not Path(root).is_dir():
        pytest.skip("needs real data: set TSWORK_DATA to a folder of data sets")
    return Path(root)


@pytest.fixture(autouse=True)
def _own_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read from or written to the user's caches, and no server of theirs is spoken to."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
