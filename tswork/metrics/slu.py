"""Spoken language understanding: intents, and entities that may be heard in part (SLU-F1).

Bastianelli et al., "SLURP: A Spoken Language Understanding Resource Package", EMNLP 2020. An entity has a type and a filler. The
predicted entities of an utterance are taken in order: if its type is among the true entities left, it is matched with the one
of them whose filler is nearest (the first of equals), which counts

    TP += 1, FP += d, FN += d,    d the distance of the fillers

and takes it away; if not, FP += 1. What is left at the end counts FN += 1 each. The word distance is the word error rate against
the true filler (it may exceed 1), the character distance the Levenshtein distance over the longer length. SLU-F1 is the F1 of the
sum of both confusions; the span F1 wants fillers to be equal.

| official scorer | here |
| --- | --- |
| utterances without a prediction are left out, so that silence helps | `missing="count"`: all missed; `"skip"`: as there |
| nothing true and nothing predicted: 0 | the same |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from tswork.metrics.edit_distance import edit_distance
from tswork.wording import counted

Missing = Literal["count", "skip"]


class Entity(NamedTuple):
    """A piece of an utterance with its type."""

    type: str
    filler: str


@dataclass(frozen=True)
class Confusion:
    """True and false positives and false negatives; parts of entities count as parts."""

    true_positives: float = 0.0
    false_positives: float = 0.0
    false_negatives: float = 0.0

    def __add__(self, other: Confusion) -> Confusion:
        return Confusion(
            self.true_positives + other.true_positives,
            self.false_positives + other.false_positives,
            self.false_negatives + other.false_negatives,
        )

    @property
    def f1(self) -> float:
        """0 where there is nothing."""
        both = 2 * self.true_positives
        all_of_it = both + self.false_positives + self.false_negatives
        return both / all_of_it if all_of_it else 0.0


@dataclass(frozen=True)
class EntityScores:
    """Confusions over a corpus by what fillers are compared by."""

    span: Confusion
    word: Confusion
    character: Confusion

    @property
    def measures(self) -> dict[str, float]:
        """The four F1 by name."""
        return {
            "slu_f1": (self.word + self.character).f1,
            "word_f1": self.word.f1,
            "character_f1": self.character.f1,
            "span_f1": self.span.f1,
        }


def entity_scores(
    truth: Sequence[Sequence[Entity]],
    predicted: Sequence[Sequence[Entity] | None],
    *,
    missing: Missing = "count",
) -> EntityScores:
    """The confusions of a corpus; None is an utterance without a prediction.

    >>> scores = entity_scores([[Entity("date", "next monday")]], [[Entity("date", "monday")]])
    >>> round(scores.measures["slu_f1"], 6)
    0.676923
    """
    if len(truth) != len(predicted):
        raise ValueError(
            f"{counted(len(truth), 'true utterance does', 'true utterances do')} not fit {counted(len(predicted), 'prediction')}"
        )
    span, word, character = Confusion(), Confusion(), Confusion()
    for expected, found in zip(truth, predicted, strict=True):
        if found is None and missing == "skip":
            continue
        entities = found or ()
        span += _exact(expected, entities)
        word += _matched(expected, entities, word_distance)
        character += _matched(expected, entities, character_distance)
    return EntityScores(span, word, character)


def intent_accuracy(truth: Sequence[str], predicted: Sequence[str | None], *, missing: Missing = "count") -> float:
    """Share of utterances with the true intent; NaN without any. `missing="count"`: no prediction is a wrong one."""
    if len(truth) != len(predicted):
        raise ValueError(
            f"{counted(len(truth), 'true intent does', 'true intents do')} not fit {counted(len(predicted), 'prediction')}"
        )
    right = [
        expected == found
        for expected, found in zip(truth, predicted, strict=True)
        if found is not None or missing == "count"
    ]
    return sum(right) / len(right) if right else float("nan")


def word_distance(truth: str, predicted: str) -> float:
    """Word edits over the words of the true filler; not capped at 1. Over 1 where the true filler is empty."""
    expected, found = truth.split(), predicted.split()
    return edit_distance(expected, found) / max(1, len(expected))


def character_distance(truth: str, predicted: str) -> float:
    """Character edits over the length of the longer filler."""
    return edit_distance(truth, predicted) / max(1, len(truth), len(predicted))


def _matched(truth: Sequence[Entity], predicted: Sequence[Entity], distance: Callable[[str, str], float]) -> Confusion:
    left = list(truth)
    matched, false, apart = 0.0, 0.0, 0.0
    for entity in predicted:
        places = [place for place, expected in enumerate(left) if expected.type == entity.type]
        if not places:
            false += 1
            continue
        distances = [distance(left[place].filler, entity.filler) for place in places]
        nearest = min(distances)
        apart += nearest
        matched += 1
        del left[places[distances.index(nearest)]]
    return Confusion(matched, false + apart, len(left) + apart)


def _exact(truth: Sequence[Entity], predicted: Sequence[Entity]) -> Confusion:
    left = list(truth)
    for entity in predicted:
        if entity in left:
            left.remove(entity)
    matched = float(len(truth) - len(left))
    return Confusion(matched, len(predicted) - matched, float(len(left)))
