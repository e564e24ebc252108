"""Runs a benchmark as if only torch, numpy, scipy and scikit-learn were installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__")
"""


def where_few_packages_are(module: str, *arguments: str) -> str:
    """What the benchmark prints; it must end well, and say for which packages it took stand-ins."""
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", BARE, module, *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "stand-ins for jaxtyping, pydantic, pandas" in done.stdout
    return done.stdout
