"""Published splits that go by position in each class's list of patients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tswork.config import NestedInvalid, configure
from tswork.data.collection import Collection
from tswork.data.split_spec import SplitSpec
from tswork.data.splits import make_splits
from tswork.errors import DataInvalid


def divided(collection: Collection, **options: Any) -> Collection:
    block = {"uses": "parts_in_order", "group": "patient", **options}
    found: Collection = configure("preparation", block).build().apply(collection)
    return found


def patients(ill: list[Any], healthy: list[Any], *, records: int = 2, shuffled: bool = True) -> Collection:
    rows = [
        (one, name) for name, those in (("ill", ill), ("healthy", healthy)) for one in those for _ in range(records)
    ]
    draw = np.random.default_rng(0)
    if shuffled:
        rows = [rows[place] for place in draw.permutation(len(rows))]
    table = pd.DataFrame({"patient": [one for one, _ in rows], "diagnosis": [name for _, name in rows]})
    cases = [draw.normal(size=(3, 1)).astype(np.float32) for _ in rows]
    return Collection.from_sequences(cases, table=table, label="diagnosis", groups=("patient",))


def parts(collection: Collection) -> dict[str, list[Any]]:
    (split,) = make_splits(collection, SplitSpec(by="official"), seed=0)
    return {name: sorted(part.table["patient"].unique().tolist()) for name, part in split.parts.items()}


def test_the_last_of_each_class_test_and_those_before_them_validate() -> None:
    collection = patients(list(range(1, 11)), list(range(11, 17)))
    assert parts(divided(collection, last={"ill": [3, 2], "healthy": [1, 2]})) == {
        "train": [1, 2, 3, 4, 5, 11, 12, 13], "validation": [6, 7, 8, 14], "test": [9, 10, 15, 16],
    }  # fmt: skip


def test_the_published_numbers_of_ptb_come_out() -> None:
    collection = patients(list(range(147)), list(range(200, 251)), records=1)
    found = parts(divided(collection, last={"ill": [21, 21], "healthy": [7, 7]}))
    assert {name: len(those) for name, those in found.items()} == {"train": 142, "validation": 28, "test": 28}
    assert found["test"] == [*range(126, 147), *range(244, 251)]


@pytest.mark.parametrize(("count", "sizes"), [(36, (21, 7, 8)), (23, (13, 5, 5)), (29, (17, 6, 6)), (10, (6, 2, 2))])
def test_borders_of_fractions_round_down(count: int, sizes: tuple[int, int, int]) -> None:
    found = parts(divided(patients(list(range(count)), list(range(100, 110))), fractions=[0.6, 0.2, 0.2]))
    assert tuple(sum(one < 100 for one in those) for those in found.values()) == sizes
    assert found["train"][-1] == 105


def test_numbers_are_ordered_by_value_and_text_as_text() -> None:
    assert parts(divided(patients([9, 10, 2], [1]), last={"ill": [1, 1], "healthy": [0, 0]}))["test"] == [10]
    found = parts(divided(patients(["p9", "p10", "p2"], ["p1"]), last={"ill": [1, 1], "healthy": [0, 0]}))
    assert found["test"] == ["p9"]


def test_what_does_not_fit_is_told_at_once() -> None:
    collection = patients([1, 2], [2, 3, 4])
    with pytest.raises(DataInvalid) as refused:
        divided(collection, last={"ill": [2, 2], "healthi": [0, 1]})
    assert [str(one) for one in refused.value.problems] == [
        "data.prepare: 1 value of 'patient' is in several classes: 2",
        "data.prepare: there is no class 'healthi'. Did you mean 'healthy'?",
        "data.prepare: `last` names no numbers for the class 'healthy'",
        "data.prepare: the class 'ill' has 2 values of 'patient', fewer than `last` asks for",
    ]
    with pytest.raises(DataInvalid, match=r"there is no column 'patients'\. Did you mean 'patient'\?"):
        divided(collection, group="patients", fractions=[0.6, 0.2, 0.2])
    with pytest.raises(
        DataInvalid, match=r"data\.label: 'parts_in_order' needs classes\. Name their column with `label:`\."
    ):
        divided(collection.replaced(label=None), fractions=[0.6, 0.2, 0.2])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "give `fractions` or `last`"),
        ({"fractions": [0.6, 0.2, 0.3]}, "three shares of at least 0 that sum to 1"),
        ({"last": {"ill": [3]}}, "two numbers for each class"),
    ],
)
def test_numbers_that_contradict_themselves_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(NestedInvalid) as refused:
        divided(patients([1], [2]), **options)
    assert told in str(refused.value.errors)
