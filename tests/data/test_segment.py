"""Segments: their number, their content, what happens with the rest, and that they remember their recording."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference import preparations as plain
from tswork.config import configure
from tswork.data.collection import Affine, Collection
from tswork.data.split_spec import SplitSpec
from tswork.data.splits import make_splits
from tswork.errors import DataInvalid, TsworkWarning


def segment(collection: Collection, **options: Any) -> Collection:
    found: Collection = configure("preparation", {"uses": "segment", **options}).build().apply(collection)
    return found


def counting(lengths: list[int], **fields: Any) -> Collection:
    """Sequences that count on through all steps, two channels."""
    offsets = np.cumsum([0, *lengths])
    cases = [np.stack([np.arange(a, b), -np.arange(a, b)], axis=1).astype(np.float32) for a, b in pairwise(offsets)]
    table = pd.DataFrame(
        {"id": [f"s{row}" for row in range(len(lengths))], "who": [f"p{row // 2}" for row in range(len(lengths))]}
    )
    return Collection.from_sequences(cases, table=table, **fields)


@pytest.mark.parametrize(
    ("steps", "length", "overlap", "count"),
    [
        (1280, 256, 0.5, 9),
        (2560, 256, 0.5, 19),
        (3000, 300, 0.0, 10),
        (1024, 256, 0.75, 13),
        (1024, 256, 0.25, 5),
        (1280, 256, 0.75, 17),
        (256, 256, 0.5, 1),
        (5, 2, 0.9, 4),
    ],
)
def test_their_number_is_floor_of_what_is_left_over_the_hop_plus_one(
    steps: int, length: int, overlap: float, count: int
) -> None:
    found = segment(counting([steps]), steps=length, overlap=overlap)
    assert len(found) == count
    assert torch.equal(found.sequence(0), counting([steps]).sequence(0)[:length])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(1, 12), st.sampled_from([0.0, 0.25, 0.5, 0.9]),
    st.sampled_from(["drop", "keep", "pad"]),
)  # fmt: skip
def test_segments_are_those_of_a_plain_walk(lengths: list[int], length: int, overlap: float, rest: str) -> None:
    collection = counting(lengths)
    wanted = [
        (row, *span) for row, steps in enumerate(lengths) for span in plain.segments(steps, length, overlap, rest)
    ]
    if not wanted or (rest == "drop" and min(lengths) < length):
        with pytest.raises(DataInvalid, match="shorter than"):
            segment(collection, steps=length, overlap=overlap, rest=rest)
        return
    found = segment(collection, steps=length, overlap=overlap, rest=rest)
    assert found.table["recording"].tolist() == [f"s{row}" for row, *_ in wanted]
    for number, (row, start, stop) in enumerate(wanted):
        content = collection.sequence(row)[start:stop]
        assert torch.equal(found.sequence(number)[: len(content)], content)
        assert len(found.sequence(number)) == (length if rest == "pad" else len(content))
        assert torch.isnan(found.sequence(number)[len(content) :]).all()


def test_columns_go_with_the_segments_and_ids_stay_unique() -> None:
    found = segment(counting([4, 5], label="who", groups=("who",)), steps=2)
    assert found.table.to_dict("list") == {
        "id": ["s0/0", "s0/1", "s1/0", "s1/1"], "who": ["p0"] * 4, "recording": ["s0", "s0", "s1", "s1"],
    }  # fmt: skip
    assert (found.label, found.groups) == ("who", ("who",))


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.75])
def test_windows_of_a_trial_share_its_label_its_patient_and_its_trial_id(overlap: float) -> None:
    table = pd.DataFrame({"patient": [7, 7, 9], "trial": [1, 2, 1], "kind": ["ill", "ill", "well"]})
    trials = counting([32] * 3).replaced(table=table, label="kind", groups=("patient",))
    found = segment(trials, steps=8, overlap=overlap)
    each = (32 - 8) // round(8 * (1 - overlap)) + 1
    assert len(found) == 3 * each
    columns = ["patient", "trial", "kind"]
    assert found.table[columns].to_numpy().tolist() == np.repeat(table.to_numpy(), each, axis=0).tolist()
    for row in range(3):
        assert torch.equal(found.sequence(row * each), trials.sequence(row)[:8])


def test_a_patient_of_whom_nothing_is_left_is_named() -> None:
    collection = counting([2, 3, 8, 8], groups=("who",))
    with pytest.warns(TsworkWarning, match="shorter than 4 steps: s0, s1; nothing is left of 'who' p0"):
        assert segment(collection, steps=4, short="drop").notes == (
            "segment leaves out 2 of 4 recordings shorter than 4 steps: s0, s1; nothing is left of 'who' p0",
        )


def test_windows_of_trials_know_their_trial_and_their_recording() -> None:
    trials = segment(counting([8, 9]), steps=4, column="trial")
    assert trials.table["trial"].tolist() == ["s0/0", "s0/1", "s1/0", "s1/1"]
    windows = segment(trials, steps=2, overlap=0.5)
    assert windows.table["trial"].tolist() == [trial for trial in trials.table["trial"] for _ in range(3)]
    assert windows.table["recording"].tolist() == ["s0"] * 6 + ["s1"] * 6
    assert windows.table["id"].is_unique
    for row, trial in enumerate(trials.table["trial"]):
        first = windows.table.index[windows.table["trial"] == trial][0]
        assert torch.equal(windows.sequence(first), trials.sequence(row)[:2])


def test_a_column_of_the_table_is_not_overwritten_by_the_segments_ids() -> None:
    with pytest.raises(DataInvalid) as refused:
        segment(counting([8]), steps=4, column="who")
    assert str(refused.value) == (
        "data.prepare: 'segment' writes a column 'who', and the table has one already. Name another one, or call that of the"
        " table otherwise with `columns: {NAME: who}`."
    )


def test_seconds_are_counted_by_the_rate_or_by_time_stamps() -> None:
    assert segment(counting([100], rate=50.0), seconds=0.5).lengths.tolist() == [25] * 4
    hours = torch.arange(48) * 3600 * 10**9
    found = segment(counting([48]).replaced(times=hours), seconds=86400.0)
    assert found.lengths.tolist() == [24, 24]
    assert found.times is not None
    assert found.times.tolist() == hours.tolist()


def test_time_goes_on_where_a_segment_is_filled_up() -> None:
    found = segment(counting([5]).replaced(times=torch.arange(5) * 10), steps=3, rest="pad")
    assert found.times is not None
    assert found.times.tolist() == [0, 10, 20, 30, 40, 50]


def test_sound_is_filled_up_with_silence() -> None:
    sound = Collection.from_sequences([np.ones((3, 1), np.int16)])
    found = segment(sound, steps=2, rest="pad")
    assert found.values.dtype == torch.int16
    assert found.values.flatten().tolist() == [1, 1, 1, 0]


def test_recordings_that_are_too_short_are_refused_by_name_or_left_out_with_a_warning() -> None:
    collection = counting([5, 2, 5])
    with pytest.raises(DataInvalid) as refused:
        segment(collection, steps=4)
    assert str(refused.value) == (
        "data.prepare: 1 of 3 sequences is shorter than the 4 steps that 'segment' needs: s1. Give `rest: keep`, `rest: pad`"
        " or `short: drop`."
    )
    with pytest.warns(TsworkWarning, match="segment leaves out 1 of 3 recordings shorter than 4 steps: s1"):
        assert segment(collection, steps=4, short="drop").table["recording"].tolist() == ["s0", "s2"]
    with pytest.raises(DataInvalid, match="'segment' leaves nothing: all 3 recordings shorter than 9 steps"):
        segment(collection, steps=9, short="drop")


@pytest.mark.parametrize(
    ("collection", "options", "told"),
    [
        (counting([5]), {"seconds": 1.0}, "data.rate: 'segment' needs to know how many samples a second there are. Give `rate:`, or name time stamps with `time:`."),
        (counting([5], rate=2.0), {"seconds": 0.1}, "data.prepare: 0.1 seconds are less than one time step"),
        (counting([5]).replaced(times=torch.tensor([0, 1, 2, 4, 5])), {"seconds": 1e-9}, "data.time: 'segment' needs regular time stamps; 1 step differs from the usual 1e-09 s, in s0"),
        (counting([5]).replaced(table=pd.DataFrame({"id": ["s"], "test_start": [3]})), {"steps": 2}, "data.prepare: 'segment' would mix the published test values into the series before them. Leave out 'segment'."),
    ],
)  # fmt: skip
def test_what_cannot_be_cut_is_refused(collection: Collection, options: dict[str, Any], told: str) -> None:
    with pytest.raises(DataInvalid) as refused:
        segment(collection, **options)
    assert str(refused.value) == told


def test_segments_of_a_recording_are_never_in_two_parts() -> None:
    found = segment(counting([8] * 20), steps=2, overlap=0.5)
    for split in make_splits(found, SplitSpec(by="groups", repeats=5), seed=0):
        sides = [set(part.table["recording"]) for part in split.parts.values()]
        assert len(set.union(*sides)) == sum(map(len, sides)) == 20


def test_segments_of_pieces_stay_with_the_recording_of_the_pieces() -> None:
    pieces = counting([4, 4, 4]).replaced(table=pd.DataFrame({"id": ["a", "b", "c"], "recording": ["r", "r", None]}))
    assert segment(pieces, steps=2).table["recording"].tolist() == ["r"] * 4 + ["c"] * 2


def test_recordings_whose_ids_repeat_are_kept_apart_by_their_row() -> None:
    collection = counting([2, 2]).replaced(table=pd.DataFrame({"id": ["a", "a"]}))
    assert segment(collection, steps=1).table["recording"].tolist() == ["0", "0", "1", "1"]


def test_the_way_back_to_the_users_units_goes_with_each_segment() -> None:
    affine = Affine(torch.tensor([[1.0, 1.0], [2.0, 2.0]]), torch.zeros(2, 2))
    found = segment(counting([4, 2], affine=affine), steps=2)
    assert found.affine is not None
    assert found.affine.scale[:, 0].tolist() == [1, 1, 2]
