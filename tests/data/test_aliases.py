"""Ids that are one person: together in every split, named by the guard, and refused where they make no sense."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.data.opening import places
from tests.data.test_patient_splits import patients, who
from tests.data.test_splits import made, one, told
from tswork.data.aliases import merge_aliases
from tswork.data.collection import Collection
from tswork.data.opening import open_collection
from tswork.data.spec import DataSpec
from tswork.errors import DataInvalid
from tswork.store import Store


def merged(collection: Collection, **aliases: Any) -> Collection:
    return merge_aliases(collection, aliases)


def refused(collection: Collection, **aliases: Any) -> list[str]:
    with pytest.raises(DataInvalid) as told:
        merged(collection, **aliases)
    return str(told.value).splitlines()


def tape() -> Collection:
    """Heart recordings of eight ids, two of which are one person."""
    return patients([200, 201, 202, 203, 205, 207, 208, 209])


def test_aliases_become_one_person_and_the_written_ids_stay() -> None:
    found = merged(tape(), patient=[[201, "202"]])
    assert found.table["patient"].unique().tolist() == [200, 201, 203, 205, 207, 208, 209]
    assert found.table["patient_written"].tolist() == tape().table["patient"].tolist()
    assert found.categories("patient") == ("200", "201", "203", "205", "207", "208", "209")


def test_aliases_are_never_parted() -> None:
    found = merged(tape(), patient=[[201, 202]])
    for seed in range(8):
        split = one(found, by="groups", seed=seed)
        sides = [set(part.table["patient_written"]) for part in split.parts.values()]
        assert sum({201, 202} <= side for side in sides) == 1
        assert sum(bool({201, 202} & side) for side in sides) == 1


def test_a_list_that_parts_aliases_is_refused_by_the_name_it_uses() -> None:
    found = merged(tape(), patient=[[201, 202]])
    assert told(found, by="groups", lists={"validation": [201], "test": [202, 203]}) == (
        "data.split.lists.test: 202 ('patient' 201) is in validation already"
    )
    split = one(found, by="groups", lists={"test": [202, 203]})
    assert who(split)["test"] == [201, 203]
    assert split.test.table["patient_written"].tolist() == [201, 201, 202, 202, 203, 203]


def test_the_guard_names_the_ids_of_a_person_in_two_parts() -> None:
    halves = ["train", "train", "train", "train", "test", "test", *["train"] * 5, "test", *["train"] * 4]
    found = merged(tape().replaced(table=tape().table.assign(split=halves)), patient=[[201, 202], [207, 209]])
    assert (
        told(found, by="official")
        .splitlines()[0]
        .startswith("split official: 2 values of 'patient' are in train and test: 201 (also 202), 207 (also 209).")
    )


def test_text_ids_and_several_columns_can_have_aliases() -> None:
    data = made([4] * 4, patient=["N1", "N2", "A1", "A2"], site=["x", "y", "z", "x"], groups=("patient", "site"))
    found = merged(data, patient=[["N1", "N2"]], site=[["x", "z"]])
    assert found.table["patient"].tolist() == ["N1", "N1", "A1", "A2"]
    assert found.table["site"].tolist() == ["x", "y", "x", "x"]


def test_what_is_wrong_with_aliases_is_told_at_once() -> None:
    assert refused(tape(), patient=[[201, 299], [203], [201, 205]], pateint=[[1, 2]]) == [
        "data.aliases.patient[0]: 'patient' has no value 299. Did you mean '209'?",
        "data.aliases.patient[1]: needs at least two ids of one person",
        "data.aliases.patient[2]: 201 is named twice. Put all ids of one person into one list.",
        "data.aliases.pateint: there is no column 'pateint'. Did you mean 'patient'?",
    ]


def test_a_person_without_an_id_stays_without() -> None:
    data = made([4] * 3, patient=["a", None, "b"], groups=("patient",))
    found = merged(data, patient=[["a", "b"]])
    assert found.codes("patient").tolist() == [0, -1, 0]


def test_aliases_of_a_card_hold_from_reading_through_segments_and_the_store(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    np.savez(tmp_path / "x.npz", x=draw.normal(size=(6, 1, 8)).astype(np.float32), patient=np.array([1, 2, 3, 4, 5, 6]))
    block = {
        "reader": "arrays", "path": "x.npz", "values": "x", "groups": ["patient"], "aliases": {"patient": [[2, 5]]},
        "prepare": [{"uses": "segment", "steps": 4}],
    }  # fmt: skip
    spec = DataSpec.parse(block)
    for store in (None, Store(tmp_path / "store"), Store(tmp_path / "store")):
        found = open_collection(spec, places(tmp_path), store=store)
        assert found.table["patient"].tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 2, 2, 6, 6]
        assert pd.unique(found.table["patient_written"]).tolist() == [1, 2, 3, 4, 5, 6]
