"""The groups of each label divided by themselves: every label in every part, whatever the order of rows and other labels."""

from __future__ import annotations

import warnings
from typing import Any

import pandas as pd
import pytest

from tests.data.places_of_italy import CITIES, DROPPED, atlas
from tswork.data.collection import Collection, Split
from tswork.data.split_spec import SplitSpec
from tswork.data.splits import make_splits
from tswork.errors import DataInvalid, TsworkWarning


def divide(collection: Collection, seed: int = 0, **options: Any) -> Split:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TsworkWarning)
        (split,) = make_splits(collection, SplitSpec(by="groups", rule="per_label", **options), seed=seed)
    return split


def cities(split: Split, part: str, column: str = "city") -> set[str]:
    return set(split.parts[part].table[column])


def refused(collection: Collection, **options: Any) -> str:
    with pytest.raises(DataInvalid) as told:
        divide(collection, **options)
    return str(told.value)


def test_the_285_cities_of_17_regions_give_225_30_and_30() -> None:
    with pytest.warns(TsworkWarning, match=r"labels with fewer than 3 groups are left out: cam \(1\), laz \(1\)"):
        (split,) = make_splits(atlas(), SplitSpec(by="groups", rule="per_label"), seed=0)
    assert [len(cities(split, part)) for part in ("train", "validation", "test")] == [225, 30, 30]
    for part in split.parts.values():
        assert set(part.table["region"]) == set(CITIES) - set(DROPPED)
    assert split.train.collection.classes == tuple(sorted(set(CITIES) - set(DROPPED)))
    assert "cam (1), laz (1)" in split.train.collection.notes[0]


def test_the_smallest_and_the_largest_region_get_their_cities() -> None:
    split = divide(atlas())
    counts = {name: part.table.groupby("region")["city"].nunique() for name, part in split.parts.items()}
    assert [int(counts[name]["eml"]) for name in counts] == [1, 1, 1]
    assert [int(counts[name]["ven"]) for name in counts] == [27, 4, 4]


def test_no_city_and_no_speaker_is_in_two_parts() -> None:
    split = divide(atlas())
    for column in ("city", "speaker"):
        found = [cities(split, part, column) for part in split.parts]
        assert sum(map(len, found)) == len(set.union(*found))


def test_the_order_of_rows_does_not_matter() -> None:
    one, other = divide(atlas()), divide(atlas(order=3))
    for part in one.parts:
        assert cities(one, part) == cities(other, part)


def test_another_region_leaves_the_others_as_they_were() -> None:
    with_it, without = divide(atlas()), divide(atlas(cities={name: n for name, n in CITIES.items() if name != "abr"}))
    for part in with_it.parts:
        assert {city for city in cities(with_it, part) if not city.startswith("abr")} == cities(without, part)


def test_another_seed_and_each_repeat_give_other_cities() -> None:
    assert cities(divide(atlas()), "test") != cities(divide(atlas(), seed=1), "test")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TsworkWarning)
        first, second = make_splits(atlas(), SplitSpec(by="groups", rule="per_label", repeats=2), seed=0)
    assert cities(first, "test") != cities(second, "test")
    assert second.name == "repeat 2 of 2"


def test_a_speaker_of_two_cities_makes_them_one_group() -> None:
    collection = atlas(cities={"eml": 4, "lig": 3})
    both = collection.table["speaker"].replace({"eml00_s0": "traveller", "eml01_s0": "traveller"})
    tied = collection.replaced(table=collection.table.assign(speaker=both))
    for seed in range(8):
        split = divide(tied, seed=seed)
        holding = [part for part in split.parts if cities(split, part) & {"eml00", "eml01"}]
        assert len(holding) == 1
        assert {"eml00", "eml01"} <= cities(split, holding[0])


def test_one_column_may_divide_alone() -> None:
    collection = atlas(cities={"eml": 3, "lig": 3}).replaced(groups=("city",))
    assert len(cities(divide(collection, group="city"), "train")) == 2


def test_small_labels_may_train_only() -> None:
    split = divide(atlas(), few="train")
    assert {"cam00", "laz00"} <= cities(split, "train")
    assert set(DROPPED) & set(split.test.table["region"]) == set()
    assert split.train.collection.classes == tuple(sorted(CITIES))
    assert "train only" in split.train.collection.notes[0]


def test_two_groups_are_enough_without_validation() -> None:
    split = divide(atlas(cities={"a": 2, "b": 5}), fractions=(0.5, 0.0, 0.5))
    assert len(split.validation) == 0
    assert len(cities(split, "test")) == 1 + 3


@pytest.mark.parametrize("fractions", [(0.1, 0.1, 0.8), (0.1, 0.8, 0.1), (0.02, 0.49, 0.49)])
@pytest.mark.parametrize("count", [3, 4, 7])
def test_training_keeps_a_group_whatever_the_shares(fractions: tuple[float, float, float], count: int) -> None:
    split = divide(atlas(cities={"a": count, "b": count}), fractions=fractions)
    for part in split.parts.values():
        assert set(part.table["region"]) == {"a", "b"}


def test_a_sequence_without_a_group_stands_alone_and_without_a_label_nowhere() -> None:
    collection = atlas(cities={"a": 4, "b": 4})
    table = collection.table.copy()
    table.loc[table.index[:2], ["city", "speaker"]] = None
    table.loc[table.index[2:4], "region"] = None
    split = divide(collection.replaced(table=table), ungrouped="alone")
    used = pd.concat([part.table for part in split.parts.values()])["id"]
    assert set(table["id"]) - set(used) == set(table["id"][2:4])


def test_labels_that_nobody_wrote_down_are_refused() -> None:
    empty = atlas().table["region"].where(atlas().table["region"] == "")
    assert "no sequence has a 'region'" in refused(atlas().replaced(table=atlas().table.assign(region=empty)))


def test_groups_that_have_every_label_are_refused() -> None:
    collection = atlas(cities={"a": 4, "b": 4})
    table = collection.table.assign(region=["a", "b"] * 8)
    told = refused(collection.replaced(table=table, groups=("city",)))
    assert told == (
        "data.split.rule: groups have several labels, and none has mostly b."
        " Leave out `rule: per_label`, which divides the groups of each label by themselves."
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"fractions": (0.6, 0.2, 0.1)},
            "data.split.fractions: should sum to 1 with `rule: per_label`, whose rest trains",
        ),
        ({"folds": 3}, "data.split.folds: does not go with `rule: per_label`"),
        ({"counts": (1, 1, 1)}, "data.split.counts: does not go with `rule: per_label`"),
    ],
)
def test_options_that_contradict_the_rule_are_refused(options: dict[str, Any], message: str) -> None:
    assert refused(atlas(), **options) == message


def test_the_rule_and_its_option_go_with_groups_and_a_label() -> None:
    unlabelled = atlas().replaced(label=None)
    assert "needs a label" in refused(unlabelled)
    with pytest.raises(DataInvalid, match="few: goes with `rule: per_label`"):
        make_splits(atlas(), SplitSpec(by="groups", few="train"), seed=0)
    with pytest.raises(DataInvalid, match="rule: per_label goes with `by: groups`"):
        make_splits(atlas(), SplitSpec(by="sequences", rule="per_label"), seed=0)
