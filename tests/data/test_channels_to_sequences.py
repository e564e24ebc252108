"""Every target a sequence of its own: values, times and columns go with it, and splits know where it comes from."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tswork.config import configure
from tswork.data.collection import Affine, Collection
from tswork.data.split_spec import SplitSpec
from tswork.data.splits import make_splits
from tswork.errors import DataInvalid


def apart(collection: Collection) -> Collection:
    found: Collection = configure("preparation", "channels_to_sequences").build().apply(collection)
    return found


def wide(lengths: list[int], channels: str = "hab", targets: tuple[str, ...] = ("a", "b"), **fields: Any) -> Collection:
    draw = np.random.default_rng(0)
    cases = [draw.normal(size=(steps, len(channels))).astype(np.float32) for steps in lengths]
    table = pd.DataFrame(
        {"id": [f"s{row}" for row in range(len(lengths))], "who": [f"p{row}" for row in range(len(lengths))]}
    )
    fields.setdefault("table", table)
    return Collection.from_sequences(cases, channels=tuple(channels), targets=targets, **fields)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
    st.sampled_from([("a",), ("b", "a"), ("h", "a", "b"), ()]),
)
def test_a_sequence_holds_all_covariates_and_its_one_target(lengths: list[int], targets: tuple[str, ...]) -> None:
    collection = wide(lengths, targets=targets).replaced(times=torch.arange(sum(lengths)))
    found = apart(collection)
    chosen = targets or tuple("hab")
    covariates = [name for name in "hab" if name not in chosen]
    assert found.channels == (*covariates, "value")
    assert found.targets == ("value",)
    assert len(found) == len(lengths) * len(chosen)
    assert found.times is not None
    starts = list(pairwise(collection.offsets.tolist()))
    for number in range(len(found)):
        row, name = number // len(chosen), chosen[number % len(chosen)]
        columns = ["hab".index(one) for one in (*covariates, name)]
        assert torch.equal(found.sequence(number), collection.sequence(row)[:, columns])
        start, stop = found.offsets[number : number + 2].tolist()
        assert found.times[start:stop].tolist() == list(range(*starts[row]))


def test_ids_are_the_channels_of_one_series_and_name_the_recording_of_several() -> None:
    assert apart(wide([3])).table.to_dict("list") == {
        "id": ["a", "b"], "who": ["p0", "p0"], "recording": ["s0", "s0"], "channel": ["a", "b"],
    }  # fmt: skip
    several = apart(wide([3, 4], label="who", groups=("who",)))
    assert several.table["id"].tolist() == ["s0/a", "s0/b", "s1/a", "s1/b"]
    assert several.table["recording"].tolist() == ["s0", "s0", "s1", "s1"]
    assert (several.label, several.groups) == ("who", ("who",))
    assert apart(wide([1, 1], table=pd.DataFrame({"x": [1, 2]}))).table["id"].tolist() == ["0/a", "0/b", "1/a", "1/b"]


def test_a_split_in_time_cuts_every_channel_alike() -> None:
    (split,) = make_splits(apart(wide([10])), SplitSpec(by="time", fractions=(0.6, 0.2, 0.2)), seed=0)
    spans = [part.spans.tolist() for part in split.parts.values()]
    assert spans == [[[0, 0, 6], [1, 0, 6]], [[0, 6, 8], [1, 6, 8]], [[0, 8, 10], [1, 8, 10]]]


def test_channels_of_one_recording_are_never_in_two_parts_of_a_split_by_groups() -> None:
    for split in make_splits(apart(wide([4] * 12)), SplitSpec(by="groups", repeats=5), seed=0):
        sides = [set(part.table["recording"]) for part in split.parts.values()]
        assert len(set.union(*sides)) == sum(map(len, sides)) == 12


@pytest.mark.parametrize("order", [("channels_to_sequences", "segment"), ("segment", "channels_to_sequences")])
def test_pieces_of_channels_are_not_cut_in_time(order: tuple[str, str]) -> None:
    collection = wide([12])
    for name in order:
        options = {"steps": 4} if name == "segment" else {}
        collection = configure("preparation", {"uses": name, **options}).build().apply(collection)
    assert sorted(collection.table["channel"]) == ["a"] * 3 + ["b"] * 3
    assert set(collection.table["recording"]) == {"s0"}
    with pytest.raises(DataInvalid, match="these are pieces of recordings, which would be in all parts"):
        make_splits(collection, SplitSpec(by="time", fractions=(0.6, 0.2, 0.2)), seed=0)


@pytest.mark.parametrize("rows", [1, 2])
def test_the_way_back_to_the_users_units_goes_with_each_channel(rows: int) -> None:
    affine = Affine(torch.arange(3.0 * rows).view(rows, 3) + 1, torch.arange(3.0 * rows).view(rows, 3))
    collection = wide([4, 4], affine=affine)
    found = apart(collection)
    assert found.affine is not None
    for number in range(4):
        row = number // 2 if rows == 2 else 0
        columns = [0, 1 + number % 2]
        assert found.affine.scale[number].tolist() == affine.scale[row, columns].tolist()
        assert found.affine.offset[number].tolist() == affine.offset[row, columns].tolist()


def test_scaling_per_recording_afterwards_is_scaling_of_columns_before() -> None:
    collection = wide([40])
    (before,) = make_splits(collection, SplitSpec(by="time", fractions=(0.5, 0.2, 0.3)), seed=0)
    (after,) = make_splits(apart(collection), SplitSpec(by="time", fractions=(0.5, 0.2, 0.3)), seed=0)
    scaled = []
    for split, per in ((before, "data"), (after, "recording")):
        step = configure("preparation", {"uses": "standardize", "per": per}).build()
        step.fit(split.train)
        scaled.append(step.apply(split.train.collection))
    assert torch.equal(apart(scaled[0]).values, scaled[1].values)


def test_a_column_that_would_be_overwritten_is_refused() -> None:
    collection = wide([3], table=pd.DataFrame({"id": ["s"], "channel": ["left"]}))
    with pytest.raises(DataInvalid) as refused:
        apart(collection)
    assert str(refused.value) == (
        "data.prepare: 'channels_to_sequences' writes a column 'channel', and the table has one already. Call it otherwise with"
        " `columns: {NAME: channel}`."
    )


def test_a_covariate_with_the_name_of_all_targets_is_refused() -> None:
    collection = wide([3], channels="hab").replaced(channels=("value", "a", "b"))
    with pytest.raises(DataInvalid, match="calls every target 'value', and the data have a covariate of that name"):
        apart(collection)
    assert apart(collection.replaced(channels=("h", "value", "b"), targets=("value", "b"))).channels == ("h", "value")
