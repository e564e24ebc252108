"""What a run takes of the machine."""

from __future__ import annotations

import subprocess
import sys

import pytest

KEEPS_AND_RETURNS = """
import psutil, torch
from tswork.training.runtime import release_memory
def resident():
    return psutil.Process().memory_info().rss / 2**20
blocks = [torch.ones(2**16) for _ in range(1000)]  # below the size that the system is asked for directly
last = torch.ones(2**16)  # keeps the heap from shrinking by itself
del blocks
before = resident()
release_memory()
print(before - resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other C libraries have no such call")
def test_memory_that_a_stage_freed_is_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", KEEPS_AND_RETURNS], capture_output=True, text=True, check=True)
    assert float(done.stdout) > 100
