"""The benchmark for GPUs runs where few packages are, and counts the time of a device once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.gpu import busy_seconds

BARE = """
import runpy, sys

ABSENT = {
    "aeon", "annotated_types", "beartype", "jaxtyping", "librosa", "lightning_fabric", "matplotlib", "mlflow", "pandas", "psutil",
    "pyarrow", "pydantic", "pydantic_core", "rich", "ruamel", "safetensors", "soundfile", "soxr", "torchaudio", "tsai", "typer",
}

class Bare:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Bare())
sys.argv = ["gpu", "--batch", "2", "--length", "16", "--sequences", "4", "--time", "20", "--steps", "1", "--windows", "30"]
runpy.run_module("benchmarks.gpu", run_name="__main__")
"""


def test_it_needs_torch_numpy_scipy_and_scikit_learn_alone() -> None:
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", BARE], cwd=root, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "stand-ins for jaxtyping, pydantic, pandas" in done.stdout
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[0] for line in lines if "windows/s" in line][:2] == ["device", "pinned" if _gpu() else "mapped"]
    assert ("no CUDA device" in done.stdout) is not _gpu()
    assert ("busy" in done.stdout.split("training TS2Vec")[1]) is _gpu()


@pytest.mark.parametrize(
    ("spans", "busy"),
    [
        ([], 0),
        ([(0, 10), (20, 5)], 15),
        ([(20, 5), (0, 10)], 15),
        ([(0, 10), (5, 10)], 15),
        ([(0, 10), (2, 3), (9, 2)], 11),
    ],
)
def test_work_that_overlaps_is_counted_once(spans: list[tuple[float, float]], busy: float) -> None:
    events = [{"cat": "kernel", "ts": start, "dur": length} for start, length in spans]
    host: list[dict[str, object]] = [{"cat": "cpu_op", "ts": 0, "dur": 1000}, {"ph": "M"}]
    assert busy_seconds([*events, *host]) == pytest.approx(busy / 1e6)


def _gpu() -> bool:
    import torch

    return torch.cuda.is_available()
