"""The leak guard: shared groups, shared content and overlapping time are refused by name, or let pass for a reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tswork.config import configure
from tswork.data.collection import Collection, Part, Split
from tswork.data.contents import twins
from tswork.data.leaks import guard
from tswork.data.split_spec import SplitSpec
from tswork.data.splits import make_splits
from tswork.errors import LeakFound


def collection(values: list[Any], **columns: list[Any]) -> Collection:
    cases = [np.asarray(one, np.float32).reshape(-1, 1) for one in values]
    table = pd.DataFrame({"id": [f"s{row}" for row in range(len(cases))], **columns})
    return Collection.from_sequences(cases, table=table, groups=tuple(columns))


def distinct(count: int, length: int = 9) -> list[Any]:
    return list(np.random.default_rng(0).normal(size=(count, length)))


def split(data: Collection, train: Any, validation: Any, test: Any) -> Split:
    parts = (Part(data, torch.tensor(one, dtype=torch.int64).reshape(-1, 3)) for one in (train, validation, test))
    first, second, third = parts
    return Split(first, second, third)


def whole(data: Collection, *rows: list[int]) -> Split:
    return split(data, *([[row, 0, int(data.lengths[row])] for row in part] for part in rows))


def leaks(made: Split, groups: tuple[str, ...] = ()) -> list[str]:
    with pytest.raises(LeakFound) as refused:
        guard(made, groups=groups, allow=None)
    assert refused.value.exit_code == 2
    return [problem.message for problem in refused.value.problems]


def test_a_group_in_two_parts_is_refused_by_name() -> None:
    data = collection(distinct(4), patient=["ann", "bob", "ann", "cid"])
    assert leaks(whole(data, [0], [1], [2, 3]), ("patient",)) == ["1 value of 'patient' is in train and test: ann"]
    assert guard(whole(data, [0, 2], [1], [3]), groups=("patient",), allow=None).groups == ("patient",)


def test_a_group_column_that_is_empty_throughout_keeps_nobody_apart_and_is_refused() -> None:
    data = collection(distinct(2), patient=[None, None])
    with pytest.raises(
        LeakFound, match=r"no sequence has a 'patient', .* Fill in the column, leave it out of `groups`"
    ):
        guard(whole(data, [0], [], [1]), groups=("patient",), allow=None)
    assert guard(whole(data, [0], [], [1]), groups=("patient",), allow=None, alone=True).leaks == ()


def test_a_sequence_whose_group_nobody_wrote_down_is_refused_by_name() -> None:
    data = collection(distinct(4), patient=["ann", None, "bob", "cid"])
    assert leaks(whole(data, [0], [1], [2, 3]), ("patient",)) == [
        "1 sequence has no 'patient', so that nobody can tell whether it is in another part: s1"
    ]
    assert guard(whole(data, [0], [1], [2, 3]), groups=("patient",), allow=None, alone=True).leaks == ()
    made = guard(whole(data, [0], [1], [2, 3]), groups=("patient",), allow="a stranger's")
    assert made.leaks[0].startswith("1 sequence has no 'patient'")
    assert guard(whole(data, [0], [2], [3]), groups=("patient",), allow=None).leaks == ()  # it is in no part


def test_what_all_parts_share_is_told_once() -> None:
    data = collection(distinct(4), patient=["ann", "ann", "ann", "cid"])
    assert leaks(whole(data, [0, 3], [1], [2]), ("patient",)) == [
        "1 value of 'patient' is in more than one of train, validation, test: ann"
    ]


def test_many_shared_groups_are_counted() -> None:
    data = collection(distinct(20), patient=[f"p{row % 10}" for row in range(20)])
    (text,) = leaks(whole(data, list(range(10)), [], list(range(10, 20))), ("patient",))
    assert text == "10 values of 'patient' are in train and test: p0, p1, p2, p3, p4 and 5 more"


def test_segments_of_one_recording_in_two_parts_are_refused() -> None:
    data = collection(distinct(3), recording=["r", "r", "q"]).replaced(groups=())
    assert leaks(whole(data, [0], [], [1, 2])) == ["1 value of 'recording' is in train and test: r"]


def test_the_same_content_under_two_ids_is_refused_by_name() -> None:
    values = distinct(4)
    values[3] = values[0]
    data = collection(values)
    assert leaks(whole(data, [0, 1], [2], [3])) == [
        "1 sequence of test has the same content as one of train: s0 and s3"
    ]
    assert guard(whole(data, [0, 3], [1], [2]), groups=(), allow=None).leaks == ()


def test_missing_values_are_content_too() -> None:
    data = collection([[1, np.nan, *range(8)], [1, np.nan, *range(8)]])
    assert leaks(whole(data, [0], [], [1])) == ["1 sequence of test has the same content as one of train: s0 and s1"]


def test_very_short_sequences_may_be_equal_by_chance() -> None:
    data = collection([[1.0], [1.0], [2.0]])
    assert guard(whole(data, [0], [1], [2]), groups=(), allow=None).leaks == ()


def test_flat_sequences_are_equal_and_tell_nothing() -> None:
    data = collection([[0.0] * 20, [0.0] * 20, [np.nan] * 20, [np.nan] * 20])
    assert twins(data).tolist() == [0, 1, 2, 3]
    assert guard(whole(data, [0, 2], [], [1, 3]), groups=(), allow=None).leaks == ()


def test_segments_of_a_recording_that_two_ids_share_are_refused_and_a_scaled_copy_passes() -> None:
    first, second = distinct(2, 40)
    recordings = collection([first, first[:20], second, 2 * first], patient=["n1", "n2", "a", "b"])
    data = configure("preparation", {"uses": "segment", "steps": 10}).build().apply(recordings)
    n1, n2, scaled = (np.flatnonzero(data.table["patient"] == one).tolist() for one in ("n1", "n2", "b"))
    assert leaks(whole(data, n1, [], n2)) == [
        "2 sequences of test have the same content as one of train: s0/0 and s1/0, s0/1 and s1/1"
    ]
    assert guard(whole(data, n1, [], scaled), groups=(), allow=None).leaks == ()


def test_equal_series_that_are_cut_in_time_share_nothing() -> None:
    series = distinct(1, 20)[0]
    data = collection([series, series])
    (made,) = make_splits(data, SplitSpec(by="time", fractions=(0.5, 0.2, 0.3)), seed=0)
    assert made.leaks == ()


def test_the_same_time_of_equal_series_in_two_parts_is_refused() -> None:
    series = distinct(1, 20)[0]
    data = collection([series, series])
    (text,) = leaks(split(data, [[0, 0, 12]], [], [[1, 10, 20]]))
    assert text == "1 sequence of test has the same content as one of train: s0 and s1"


@pytest.mark.parametrize(
    ("train", "test", "overlaps"),
    [
        ([[0, 0, 10]], [[0, 9, 20]], 1),
        ([[0, 0, 10]], [[0, 10, 20]], 0),
        ([[0, 5, 15]], [[0, 0, 20]], 1),
        ([[0, 0, 20]], [[0, 5, 6], [0, 7, 8]], 2),
        ([[0, 0, 10], [0, 12, 20]], [[0, 10, 12]], 0),
        ([[0, 0, 10]], [[1, 0, 10]], 0),
    ],
)
def test_spans_that_overlap_in_time_are_refused(train: list[list[int]], test: list[list[int]], overlaps: int) -> None:
    made = split(collection(distinct(2, 20)), train, [], test)
    if overlaps:
        spans = "1 span of train and test overlaps" if overlaps == 1 else f"{overlaps} spans of train and test overlap"
        assert leaks(made) == [f"{spans} in time, in s0"]
    else:
        assert guard(made, groups=(), allow=None).leaks == ()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 18), st.integers(1, 5), st.integers(0, 1)), min_size=2, max_size=12
    )
)
def test_overlap_is_found_exactly_where_two_parts_share_a_step(drawn: list[tuple[int, int, int, int]]) -> None:
    sides: list[list[list[int]]] = [[], []]
    steps: list[set[tuple[int, int]]] = [set(), set()]
    for row, start, length, side in drawn:
        sides[side].append([row, start, start + length])
        steps[side] |= {(row, step) for step in range(start, start + length)}
    made = split(collection(distinct(3, 30)), sides[0], [], sides[1])
    if steps[0] & steps[1]:
        assert "in time" in leaks(made)[0]
    else:
        assert guard(made, groups=(), allow=None).leaks == ()


def test_a_reason_lets_leaks_pass_and_writes_them_down() -> None:
    values = distinct(2)
    data = collection([values[0], values[0], values[1]], split=["train", "test", "test"]).replaced(groups=())
    (made,) = make_splits(data, SplitSpec(by="official", allow_leak="published so"), seed=0)
    assert made.leaks == ("1 sequence of test has the same content as one of train: s0 and s1",)


def test_all_leaks_are_told_at_once() -> None:
    values = distinct(3)
    data = collection([values[0], values[0], values[1]], who=["a", "a", "b"], where=["x", "y", "x"])
    assert len(leaks(whole(data, [0], [], [1, 2]), ("who", "where"))) == 3


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=12), min_size=1, max_size=12))
def test_twins_are_exactly_the_equal_sequences(values: list[list[int]]) -> None:
    found = twins(collection(values)).tolist()
    for row, value in enumerate(values):
        counts = len(value) >= 8 and len(set(value)) > 1
        equal = [other for other in range(row + 1) if values[other] == value and counts]
        assert found[row] == (equal[0] if equal else row)


def test_twins_that_differ_between_the_values_that_are_looked_at_first_are_told_apart() -> None:
    base = np.zeros(1000)
    base[0] = 2
    other = base.copy()
    other[500] = 1
    assert twins(collection([base, other, base])).tolist() == [0, 1, 0]


def test_one_series_cut_in_time_is_not_read_for_its_content(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tswork.data.leaks.twins", lambda *_: pytest.fail("the content was read"))
    data = collection(distinct(1, 20))
    assert len(make_splits(data, SplitSpec(by="time", fractions=(0.5, 0.2, 0.3)), seed=0)) == 1


def test_sound_and_channels_are_compared_as_they_are() -> None:
    sound = np.arange(20, dtype=np.int16).reshape(10, 2)
    data = Collection.from_sequences([sound, sound[::-1].copy(), sound])
    assert twins(data).tolist() == [0, 1, 0]
    assert twins(data, torch.tensor([2, 1])).tolist() == [2, 1]
