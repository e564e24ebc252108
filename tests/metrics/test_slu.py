"""Intents and SLU-F1: values of the official scorer, the plain twin, missing predictions, edges."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference import slu as plain
from tswork.metrics import classification
from tswork.metrics.edit_distance import edit_distance
from tswork.metrics.slu import Confusion, Entity, Missing, entity_scores, intent_accuracy

Pairs = list[tuple[str, str]]
MISSING: tuple[Missing, Missing] = ("count", "skip")
MONDAY: Pairs = [("date", "next monday")]


def entities(pairs: Pairs) -> list[Entity]:
    return [Entity(*pair) for pair in pairs]


@pytest.mark.parametrize(
    ("truth", "predicted", "word", "character", "span", "both"),
    [
        ([MONDAY], [MONDAY], 1, 1, 1, 1),
        ([MONDAY], [[("date", "monday")]], 2 / 3, 0.6875, 0, 0.676923),
        ([[("date", "monday")]], [[("time", "monday")]], 0, 0, 0, 0),
        ([[("person", "a")]], [[("person", "x y z")]], 0.25, 0.5, 0, 0.333333),
        ([[("d", "a b"), ("d", "a c")]], [[("d", "a"), ("d", "a b")]], 2 / 3, 2 / 3, 0.5, 2 / 3),
        ([[("d", "a b"), ("d", "a c")]], [[("d", "a b"), ("d", "a")]], 0.8, 0.75, 0.5, 0.774194),
        ([MONDAY, [("time", "five pm")]], [[("date", "monday")], [("time", "five pm")]], 0.8, 0.814815, 0.5, 0.807339),
        ([[]], [[]], 0, 0, 0, 0),
    ],
)  # fmt: skip
def test_values_of_the_official_scorer(
    truth: list[Pairs], predicted: list[Pairs], word: float, character: float, span: float, both: float
) -> None:
    found = entity_scores([entities(one) for one in truth], [entities(one) for one in predicted]).measures
    assert found["word_f1"] == pytest.approx(word, abs=1e-6)
    assert found["character_f1"] == pytest.approx(character, abs=1e-6)
    assert found["span_f1"] == pytest.approx(span, abs=1e-6)
    assert found["slu_f1"] == pytest.approx(both, abs=1e-6)


def test_confusions_of_the_official_scorer() -> None:
    half = entity_scores([entities(MONDAY)], [entities([("date", "monday")])])
    assert half.character.false_positives == half.character.false_negatives == pytest.approx(0.454545, abs=1e-6)
    three = entity_scores([entities([("person", "a")])], [entities([("person", "x y z")])])
    assert three.word == Confusion(1.0, 3.0, 3.0), "the word distance is not capped"


FILLERS = st.lists(st.sampled_from(["a", "b", "ab", "next monday"]), min_size=1, max_size=3).map(" ".join)
UTTERANCES = st.lists(st.tuples(st.sampled_from("xyz"), FILLERS), max_size=4)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(UTTERANCES, UTTERANCES), min_size=1, max_size=3))
def test_it_equals_the_plain_twin(corpus: list[tuple[Pairs, Pairs]]) -> None:
    truth, predicted = ([entities(pair[side]) for pair in corpus] for side in (0, 1))
    assert entity_scores(truth, predicted).measures["slu_f1"] == pytest.approx(plain.slu_f1(truth, predicted))
    perfect = entity_scores(truth, truth).measures
    assert set(perfect.values()) == {1.0 if any(truth) else 0.0}


@settings(max_examples=100, deadline=None)
@given(st.text("ab ", max_size=7), st.text("abc ", max_size=7))
def test_the_edit_distance_equals_its_recursion(first: str, second: str) -> None:
    assert edit_distance(first, second) == edit_distance(second, first) == plain.edit_distance(first, second)


def test_silence_is_counted_unless_it_is_to_be_skipped() -> None:
    truth = [entities(MONDAY), entities([("time", "five pm")])]
    predicted = [entities(MONDAY), None]
    counted, skipped = (entity_scores(truth, predicted, missing=missing).measures for missing in MISSING)
    assert counted["slu_f1"] == pytest.approx(2 / 3)
    assert skipped["slu_f1"] == 1
    intents = ["a_b", "d_e"]
    assert intent_accuracy(intents, ["a_b", None]) == 0.5
    assert intent_accuracy(intents, ["a_b", None], missing="skip") == 1
    assert math.isnan(intent_accuracy([], []))


def test_intents_have_an_accuracy_and_a_macro_f1_over_labels_of_either_side() -> None:
    truth, predicted = ["a_b", "a_b", "d_e"], ["a_b", "a_c", "d_e"]
    assert intent_accuracy(truth, predicted) == pytest.approx(2 / 3)
    names = sorted({*truth, *predicted})
    expected, found = (np.array([names.index(one) for one in side]) for side in (truth, predicted))
    assert classification.macro_f1(classification.confusion(expected, found, len(names))) == pytest.approx(
        0.555556, abs=1e-6
    )


def test_corpora_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="1 true utterance does not fit 0 predictions"):
        entity_scores([[]], [])
    with pytest.raises(ValueError, match="1 true intent does not fit 2 predictions"):
        intent_accuracy(["a"], ["a", "b"])


@pytest.mark.real_data
def test_entities_of_slurp_heard_in_part(data_root: Path) -> None:
    """Every third filler loses its last word, every fourth entity its type, every fifth sentence is silent."""
    path = data_root / "slurp_text" / "test.jsonl.gz"
    if not path.exists():
        pytest.skip(f"needs {path}")
    with gzip.open(path, "rt") as file:
        sentences = [json.loads(line) for line in file]
    truth = [
        [
            Entity(one["type"], " ".join(sentence["tokens"][token]["surface"].lower() for token in one["span"]))
            for one in sentence["entities"]
        ]
        for sentence in sentences
    ]
    heard = []
    for number, true in enumerate(truth):
        cut = [Entity(one.type, one.filler.rpartition(" ")[0] or "x") if number % 3 == 0 else one for one in true]
        named = [Entity("other", one.filler) if (number + place) % 4 == 0 else one for place, one in enumerate(cut)]
        heard.append([] if number % 5 == 0 else named)
    found = entity_scores(truth, heard).measures
    assert found["slu_f1"] == pytest.approx(plain.slu_f1(truth, heard), abs=1e-9)
    assert 0 < found["span_f1"] < found["slu_f1"] < 1
