"""The benchmark of decoding runs where few packages are, and both forms write the same."""

from __future__ import annotations

from tests.benchmarks.bare import where_few_packages_are


def test_it_needs_torch_numpy_scipy_and_scikit_learn_alone() -> None:
    shown = where_few_packages_are(
        "benchmarks.decoding",
        *["--utterances", "2", "--beams", "2", "--steps", "3", "--frames", "6", "--dim", "16", "--layers", "1"],
        *["--vocabulary", "20", "--least", "1"],
    )
    assert [line.split()[0] for line in shown.splitlines() if "plain / this" in line] == ["ours", "plain"]
    assert "same tokens in 2 of 2 utterances" in shown
