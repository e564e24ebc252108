"""SLU-F1 as its definition tells it, with fractions and a recursive edit distance."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache


def edit_distance(first: Sequence[object], second: Sequence[object]) -> int:
    """Levenshtein's recursion."""

    @cache
    def of(i: int, j: int) -> int:
        if i == 0 or j == 0:
            return i + j
        kept = of(i - 1, j - 1) + (first[i - 1] != second[j - 1])
        return min(kept, of(i - 1, j) + 1, of(i, j - 1) + 1)

    return of(len(first), len(second))


def slu_f1(truth: Sequence[Sequence[tuple[str, str]]], predicted: Sequence[Sequence[tuple[str, str]]]) -> float:
    """F1 of the sum of the word and the character confusion."""
    true_positives, false_positives, false_negatives = Fraction(0), Fraction(0), Fraction(0)
    for by_words in (True, False):
        for expected, found in zip(truth, predicted, strict=True):
            left = list(expected)
            for kind, filler in found:
                best: tuple[Fraction, int] | None = None
                for place, (other_kind, other) in enumerate(left):
                    distance = _distance(other, filler, by_words)
                    if other_kind == kind and (best is None or distance < best[0]):
                        best = (distance, place)
                if best is None:
                    false_positives += 1
                    continue
                true_positives += 1
                false_positives += best[0]
                false_negatives += best[0]
                left.pop(best[1])
            false_negatives += len(left)
    whole = 2 * true_positives + false_positives + false_negatives
    return float(2 * true_positives / whole) if whole else 0.0


def _distance(truth: str, predicted: str, by_words: bool) -> Fraction:
    if by_words:
        return Fraction(edit_distance(truth.split(), predicted.split()), len(truth.split()))
    return Fraction(edit_distance(truth, predicted), max(len(truth), len(predicted)))
