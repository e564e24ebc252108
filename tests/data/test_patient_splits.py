"""Splits by patient: lists of a paper, one patient at a time, folds by seed, shares of classes among patients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests.data.test_splits import made, one, rows, told
from tswork.data.collection import Collection, Split
from tswork.data.split_spec import SplitSpec, split_count, split_faults
from tswork.data.splits import make_splits

TRIALS = (1, 5, 12, 16, 20, 22, 24, 25, 27, 28, 29, 30, 30, 31, 32, 33, 35, 38, 40, 44, 48, 51, 59)
"""Trials of 23 patients, as unequal as those of the published Alzheimer set."""
ILL = (1, 3, 6, 8, 9, 11, 12, 13, 15, 17, 19, 21)


def patients(ids: list[Any] | None = None, each: int = 2, **more: Any) -> Collection:
    """Two trials of each patient; every second one is ill."""
    ids = [f"{number:02}" for number in range(1, 13)] if ids is None else ids
    who = [one for one in ids for _ in range(each)]
    kinds = [["ill", "well"][place % 2] for place in range(len(ids)) for _ in range(each)]
    return made([4] * len(who), patient=who, kind=kinds, label="kind", **{"groups": ("patient",), **more})


def who(split: Split) -> dict[str, list[Any]]:
    return {name: part.table["patient"].unique().tolist() for name, part in split.parts.items()}


def listed(collection: Collection, **lists: Any) -> Split:
    return one(collection, by="groups", lists=lists)


def refused(collection: Collection, **lists: Any) -> list[str]:
    return told(collection, by="groups", lists=lists).splitlines()


# Lists


@pytest.mark.parametrize("ids", [list(range(1, 13)), [f"{number:02}" for number in range(1, 13)], [f"{number}" for number in range(1, 13)], [float(number) for number in range(1, 13)]])  # fmt: skip
def test_patients_of_lists_go_where_they_are_listed_and_the_rest_trains(ids: list[Any]) -> None:
    split = listed(patients(ids), validation=[3, 4], test=[9, 10])
    assert who(split) == {"train": ids[:2] + ids[4:8] + ids[10:], "validation": ids[2:4], "test": ids[8:10]}
    assert (split.name, split.groups, len(split.train)) == ("lists", ("patient",), 16)


def test_ids_written_as_text_are_found_as_they_are_written() -> None:
    assert who(listed(patients(), test=["09", "10"]))["test"] == ["09", "10"]
    assert refused(patients(), test=["9", "10"]) == [
        "data.split.lists.test: 'patient' has no value '9'. Did you mean '09'?"
    ]


def test_ids_of_a_column_with_gaps_elsewhere_are_found_without_their_fraction() -> None:
    assert who(listed(patients([float(number) for number in range(1, 13)]), test=["9", 10]))["test"] == [9.0, 10.0]


def test_a_number_that_two_ids_have_is_refused_unless_one_is_written_so() -> None:
    ids = ["7", "07", "007", "1", "2", "3"]
    assert who(listed(patients(ids), test=[7, "1"]))["test"] == ["7", "1"]
    assert refused(patients(ids[1:]), test=[7, "1"]) == [
        "data.split.lists.test: 7 may be '07', '007' of 'patient'. Write it as text, between quotes."
    ]


def test_with_a_training_list_patients_in_no_list_stay_unused() -> None:
    split = listed(patients(), train=[1, 2], validation=[3, 4], test=[5, 6])
    assert who(split) == {"train": ["01", "02"], "validation": ["03", "04"], "test": ["05", "06"]}


def test_unknown_and_doubled_patients_are_told_at_once_with_near_names() -> None:
    assert refused(patients(), validation=["x", 3], test=[3, "03", 112]) == [
        "data.split.lists.validation: 'patient' has no value 'x'. It has 01, 02, 03, 04, 05 and 7 more.",
        "data.split.lists.test: 'patient' has no value 112. Did you mean '12'?",
        "data.split.lists.test: 3 ('patient' 03) is in validation already",
        "data.split.lists.test: '03' is in validation already",
    ]


def test_a_trial_without_a_patient_has_no_place_in_lists() -> None:
    collection = made([4] * 4, patient=["1", "2", None, "3"], groups=("patient",))
    assert refused(collection, test=[1]) == [
        "data.split.lists: 1 sequence has no 'patient', so no list can tell where they belong: 2"
    ]


def test_lists_name_values_of_the_first_group_or_of_the_column_that_is_named() -> None:
    collection = patients(groups=(), site=["a", "b"] * 12)
    assert who(one(collection, by="groups", group="patient", lists={"test": [1, 2]}))["test"] == ["01", "02"]
    assert refused(collection, test=[1]) == [
        "data.split.lists: lists name values of a group, and the data name no groups. Name their column with"
        " `groups: [patient]` or `split: {group: patient}`."
    ]
    assert told(collection, by="groups", group="patent", lists={"test": [1]}) == (
        "data.split.group: there is no column 'patent'. Did you mean 'patient'?"
    )


def test_a_class_that_lists_leave_without_training_is_refused() -> None:
    assert refused(patients(), test=[1, 3, 5, 7, 9, 11]) == [
        "data.split: classes without training data in lists: ill. Use fewer folds or more groups."
    ]


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ({"by": "time", "lists": {"test": (1,)}}, "goes with `by: groups`"),
        ({"by": "groups", "lists": {"test": (1,)}, "folds": 2}, "are one split, which has no folds"),
        ({"by": "groups", "lists": {"test": (1,)}, "fractions": (0.5, 0.2, 0.3)}, "give one of fractions and lists"),
        ({"by": "groups", "folds": 1}, "should be at least 2, or `each`; 1 is given"),
        ({"by": "sequences", "folds": "each"}, "`each` goes with `by: groups`"),
        ({"by": "groups", "index": "seed"}, "goes with folds or repeats"),
        ({"by": "groups", "folds": 3, "index": -1}, "should not be negative"),
        ({"by": "groups", "folds": 3, "index": 3}, "should be below folds (3)"),
        ({"by": "official", "group": "patient"}, "goes with `by: groups`"),
    ],
)
def test_keys_that_do_not_go_together_are_told_before_any_data_are_read(spec: dict[str, Any], fault: str) -> None:
    assert fault in [message for _, message in split_faults(SplitSpec.model_validate(spec))]


# One patient at a time


def test_each_patient_is_tested_once_and_validation_never_trains() -> None:
    spec = SplitSpec(by="groups", folds="each")
    splits = make_splits(patients(), spec, seed=0)
    assert split_count(spec) is None
    assert [who(split)["test"] for split in splits] == [[f"{number:02}"] for number in range(1, 13)]
    assert splits[2].name == "fold 3 of 12"
    for split in splits:
        sides = [set(part) for part in who(split).values()]
        assert set.union(*sides) == set(patients().table["patient"])
        assert sum(map(len, sides)) == 12, "no patient is in two parts"
        assert split.validation.table["kind"].nunique() == 2, "validation holds a fifth of the others, of both classes"


def test_one_of_the_patients_can_be_asked_for() -> None:
    (fifth,) = make_splits(patients(), SplitSpec(by="groups", folds="each", index=4), seed=0)
    assert who(fifth)["test"] == ["05"]
    assert told(patients(), by="groups", folds="each", index=12) == (
        "data.split.index: should be below the number of groups (12)"
    )


# The split follows the seed


@pytest.mark.parametrize("several", [{"folds": 4}, {"repeats": 4}, {"folds": "each"}])
def test_a_seed_chooses_among_the_same_splits(several: dict[str, Any]) -> None:
    fixed = make_splits(patients(), SplitSpec.model_validate({"by": "groups", "seed": 0, **several}), seed=99)
    for seed in (41, 42, 43, 44, 45):
        spec = SplitSpec.model_validate({"by": "groups", "index": "seed", **several})
        (split,) = make_splits(patients(), spec, seed=seed)
        assert rows(split) == rows(fixed[seed % len(fixed)])


def test_seeds_in_a_row_test_every_patient_once_over_as_many_folds() -> None:
    spec = SplitSpec(by="groups", folds=5, index="seed")
    tested = [name for seed in range(41, 46) for name in who(make_splits(patients(), spec, seed=seed)[0])["test"]]
    assert sorted(tested) == sorted(patients().table["patient"].unique())


# Shares of classes among patients


@pytest.mark.parametrize("seed", range(4))
def test_folds_of_unequal_patients_hold_both_classes_in_near_shares(seed: int) -> None:
    ids = [number for number, count in enumerate(TRIALS, 1) for _ in range(count)]
    kinds = ["ill" if number in ILL else "well" for number in ids]
    collection = made([4] * len(ids), patient=ids, kind=kinds, groups=("patient",), label="kind")
    for split in make_splits(collection, SplitSpec(by="groups", folds=5), seed=seed):
        tested = split.test.table
        ill = tested[tested["kind"] == "ill"]
        assert tested["kind"].nunique() == 2
        assert 4 <= tested["patient"].nunique() <= 5
        assert abs(ill["patient"].nunique() / tested["patient"].nunique() - 12 / 23) <= 0.35
        assert abs(len(ill) / len(tested) - kinds.count("ill") / len(kinds)) < 0.2


def test_equal_patients_are_divided_exactly_by_class() -> None:
    for split in make_splits(patients(each=3), SplitSpec(by="groups", folds=3), seed=1):
        counts = split.test.table.drop_duplicates("patient")["kind"].value_counts()
        assert counts.to_dict() == {"ill": 2, "well": 2}


# Which column divides, and what counts


def test_sequences_are_divided_whatever_their_groups_where_a_reason_is_given() -> None:
    text = told(patients(each=20), by="sequences")
    assert text.startswith(
        "split sequences: 12 values of 'patient' are in more than one of train, validation, test: 01, 02, 03, 04, 05 and 7 "
    )
    split = one(patients(each=20), by="sequences", allow_leak="to show what it is worth")
    assert [len(part) for part in split.parts.values()] == [144, 48, 48]
    assert len(split.leaks) == 1
    assert one(made([4] * 10), by="sequences").leaks == ()


def test_segments_of_a_recording_are_parted_by_sequences_and_told() -> None:
    collection = made([2] * 30, recording=[f"r{row // 10}" for row in range(30)])
    assert "values of 'recording' are in more than one of train, validation, test: r0, r1, r2" in told(
        collection, by="sequences"
    )


def test_the_groups_of_the_data_count_when_another_column_divides() -> None:
    collection = patients(each=6, visit=[f"v{row // 2}" for row in range(72)])
    text = told(collection, by="groups", group="visit")
    assert text.startswith("split groups: ")
    assert "of 'patient' are in more than one of train, validation, test: " in text
    assert one(collection, by="groups", group="patient").leaks == ()


def test_a_column_that_a_stage_takes_for_persons_counts_however_the_split_was_made() -> None:
    collection = patients(each=6, visit=[f"v{row // 2}" for row in range(72)], groups=("visit",))
    assert one(collection, by="groups").leaks == ()
    for spec in (SplitSpec(by="groups"), SplitSpec(by="time", fractions=(0.5, 0.25, 0.25))):
        with pytest.raises(Exception, match="values of 'patient' are in "):
            make_splits(collection, spec, seed=0, persons=["patient"])
    (split,) = make_splits(collection, SplitSpec(by="groups", group="patient"), seed=0, persons=["patient", "nobody"])
    assert split.groups == ("visit", "patient")


# Trials that are numbered inside each patient


def test_trial_numbers_that_come_again_in_every_patient_are_explained() -> None:
    collection = patients(each=3, trial=[row % 3 for row in range(36)], groups=("patient", "trial"))
    advice = (
        "The values of 'trial' come again in several of 'patient': if it counts inside each of these, leave it out of the"
        " groups, since 'patient' keeps them together."
    )
    assert told(collection, by="groups") == (
        "data.split: 1 group is fewer than the 3 parts. Give 0 for validation, or use more groups. " + advice
    )
    (line,) = told(collection, by="groups", group="patient").splitlines()
    assert line.split(": ")[1] == "3 values of 'trial' are in more than one of train, validation, test"
    assert line.endswith(advice)


def test_a_device_that_two_patients_share_gets_no_such_advice() -> None:
    device = [place if place else 1 for place in range(12) for _ in range(2)]
    collection = patients(device=device, groups=("patient", "device"))
    text = told(collection, by="groups", lists={"test": [1, 5]})
    assert text.endswith("give `split: {allow_leak: REASON}`.")
    assert "1 value of 'device' is in train and test: 1" in text


def test_ids_are_numbers_text_or_large_and_the_split_is_the_same() -> None:
    plain = patients(list(range(12)))
    for ids in ([f"{number:03}" for number in range(12)], [2**40 + number for number in range(12)]):
        assert rows(one(patients(ids), by="groups")) == rows(one(plain, by="groups"))


def test_a_change_of_a_tested_patient_changes_no_training_tensor() -> None:
    from tswork.config import configure

    collection = patients(each=3)
    tested = torch.from_numpy(np.isin(collection.table["patient"], ["03", "04"]))
    owner = torch.repeat_interleave(torch.arange(len(collection)), collection.lengths)
    other = collection.replaced(
        values=torch.where(tested[owner][:, None], collection.values * 9 + 5, collection.values)
    )
    for options in ({"per": "data"}, {"per": "recording"}):
        seen = []
        for data in (collection, other):
            split = one(data, by="groups", lists={"validation": [5], "test": [3, 4]})
            step = configure("preparation", {"uses": "standardize", **options}).build()
            step.fit(split.train)
            scaled = split.on(step.apply(data))
            seen.append({name: part.collection.values[_steps(part)] for name, part in scaled.parts.items()})
        assert torch.equal(seen[0]["train"], seen[1]["train"])
        assert torch.equal(seen[0]["validation"], seen[1]["validation"])
        if options["per"] == "data":
            assert not torch.equal(seen[0]["test"], seen[1]["test"]), "the change is seen where it was made"


def _steps(part: Any) -> torch.Tensor:
    starts = part.collection.offsets[part.spans[:, 0]]
    return torch.cat([torch.arange(int(first), int(first) + int(size)) for first, size in zip(starts, part.lengths, strict=True)])  # fmt: skip


def test_the_table_of_a_patient_is_not_needed_beyond_its_column() -> None:
    collection = made([4] * 6, patient=list("aabbcc"), groups=("patient",))
    assert isinstance(collection.table, pd.DataFrame)
    assert who(listed(collection, validation=["b"], test=["c"])) == {"train": ["a"], "validation": ["b"], "test": ["c"]}
