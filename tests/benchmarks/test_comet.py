"""The benchmark of COMET runs where few packages are, and its forms agree."""

from __future__ import annotations

import re

from tests.benchmarks.bare import where_few_packages_are


def test_it_needs_torch_numpy_scipy_and_scikit_learn_alone() -> None:
    shown = where_few_packages_are(
        "benchmarks.comet", *["--batch", "12", "--length", "16", "--plain-batch", "12", "--least", "1"]
    )
    names = [line.split("  ")[0] for line in shown.splitlines() if "plain / this" in line]
    losses = ["ours", "plain", *["ours", "products alone", "plain"] * 2]
    assert names == ["ours", "plain", *losses, "ours", "ours, channels", "plain"]
    (difference,) = re.findall(r"without draws (\S+)", shown)
    assert float(difference) < 1e-5
