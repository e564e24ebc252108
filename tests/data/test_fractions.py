"""Shares of labels: exact counts, nested for one seed, other rows for another, by segment or by patient."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tswork.data.collection import Collection, Part
from tswork.data.fractions import labelled_fraction
from tswork.errors import DataInvalid


def part(count: int, *, each: int = 5, label: bool = True, **columns: Any) -> Part:
    """`count` sequences of one step, `each` of them a patient, of two classes by patient."""
    patient = np.arange(count) // each
    table = pd.DataFrame({"patient": patient, "kind": np.array(["a", "b"])[patient % 2], **columns})
    values = torch.arange(count, dtype=torch.float32)[:, None]
    offsets = torch.arange(count + 1)
    groups = ("patient",)
    return Part.whole(Collection(values, offsets, table, ("x",), label="kind" if label else None, groups=groups))


def rows(chosen: Part) -> list[int]:
    return chosen.spans[:, 0].tolist()


def taken(whole: Part, fraction: float, by: Literal["segments", "groups"] = "segments", **more: Any) -> list[int]:
    return rows(labelled_fraction(whole, fraction, by=by, **{"seed": 0, **more}))


def told(whole: Part, fraction: float, **more: Any) -> str:
    with pytest.raises(DataInvalid) as refused:
        taken(whole, fraction, **more)
    return str(refused.value)


@pytest.mark.parametrize(
    ("total", "fraction", "count"),
    [(4329, 0.1, 432), (4329, 0.01, 43), (53_950, 0.1, 5395), (53_950, 0.01, 539), (8208, 0.01, 82), (100, 0.29, 29)],
)
def test_counts_of_segments_are_those_of_the_published_sets(total: int, fraction: float, count: int) -> None:
    chosen = taken(part(total, each=200), fraction)
    assert len(chosen) == len(set(chosen)) == count


@pytest.mark.parametrize(("patients", "fraction", "count"), [(19, 0.1, 2), (142, 0.01, 2), (20, 0.05, 1), (10, 0.3, 3)])
def test_by_groups_whole_patients_are_taken(patients: int, fraction: float, count: int) -> None:
    whole = part(patients * 5, label=False)
    chosen = labelled_fraction(whole, fraction, by="groups", seed=3)
    assert len(chosen) == 5 * count
    assert chosen.table["patient"].nunique() == count


@pytest.mark.parametrize("by", ["segments", "groups"])
@pytest.mark.parametrize("stratify", [False, True])
def test_one_percent_lies_inside_ten_inside_all_of_one_seed(by: Literal["segments", "groups"], stratify: bool) -> None:
    whole = part(1000)
    tenth, half = (set(taken(whole, share, by, stratify=stratify)) for share in (0.1, 0.5))
    few = set(taken(whole, 0.01, by, stratify=stratify))
    assert few < tenth < half
    assert taken(whole, 1.0, by, stratify=stratify) == list(range(1000))


@pytest.mark.parametrize("by", ["segments", "groups"])
def test_the_same_seed_takes_the_same_rows_and_another_others(by: Literal["segments", "groups"]) -> None:
    whole = part(1000)
    assert taken(whole, 0.1, by) == taken(whole, 0.1, by)
    assert taken(whole, 0.1, by) != taken(whole, 0.1, by, seed=1)


def test_spans_keep_their_order_and_their_borders() -> None:
    whole = part(40)
    cut = Part(whole.collection, whole.spans.flip(0))
    chosen = labelled_fraction(cut, 0.5, by="segments", seed=0)
    assert rows(chosen) == sorted(rows(chosen), reverse=True)
    assert chosen.lengths.unique().tolist() == [1]


def rare(count: int = 1000) -> Part:
    return part(count, kind=["rare" if row in (7, 500) else "often" for row in range(count)])


def test_a_stratified_share_holds_every_class_however_rare() -> None:
    for seed in range(5):
        chosen = labelled_fraction(rare(), 0.01, by="segments", seed=seed, stratify=True)
        assert (chosen.table["kind"] == "rare").sum() == 1
        few_patients = labelled_fraction(rare(), 0.01, by="groups", seed=seed, stratify=True)
        assert len(few_patients) == 10
        assert (few_patients.table["kind"] == "rare").any()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 3), min_size=8, max_size=120),
    st.sampled_from([0.1, 0.25, 0.5, 0.9]),
    st.integers(0, 2**31),
)
def test_stratified_classes_keep_their_shares_to_an_item_and_a_class(
    kinds: list[int], fraction: float, seed: int
) -> None:
    whole = part(len(kinds), kind=kinds)
    count = math.floor(len(kinds) * fraction + 1e-9)
    if count < len(set(kinds)):
        text = told(whole, fraction, seed=seed, stratify=True)
        assert ("leaves out" if count else "is 0 of") in text
        return
    chosen = labelled_fraction(whole, fraction, by="segments", seed=seed, stratify=True)
    assert len(chosen) == count
    found = np.bincount(chosen.table["kind"], minlength=4)
    for kind in set(kinds):
        assert found[kind] >= 1
        assert abs(found[kind] - fraction * kinds.count(kind)) <= len(set(kinds))


def test_patients_that_hold_several_classes_are_enough_together() -> None:
    whole = part(20, each=4, kind=list("abab" * 5))
    chosen = labelled_fraction(whole, 0.2, by="groups", seed=0, stratify=True)
    assert sorted(chosen.table["kind"].unique()) == ["a", "b"]
    assert chosen.table["patient"].nunique() == 1


def test_a_span_without_a_label_is_not_counted_and_not_taken() -> None:
    whole = part(100, kind=["a" if row % 2 else None for row in range(100)])
    assert len(taken(whole, 0.5)) == 25
    assert taken(whole, 1.0) == list(range(1, 100, 2))


def test_a_group_column_can_be_named_and_unknown_groups_stand_alone() -> None:
    whole = part(20, label=False, visit=[None if row < 4 else f"v{row // 4}" for row in range(20)])
    for seed in range(6):
        chosen = labelled_fraction(whole, 0.25, by="groups", group="visit", seed=seed)
        sizes = chosen.table.groupby("visit").size()
        assert set(sizes) <= {4}
        assert len(sizes) + int(chosen.table["visit"].isna().sum()) == 2


def test_the_names_of_patients_do_not_change_how_many_are_taken() -> None:
    names = [f"p{10**12 + row // 5}" for row in range(100)]
    assert len(taken(part(100, patient=names), 0.1, "groups")) == 10


@pytest.mark.parametrize(
    ("whole", "fraction", "more", "text"),
    [
        (part(100), 0.0, {}, "fraction: 0.0 is no share: above 0, and at most 1"),
        (part(100), 1.5, {}, "fraction: 1.5 is no share: above 0, and at most 1"),
        (part(10), 0.05, {}, "fraction: 0.05 is 0 of 10 segments. Take a larger fraction."),
        (part(100), 0.01, {}, "fraction: 0.01 is 1 of 100 segments and leaves out 1 class: "),
        (part(100), 0.01, {"by": "groups"}, "fraction: 0.01 is 1 of 20 groups and leaves out 1 class: "),
        (part(100), 0.01, {"stratify": True}, "fraction: 0.01 is 1 of 100 segments and leaves out 1 class: "),
        (part(100), 0.5, {"by": "groups", "group": "pateint"}, "group: there is no column 'pateint'. Did you mean 'patient'?"),
        (part(100, label=False), 0.5, {"stratify": True}, "stratify: the data have no label, so there are no classes to keep. Name the column of the classes with `label:`."),
    ],
)  # fmt: skip
def test_a_share_that_cannot_be_taken_is_refused(whole: Part, fraction: float, more: dict[str, Any], text: str) -> None:
    assert told(whole, fraction, **more).startswith(text)


def test_the_remedy_for_a_lost_class_is_one_that_helps() -> None:
    assert told(part(100), 0.01).endswith("Take a larger fraction, or give `stratify: true`.")
    assert told(part(100), 0.01, stratify=True).endswith("Take a larger fraction.")


def test_all_faults_of_a_call_are_told_at_once() -> None:
    bare = Part.whole(part(10, label=False).collection.replaced(groups=()))
    lines = told(bare, 2.0, by="groups", stratify=True).splitlines()
    assert [line.split(":")[0] for line in lines] == ["fraction", "group", "stratify"]
