"""Several splits of one data set: which judgement belongs to which, and how large their test parts are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tswork.data import label_splits
from tswork.data.group_splits import OTHERS, SHARES


def split_of(made: Mapping[str, Any]) -> str:
    """A name for the split of one judgement: equal where the same items train and test. Splits by groups follow their seed."""
    spec: Mapping[str, Any] = made["data"].get("split") or {}
    if spec.get("by") != "groups":
        return "the one"
    seed = spec.get("seed")
    if seed is None:
        seed = 0 if spec.get("index") == "seed" else made["seed"]
    return f"{seed}/{split_index(made)}"


def split_index(made: Mapping[str, Any]) -> int:
    """Which of several splits was judged; with `index: seed` the seed chose it."""
    spec: Mapping[str, Any] = made["data"].get("split") or {}
    index = spec.get("index") or 0
    if index != "seed":
        return int(index)
    seed, count = int(made["seed"]), spec.get("folds") or spec.get("repeats")
    return seed % count if isinstance(count, int) else seed


def relative_test_size(made: Mapping[str, Any], *, splits: int) -> float:
    """Groups that are tested on for each one that is trained on, in one of so many splits."""
    spec: Mapping[str, Any] = made["data"].get("split") or {}
    folds, fractions, counts = (spec.get(name) for name in ("folds", "fractions", "counts"))
    if folds == "each":
        folds, fractions = splits, fractions or OTHERS
    if folds:
        left = 1 - 1 / folds
        if fractions:
            return float(1 / folds / (left * fractions[0] / sum(fractions)))
        return float(1 / folds / (left - 1 / folds if folds > 2 else left))
    shares = counts or fractions or (label_splits.SHARES if spec.get("rule") == "per_label" else SHARES)
    return float(shares[2] / shares[0])
