"""The benchmark for GPUs runs where few packages are, and counts the time of a device once."""

from __future__ import annotations

import pytest

from benchmarks.gpu import busy_seconds
from tests.benchmarks.bare import where_few_packages_are


def test_it_needs_torch_numpy_scipy_and_scikit_learn_alone() -> None:
    shown = where_few_packages_are(
        "benchmarks.gpu",
        *["--batch", "2", "--length", "16", "--sequences", "4", "--time", "20", "--steps", "1", "--windows", "30"],
    )
    lines = [line.split() for line in shown.splitlines()]
    assert [line[0] for line in lines if "windows/s" in line][:2] == ["device", "pinned" if _gpu() else "mapped"]
    assert ("no CUDA device" in shown) is not _gpu()
    assert ("busy" in shown.split("training TS2Vec")[1]) is _gpu()


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
