"""The words that data sets have for their parts: train, validation and test."""

from __future__ import annotations

from collections.abc import Iterable

PARTS = ("train", "validation", "test")
SPLIT = "split"
"""The column of a table that names the part of each row."""
WORDS = {
    "train": "train", "training": "train",
    "validation": "validation", "val": "validation", "valid": "validation", "dev": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
EITHER = ("eval", "evaluation")
"""The test part of many corpora, and in others the validation part beside one that is called test."""


def parts_by_word(words: Iterable[str]) -> dict[str, str]:
    """The part that each word of a set stands for, capitals aside; unknown words are left out.

    `eval` is the test part of a set that calls none test, else the validation part of a set that calls none so; where a set has
    all three it stays unknown.
    """
    found = {word: WORDS[plain] for word in words if (plain := word.strip().lower()) in WORDS}
    free = next((part for part in ("test", "validation") if part not in found.values()), None)
    if free is not None:
        found |= {word: free for word in words if word.strip().lower() in EITHER}
    return found
