"""The benchmark of AutoTCL's encoder runs where few packages are, and its forms agree."""

from __future__ import annotations

import re

from tests.benchmarks.bare import where_few_packages_are


def test_it_needs_torch_numpy_scipy_and_scikit_learn_alone() -> None:
    shown = where_few_packages_are(
        "benchmarks.causal_mixture",
        *["--batch", "1", "--length", "16", "--window", "9", "--windows", "4", "--plain", "2", "--least", "1"],
    )
    training, windows = shown.split("last frame of every window")
    assert [line.split("  ")[0] for line in training.splitlines() if " s " in line] == [
        "ours",
        "ours, view by view",
        "plain",
    ]
    assert re.search(r"plain / ours \d+", windows)
    for differs in re.findall(r"difference(?: of a gradient)? (\S+)", shown):
        assert float(differs) < 1e-4
