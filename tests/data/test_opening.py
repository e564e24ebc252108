"""From a spec to splits: what is fitted sees training data alone, and prepared data come back from the store unchanged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tswork.data.collection import Affine, Collection
from tswork.data.opening import open_collection, open_data, open_new
from tswork.data.places import Places
from tswork.data.spec import DataSpec
from tswork.data.stored import load_collection, save_collection
from tswork.errors import DataInvalid
from tswork.store import Store

BLOCK = {
    "reader": "series_csv",
    "path": "load.csv",
    "time": "stamp",
    "target": ["load"],
    "covariates": ["temp"],
    "prepare": [{"uses": "calendar", "features": ["hour"]}, {"uses": "standardize"}],
    "split": {"by": "time", "fractions": [0.5, 0.25, 0.25]},
}


def write_load(path: Path, *, rows: int = 80, level: float = 0.0) -> None:
    draw = np.random.default_rng(0)
    stamp = pd.date_range("2024-01-01", periods=rows, freq="h")
    load = np.arange(rows) + level + draw.normal(size=rows)
    pd.DataFrame({"stamp": stamp, "load": load, "temp": draw.normal(size=rows)}).to_csv(path, index=False)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    write_load(tmp_path / "load.csv")
    return Places.here(tmp_path, beside=tmp_path)


def test_what_is_fitted_sees_the_training_part_alone(places: Places) -> None:
    (split,) = open_data(DataSpec.parse(BLOCK), places, seed=0).splits
    train = split.train.collection.values[:40]
    torch.testing.assert_close(train.mean(dim=0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(train.std(dim=0, correction=0), torch.ones(3), atol=1e-5, rtol=0)
    assert float(split.train.collection.values[40:, 2].mean()) > 1, "the load rises, so later values are larger"


def test_the_collection_itself_is_not_fitted(places: Places) -> None:
    opened = open_data(DataSpec.parse(BLOCK), places, seed=0)
    assert opened.collection.channels == ("hour", "temp", "load")
    assert opened.collection.values[:3, 0].tolist() == [0, 1, 2]
    assert opened.collection.digest != opened.splits[0].train.collection.digest


def test_with_a_store_the_files_are_read_once(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, store = DataSpec.parse(BLOCK), Store(places.store)
    fresh = open_collection(spec, places)
    first = open_collection(spec, places, store=store)
    monkeypatch.setattr("tswork.data.opening.read_collection", lambda *_: pytest.fail("the file was read again"))
    again = open_collection(spec, places, store=store)
    for found in (first, again):
        assert found.digest == fresh.digest
        assert torch.equal(found.values, fresh.values)
        assert found.times is not None
        assert fresh.times is not None
        assert torch.equal(found.times, fresh.times)
        pd.testing.assert_frame_equal(found.table, fresh.table)
        assert (found.channels, found.targets, found.name) == (fresh.channels, fresh.targets, fresh.name)


def test_the_split_and_what_is_fitted_do_not_count_for_stored_data(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(places.store)
    open_collection(DataSpec.parse(BLOCK), places, store=store)
    monkeypatch.setattr("tswork.data.opening.read_collection", lambda *_: pytest.fail("the file was read again"))
    other = {**BLOCK, "split": {"by": "time", "counts": [40, 20, 20]}, "prepare": BLOCK["prepare"][:1]}  # type: ignore[index]
    assert len(open_collection(DataSpec.parse(other), places, store=store)) == 1


def test_changed_files_and_changed_steps_are_read_again(places: Places) -> None:
    store = Store(places.store)
    before = open_collection(DataSpec.parse(BLOCK), places, store=store)
    longer = {**BLOCK, "prepare": [{"uses": "calendar", "features": ["hour", "day"]}]}
    assert len(open_collection(DataSpec.parse(longer), places, store=store).channels) == 4
    write_load(places.root / "load.csv", level=5.0)
    after = open_collection(DataSpec.parse(BLOCK), places, store=store)
    assert not torch.equal(before.values, after.values)


def test_a_collection_of_every_kind_survives_its_files(tmp_path: Path) -> None:
    collection = Collection.from_sequences(
        [np.arange(6, dtype=np.int16).reshape(3, 2), np.arange(4, dtype=np.int16).reshape(2, 2)],
        table=pd.DataFrame({"id": ["a", "b"], "who": ["x", None], "mixed": [1, "one"]}),
        channels=("left", "right"),
        groups=("who",),
        rate=16_000.0,
        affine=Affine(torch.full((1, 2), 0.5), torch.ones(1, 2)),
    )
    save_collection(tmp_path, collection)
    for budget in (None, 0):
        found = load_collection(tmp_path, budget=budget)
        assert found.values.dtype == torch.int16
        assert torch.equal(found.values, collection.values)
        assert found.offsets.tolist() == [0, 3, 5]
        assert (found.rate, found.groups, found.digest) == (16_000.0, ("who",), collection.digest)
        assert found.table["mixed"].tolist() == ["1", "one"]
        assert found.codes("who").tolist() == [0, -1]
        assert found.affine is not None
        assert found.affine.scale.tolist() == [[0.5, 0.5]]


def test_values_beyond_the_budget_stay_on_disk(tmp_path: Path) -> None:
    save_collection(tmp_path, Collection.from_array(np.zeros((4, 8, 1), np.float32)))
    assert getattr(load_collection(tmp_path, budget=10).values, "_tswork_mapped", False)
    assert not hasattr(load_collection(tmp_path, budget=10_000).values, "_tswork_mapped")


def test_new_data_are_scaled_as_the_training_data_were(places: Places) -> None:
    write_load(places.root / "new.csv", rows=30, level=1000.0)
    part = open_new(DataSpec.parse(BLOCK), places.root / "new.csv", places, seed=0)
    (split,) = open_data(DataSpec.parse(BLOCK), places, seed=0).splits
    affine, known = part.collection.affine, split.train.collection.affine
    assert affine is not None
    assert known is not None
    assert torch.equal(affine.scale, known.scale)
    assert float(part.collection.values[:, 2].min()) > 10


def test_new_data_of_the_same_shape_are_scaled_by_themselves_where_each_recording_is(places: Places) -> None:
    block = {**BLOCK, "prepare": [{"uses": "standardize", "per": "recording"}]}
    write_load(places.root / "new.csv", level=1000.0)
    part = open_new(DataSpec.parse(block), places.root / "new.csv", places, seed=0)
    torch.testing.assert_close(part.collection.values.mean(dim=0), torch.zeros(2), atol=1e-4, rtol=0)


def test_new_data_with_other_channels_are_refused(places: Places) -> None:
    frame = pd.read_csv(places.root / "load.csv").rename(columns={"temp": "wind"})
    frame.to_csv(places.root / "new.csv", index=False)
    with pytest.raises(DataInvalid, match="temp"):
        open_new(DataSpec.parse(BLOCK), places.root / "new.csv", places, seed=0)


def test_a_step_that_changes_data_after_they_were_fitted_is_refused(places: Places) -> None:
    block = {**BLOCK, "prepare": [{"uses": "standardize"}, {"uses": "calendar"}]}
    with pytest.raises(DataInvalid, match="Put 'calendar' before 'standardize'"):
        open_data(DataSpec.parse(block), places, seed=0)
