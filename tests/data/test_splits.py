"""Splits: in time, as published, by groups; nothing shared, shares near, and the same for the same seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tswork.data.collection import Collection, Split
from tswork.data.grouping import assign, group_units
from tswork.data.split_spec import SplitSpec, split_count
from tswork.data.splits import make_splits
from tswork.errors import DataInvalid, LeakFound

HOUR = 3600 * 10**9


def made(lengths: Sequence[int], *, times: bool = False, **fields: Any) -> Collection:
    """Random sequences of these lengths; `fields` that are lists become columns of the table."""
    draw = np.random.default_rng(0)
    table = pd.DataFrame(
        {"id": range(len(lengths)), **{name: one for name, one in fields.items() if isinstance(one, list)}}
    )
    offsets = torch.tensor([0, *np.cumsum(lengths).tolist()])
    return Collection(
        values=torch.from_numpy(draw.normal(size=(sum(lengths), 1)).astype(np.float32)),
        offsets=offsets,
        table=table,
        channels=("x",),
        times=torch.cat([torch.arange(length) * HOUR for length in lengths]) if times else None,
        **{name: one for name, one in fields.items() if not isinstance(one, list)},
    )


def one(collection: Collection, **spec: Any) -> Split:
    (split,) = make_splits(collection, SplitSpec.model_validate(spec), seed=0)
    return split


def spans(split: Split) -> dict[str, list[list[int]]]:
    return {name: part.spans.tolist() for name, part in split.parts.items()}


def rows(split: Split) -> dict[str, list[int]]:
    return {name: part.spans[:, 0].tolist() for name, part in split.parts.items()}


def told(collection: Collection, **spec: Any) -> str:
    with pytest.raises((DataInvalid, LeakFound)) as refused:
        make_splits(collection, SplitSpec.model_validate(spec), seed=0)
    return str(refused.value)


# In time


@pytest.mark.parametrize(
    ("spec", "bounds"),
    [
        ({"counts": (5, 2, 2)}, (5, 7, 9)),
        ({"fractions": (0.5, 0.2, 0.3)}, (5, 7, 10)),
        ({"fractions": (0.7, 0.1, 0.2)}, (7, 8, 10)),
        ({"dates": ("1970-01-01T03:00", "1970-01-01T05:30", "1970-01-01T07:00")}, (3, 6, 7)),
    ],
)
def test_a_series_is_cut_in_time_at_counts_shares_or_dates(spec: dict[str, Any], bounds: tuple[int, int, int]) -> None:
    first, second, third = bounds
    assert spans(one(made([10], times=True), by="time", **spec)) == {
        "train": [[0, 0, first]], "validation": [[0, first, second]], "test": [[0, second, third]],
    }  # fmt: skip


def test_dates_cut_every_series_at_its_own_steps() -> None:
    collection = made([4, 6], times=True)
    dates = ("1970-01-01T02:00", "1970-01-01T03:00", "1970-01-02")
    assert spans(one(collection, by="time", dates=dates)) == {
        "train": [[0, 0, 2], [1, 0, 2]], "validation": [[0, 2, 3], [1, 2, 3]], "test": [[0, 3, 4], [1, 3, 6]],
    }  # fmt: skip


def test_series_are_cut_at_shares_of_their_own_lengths_and_may_share_their_groups() -> None:
    collection = made([10, 20], who=["a", "a"], groups=("who",))
    assert spans(one(collection, by="time", fractions=(0.5, 0, 0.5)))["test"] == [[0, 5, 10], [1, 10, 20]]


@pytest.mark.parametrize(
    ("collection", "spec", "text"),
    [
        (made([5, 3]), {"counts": (2, 1, 1)}, "data.split.counts: 1 sequence is shorter than the 4 steps of counts (the shortest has 3). Use fractions."),
        (made([5]), {"dates": ("2020-01-01", "2020-01-02", "2020-01-03")}, "data.split.dates: the data have no time stamps. Name their column with `time:`."),
        (made([5]), {"fractions": (1.0, 0.0, 0.0)}, "data.split: the test part is empty"),
        (made([5], times=True), {"dates": ("2020-01-01", "2020-01-02", "2020-01-03")}, "data.split: the test part is empty"),
        (made([5, 5], recording=["a", "a"]), {"fractions": (0.6, 0.2, 0.2)}, "data.split.by: a split in time cuts every sequence, and these are pieces of recordings, which would be in all parts. Use `by: groups`, or leave out `segment`."),
    ],
)  # fmt: skip
def test_a_cut_in_time_that_does_not_fit_is_refused(collection: Collection, spec: dict[str, Any], text: str) -> None:
    assert told(collection, by="time", **spec) == text


def test_one_step_sequences_can_be_cut_in_time_when_others_are_longer() -> None:
    assert spans(one(made([1, 10]), by="time", fractions=(0.6, 0.2, 0.2)))["train"] == [[1, 0, 6]]


# As published


def test_official_parts_follow_the_column_split() -> None:
    collection = made([3] * 4, split=["test", "train", " Valid", "training"])
    assert rows(one(collection, by="official")) == {"train": [1, 3], "validation": [2], "test": [0]}


def test_fractions_take_validation_out_of_the_training_half_by_groups_and_classes() -> None:
    halves = ["train"] * 40 + ["test"] * 10
    who = [f"p{row // 4}" for row in range(40)] + [f"q{row}" for row in range(10)]
    kinds = [["a", "b"][(row // 4) % 2] for row in range(50)]
    collection = made([3] * 50, split=halves, who=who, kind=kinds, groups=("who",), label="kind")
    split = one(collection, by="official", fractions=(0.8, 0.2))
    assert (len(split.train), len(split.validation)) == (32, 8)
    assert rows(split)["test"] == list(range(40, 50))
    assert sorted(split.validation.table["kind"].unique()) == ["a", "b"]
    assert set(split.train.table["who"]).isdisjoint(split.validation.table["who"])


def test_a_continuation_is_the_test_part_and_validation_the_end_of_training() -> None:
    collection = made([10, 6], test_start=[8, 4])
    assert spans(one(collection, by="official")) == {
        "train": [[0, 0, 8], [1, 0, 4]],
        "validation": [],
        "test": [[0, 8, 10], [1, 4, 6]],
    }
    assert spans(one(collection, by="official", fractions=(0.75, 0.25)))["validation"] == [[0, 6, 8], [1, 3, 4]]


@pytest.mark.parametrize(
    ("fields", "spec", "text"),
    [
        ({}, {}, "data.split.by: the data have no official split. Use `by: groups` or `by: time`."),
        ({"split": ["train", "tst", None]}, {}, "data.split.by: 1 sequence is in no part: 2\ndata.split.by: the column 'split' holds 'tst'; train, validation, test are known"),
        ({"split": ["train", "train", "val"]}, {}, "data.split.by: the test part is empty"),
        ({"split": ["train", "test", "val"]}, {"fractions": (0.5, 0.5)}, "data.split.fractions: the official split has a validation part already. Leave out the fractions."),
    ],
)  # fmt: skip
def test_an_official_split_that_is_none_is_refused(fields: dict[str, Any], spec: dict[str, Any], text: str) -> None:
    assert told(made([3] * 3, **fields), by="official", **spec) == text


# By groups


def people(count: int = 12, each: int = 5, **fields: Any) -> Collection:
    who = [f"p{row // each}" for row in range(count * each)]
    kinds = [["a", "b"][(row // each) % 2] for row in range(count * each)]
    return made([4] * (count * each), who=who, kind=kinds, groups=("who",), label="kind", **fields)


def test_whole_groups_go_to_parts_and_classes_keep_their_shares() -> None:
    split = one(people(), by="groups", fractions=(0.5, 0.25, 0.25))
    sizes = {name: part.table.groupby("kind").size().to_dict() for name, part in split.parts.items()}
    assert sizes["train"] == {"a": 15, "b": 15}
    assert sorted(sizes["validation"].values()) == sorted(sizes["test"].values()) == [5, 10]
    assert sizes["validation"] != sizes["test"]
    assert split.groups == ("who",)


def test_shares_are_the_usual_ones_when_none_are_given_and_a_rest_stays_unused() -> None:
    assert [len(part) for part in one(people(10), by="groups").parts.values()] == [30, 10, 10]
    assert [len(part) for part in one(people(10), by="groups", fractions=(0.4, 0, 0.2)).parts.values()] == [20, 0, 10]


def test_counts_are_numbers_of_groups() -> None:
    split = one(people(9), by="groups", counts=(5, 1, 2))
    assert [part.table["who"].nunique() for part in split.parts.values()] == [5, 1, 2]


def test_every_group_is_tested_once_over_the_folds() -> None:
    splits = make_splits(people(11), SplitSpec(by="groups", folds=4), seed=3)
    tested = [row for split in splits for row in rows(split)["test"]]
    assert sorted(tested) == list(range(55))
    assert {len(set(split.test.table["who"])) for split in splits} <= {2, 3}
    assert [split.name for split in splits] == [f"fold {number} of 4" for number in (1, 2, 3, 4)]
    for split in splits:
        assert len(split.validation)


def test_fractions_of_folds_divide_what_is_not_tested() -> None:
    for split in make_splits(people(12), SplitSpec(by="groups", folds=3, fractions=(0.75, 0.25)), seed=0):
        assert [len(part) for part in split.parts.values()] == [30, 10, 20]


def test_repeats_are_different_splits_and_one_of_them_can_be_asked_for() -> None:
    spec = SplitSpec(by="groups", repeats=5)
    splits = make_splits(people(), spec, seed=1)
    assert split_count(spec) == len(splits) == 5
    assert len({tuple(rows(split)["test"]) for split in splits}) > 1
    (fourth,) = make_splits(people(), SplitSpec(by="groups", repeats=5, index=3), seed=1)
    assert rows(fourth) == rows(splits[3])


def test_a_seed_of_the_split_itself_holds_for_every_seed_of_the_pipeline() -> None:
    own, none = SplitSpec(by="groups", seed=7), SplitSpec(by="groups")
    assert rows(make_splits(people(), own, seed=1)[0]) == rows(make_splits(people(), own, seed=2)[0])
    assert rows(make_splits(people(), none, seed=1)[0]) != rows(make_splits(people(), none, seed=2)[0])


def test_segments_of_one_recording_stay_together_without_any_group() -> None:
    collection = made([2] * 30, recording=[f"r{row // 3}" for row in range(30)])
    sides = [set(part.table["recording"]) for part in one(collection, by="groups").parts.values()]
    assert sum(map(len, sides)) == len(set.union(*sides)) == 10


def test_groups_that_are_tied_through_others_stay_together() -> None:
    collection = made(
        [2] * 6,
        patient=["a", "a", "b", "c", "d", "e"],
        device=["1", "2", "2", "3", "3", None],
        groups=("patient", "device"),
    )
    units = group_units(collection).tolist()
    assert len(set(units)) == 3
    assert units[0] == units[1] == units[2]
    assert units[3] == units[4]


@pytest.mark.parametrize(
    ("collection", "spec", "text"),
    [
        (people(2), {}, "data.split: 2 groups are fewer than the 3 parts. Give 0 for validation, or use more groups."),
        (people(5), {"counts": (3, 1, 2)}, "data.split: 5 groups are fewer than the 6 of counts. Give 0 for validation, or use more groups."),
        (people(3), {"folds": 4}, "data.split: 3 groups are fewer than 4 folds. Use fewer folds."),
        (people(4), {"fractions": (0.0, 0.5, 0.5)}, "data.split: the training part is empty"),
        (made([4] * 4, who=["a", "b", "c", "d"], kind=["x", "x", "x", "y"], groups=("who",), label="kind"), {"folds": 2}, "data.split: classes without training data in fold"),
    ],
)  # fmt: skip
def test_groups_that_do_not_fill_the_parts_are_refused(collection: Collection, spec: dict[str, Any], text: str) -> None:
    assert told(collection, by="groups", **spec).startswith(text)


# What holds for all data

GROUPED = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), min_size=6, max_size=80)


@settings(max_examples=60, deadline=None)
@given(GROUPED, st.integers(0, 2**32), st.sampled_from([(0.6, 0.2, 0.2), (0.5, 0.0, 0.5), (0.3, 0.3, 0.1)]))
def test_no_group_is_shared_and_nothing_is_lost(
    data: list[tuple[int, int]], seed: int, shares: tuple[float, ...]
) -> None:
    groups, labels = (torch.tensor(column) for column in zip(*data, strict=True))
    parts = assign(groups, labels, shares, seed=seed)
    for group in groups.unique():
        assert len(parts[groups == group].unique()) == 1
    assert torch.equal(parts, assign(groups, labels, shares, seed=seed)), "pure in the seed"
    allowed = {part for part, share in enumerate(shares) if share} | ({-1} if sum(shares) < 0.999 else set())
    assert set(parts.tolist()) <= allowed
    if len(groups.unique()) >= sum(share > 0 for share in shares):
        assert {part for part, share in enumerate(shares) if share} <= set(parts.tolist())


@settings(max_examples=30, deadline=None)
@given(GROUPED, st.integers(0, 2**32))
def test_the_names_of_groups_do_not_matter(data: list[tuple[int, int]], seed: int) -> None:
    groups, labels = (torch.tensor(column) for column in zip(*data, strict=True))
    renamed = assign(groups * 7 + 3, labels + 5, (0.6, 0.2, 0.2), seed=seed)
    assert torch.equal(renamed, assign(groups, labels, (0.6, 0.2, 0.2), seed=seed))


@settings(max_examples=30, deadline=None)
@given(st.integers(30, 300), st.integers(1, 5), st.integers(0, 2**32))
def test_shares_of_ungrouped_classes_are_met_to_one_sequence_and_a_part(count: int, classes: int, seed: int) -> None:
    labels = torch.from_numpy(np.random.default_rng(seed).integers(0, classes, count))
    parts = assign(torch.arange(count), labels, (0.6, 0.2, 0.2), seed=seed)
    for kind in labels.unique():
        for part, share in enumerate((0.6, 0.2, 0.2)):
            found = int(((parts == part) & (labels == kind)).sum())
            assert abs(found - share * int((labels == kind).sum())) < 3


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=10, max_size=40), st.integers(0, 2**32))
def test_shares_of_unequal_groups_are_near(sizes: list[int], seed: int) -> None:
    groups = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    parts = assign(groups, torch.zeros(len(groups), dtype=torch.int64), (0.6, 0.2, 0.2), seed=seed)
    for part, share in enumerate((0.6, 0.2, 0.2)):
        assert abs(float((parts == part).float().mean()) - share) <= max(sizes) / len(groups)


def test_every_group_is_tested_now_and_then_whatever_its_size() -> None:
    sizes = torch.tensor([20, 10, 10, 10, 10, 10, 10, 10, 5, 5])
    groups = torch.repeat_interleave(torch.arange(10), sizes)
    zeros = torch.zeros(len(groups), dtype=torch.int64)
    tested = {
        int(group) for seed in range(40) for group in groups[assign(groups, zeros, (0.6, 0.2, 0.2), seed=seed) == 2]
    }
    assert tested == set(range(10))


def test_a_hundred_thousand_sequences_are_divided_without_a_loop_over_them() -> None:
    draw = np.random.default_rng(0)
    labels = torch.from_numpy(draw.integers(0, 50, 100_000))
    parts = assign(torch.arange(100_000), labels, (0.8, 0.1, 0.1), seed=0)
    assert [round(float((parts == part).float().mean()), 2) for part in range(3)] == [0.8, 0.1, 0.1]
