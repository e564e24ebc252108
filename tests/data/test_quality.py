"""Missing values and flat channels of segments: kept, left out, filled or refused, and what was done is recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.opening import places
from tswork.config import configure
from tswork.data.collection import Collection
from tswork.data.opening import open_collection
from tswork.data.prepare.quality import flat_channels, missing_counts
from tswork.data.spec import DataSpec
from tswork.errors import DataInvalid, TsworkWarning
from tswork.store import Store

NAN = float("nan")


def sequences(*values: Any, **fields: Any) -> Collection:
    """Sequences of two channels; the second one always changes."""
    cases = [np.stack([np.asarray(one, np.float32), np.arange(len(one), dtype=np.float32)], axis=1) for one in values]
    table = pd.DataFrame({"id": [f"s{row}" for row in range(len(cases))], "patient": [f"p{row // 2}" for row in range(len(cases))]})  # fmt: skip
    return Collection.from_sequences(cases, table=table, groups=("patient",), channels=["Cz", "Pz"], **fields)


def quality(collection: Collection, **options: Any) -> Collection:
    found: Collection = configure("preparation", {"uses": "quality", **options}).build().apply(collection)
    return found


def refused(collection: Collection, **options: Any) -> list[str]:
    with pytest.raises(DataInvalid) as told:
        quality(collection, **options)
    return str(told.value).splitlines()


BAD = ([1, 2, 3], [1, NAN, 3], [5, 5, 5], [4, NAN, 4])


def test_missing_values_are_refused_and_flat_channels_kept_by_default() -> None:
    assert refused(sequences(*BAD)) == [
        "s1, Cz: 1 value is missing (the first at step 1)",
        "s3, Cz: 1 value is missing (the first at step 1)",
    ]
    good = sequences([1, 2, 3], [5, 5, 5])
    assert quality(good) is good


def test_all_that_is_refused_is_told_at_once() -> None:
    remedy = "Leave out the channel, or give `flat: drop`."
    assert refused(sequences(*BAD), flat="refuse")[2:] == [
        f"s2, Cz: holds one value throughout. {remedy}",
        f"s3, Cz: holds one value throughout. {remedy}",
    ]


def test_sequences_are_left_out_by_name_with_their_patients_and_it_is_noted() -> None:
    with pytest.warns(TsworkWarning) as told:
        found = quality(sequences(*BAD), missing="drop", flat="drop")
    assert found.table["id"].tolist() == ["s0"]
    assert found.sequence(0)[:, 0].tolist() == [1, 2, 3]
    assert found.notes == tuple(str(one.message) for one in told)
    assert found.notes == (
        "quality leaves out 2 of 4 sequences with missing values: s1, s3",
        "quality leaves out 1 of 2 sequences with a flat channel: s2; nothing is left of 'patient' p1",
    )


def test_filled_values_are_counted_and_a_filled_flat_channel_is_seen() -> None:
    found = quality(sequences(*BAD), missing="interpolate")
    assert found.sequence(1)[:, 0].tolist() == [1, 2, 3]
    assert found.notes == ("quality fills 2 missing values of 2 of 4 sequences: s1, s3",)
    with pytest.warns(TsworkWarning, match="2 of 4 sequences with a flat channel: s2, s3"):
        assert quality(sequences(*BAD), missing="interpolate", flat="drop").table["id"].tolist() == ["s0", "s1"]


def test_a_channel_without_any_value_cannot_be_filled() -> None:
    assert refused(sequences([NAN, NAN, NAN], [1, 2, 3]), missing="interpolate") == [
        "s0, Cz: all values are missing. Leave out the channel or the sequence."
    ]


def test_leaving_everything_out_is_refused() -> None:
    assert refused(sequences([NAN, 1], [2, NAN]), missing="drop") == [
        "data.prepare: 'quality' leaves nothing: all 2 sequences with missing values"
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from([0.0, 1.0, NAN]), min_size=1, max_size=6), min_size=1, max_size=6))
def test_flat_and_missing_are_those_of_a_plain_look_at_each_sequence(values: list[list[float]]) -> None:
    collection = sequences(*values)
    flat = flat_channels(collection)[:, 0].tolist()
    for row, one in enumerate(values):
        known = [value for value in one if not np.isnan(value)]
        assert flat[row] == (len(known) > 1 and len(set(known)) == 1)
        assert int(missing_counts(collection)[row]) == len(one) - len(known)


def test_sound_that_is_silent_is_flat() -> None:
    sound = Collection.from_sequences([np.zeros((5, 1), np.int16), np.arange(5, dtype=np.int16)[:, None]])
    assert flat_channels(sound).tolist() == [[True], [False]]
    assert missing_counts(sound).tolist() == [0, 0]


def test_one_bad_second_costs_its_segment_alone_and_the_store_keeps_the_note(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(3, 1, 8)).astype(np.float32)
    values[1, 0, 5] = NAN
    np.savez(tmp_path / "x.npz", x=values, id=np.array(["a", "b", "c"]))
    block = {
        "reader": "arrays", "path": "x.npz", "values": "x",
        "prepare": [{"uses": "segment", "steps": 4}, {"uses": "quality", "missing": "drop"}],
    }  # fmt: skip
    store = Store(tmp_path / "store")
    with pytest.warns(TsworkWarning, match="1 of 6 sequences"):
        first = open_collection(DataSpec.parse(block), places(tmp_path), store=store)
    again = open_collection(DataSpec.parse(block), places(tmp_path), store=store)
    assert first.table["id"].tolist() == ["a/0", "a/1", "b/0", "c/0", "c/1"]
    assert again.notes == first.notes == ("quality leaves out 1 of 6 sequences with missing values: b/1",)
    assert again.digest == first.digest == first.replaced(notes=()).digest


def test_what_belongs_to_a_sequence_goes_with_it() -> None:
    from tswork.data.collection import Affine

    collection = sequences([1, 2], [NAN, 1], [3, 4]).replaced(
        times=torch.arange(6), affine=Affine(torch.tensor([[1.0, 1], [2, 2], [3, 3]]), torch.zeros(3, 2))
    )
    with pytest.warns(TsworkWarning):
        found = quality(collection, missing="drop")
    assert found.times is not None
    assert found.affine is not None
    assert found.times.tolist() == [0, 1, 4, 5]
    assert found.affine.scale[:, 0].tolist() == [1, 3]
