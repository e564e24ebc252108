"""Word and character error rates over a corpus: pooling, empty texts, an independent edit distance."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference.slu import edit_distance
from tswork.metrics.word_errors import Edits, character_errors, word_errors

TEXTS = st.lists(st.sampled_from(["a", "b", "c"]), max_size=5).map(" ".join)


def test_edits_are_pooled_and_not_averaged_over_utterances() -> None:
    found = word_errors(["a b c d", "x"], ["a b c", "y"])
    assert found == Edits(substitutions=1, deletions=1, insertions=0, words=5)
    assert found.rate == pytest.approx(0.4), "the mean over utterances is 0.625"


def test_everything_deleted_is_1_and_much_inserted_is_more() -> None:
    assert word_errors(["a b c"], [""]).rate == 1
    assert word_errors(["a b c"], [None]).rate == 1
    assert word_errors(["a"], ["x y z"]).rate == 3


def test_an_empty_reference_adds_its_insertions_and_no_words() -> None:
    assert word_errors(["", "a b"], ["x y", "a b"]).rate == 1
    assert word_errors([""], ["x"]).rate == float("inf")
    assert word_errors([""], [""]).rate == 0
    assert word_errors([], []).rate == 0


def test_white_space_is_evened_and_all_else_counts_unless_declared() -> None:
    assert word_errors([" a\t b "], ["a b"]).rate == 0
    assert word_errors(["A b"], ["a b"]).rate == 0.5
    assert word_errors(["A b"], ["a b"], normalise=str.lower).rate == 0


def test_characters_and_the_spaces_between_words() -> None:
    assert character_errors(["next monday"], ["monday"]) == Edits(0, 5, 0, 11)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=4))
def test_the_number_of_edits_is_the_sum_of_edit_distances(corpus: list[tuple[str, str]]) -> None:
    references, hypotheses = zip(*corpus, strict=True)
    found = word_errors(references, hypotheses)
    assert found.number == sum(edit_distance(a.split(), b.split()) for a, b in corpus)
    assert found.words == sum(len(reference.split()) for reference in references)
    assert (found.number == 0) == (list(map(str.split, references)) == list(map(str.split, hypotheses)))


def test_corpora_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="1 reference does not fit 0 hypotheses"):
        word_errors(["a"], [])
