"""Trials scaled by themselves, before windows are cut from them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.preprocessing import StandardScaler

from tswork.config import configure
from tswork.data.collection import Affine, Collection
from tswork.errors import DataInvalid


def prepared(collection: Collection, *steps: Any) -> Collection:
    for step in steps:
        collection = configure("preparation", step).build().apply(collection)
    return collection


def trials(count: int = 4, **fields: Any) -> Collection:
    draw = np.random.default_rng(0)
    cases = [draw.normal(10 * row, 1 + row, (30 + row, 3)).astype(np.float32) for row in range(count)]
    return Collection.from_sequences(cases, **fields)


def test_every_sequence_is_scaled_as_scikit_learn_scales_it_alone() -> None:
    collection = trials()
    found = prepared(collection, "standard_score")
    for row in range(len(collection)):
        wanted = StandardScaler().fit_transform(collection.sequence(row).double().numpy())
        np.testing.assert_allclose(found.sequence(row).numpy(), wanted, atol=1e-5)


def test_before_segment_a_trial_is_scaled_and_after_it_every_window() -> None:
    collection = trials()
    windows = {"uses": "segment", "steps": 10, "overlap": 0.5}
    first = prepared(collection, "standard_score", windows)
    whole = prepared(collection, "standard_score")
    assert torch.equal(first.sequence(0), whole.sequence(0)[:10])
    assert torch.equal(first.sequence(1), whole.sequence(0)[5:15])
    after = prepared(collection, windows, "standard_score")
    torch.testing.assert_close(after.sequence(1).mean(0), torch.zeros(3), atol=1e-6, rtol=0)
    torch.testing.assert_close(after.sequence(1).std(0, correction=0), torch.ones(3), atol=1e-5, rtol=0)


def test_a_sequence_does_not_see_the_others() -> None:
    collection = trials()
    changed = collection.values.clone()
    changed[collection.offsets[2] :] *= -7
    other = prepared(collection.replaced(values=changed), "standard_score")
    stop = int(collection.offsets[2])
    assert torch.equal(other.values[:stop], prepared(collection, "standard_score").values[:stop])


def test_filling_may_be_left_as_it_is_and_takes_no_part() -> None:
    beat = np.random.default_rng(0).normal(5, 2, (20, 2)).astype(np.float32)
    beat[3, 0] = 0  # one channel at zero is a value
    padded = np.concatenate([np.zeros((6, 2), np.float32), beat, np.zeros((4, 2), np.float32)])
    alone = prepared(Collection.from_sequences([beat]), "standard_score").values
    left = prepared(Collection.from_sequences([padded]), {"uses": "standard_score", "zeros": "leave"}).values
    torch.testing.assert_close(left[6:26], alone)
    assert left[:6].abs().max() == left[26:].abs().max() == 0
    scaled = prepared(Collection.from_sequences([padded]), "standard_score").values
    np.testing.assert_allclose(scaled.numpy(), StandardScaler().fit_transform(padded), atol=1e-5)
    assert float(scaled[0].max()) < -1, "as published, the filling becomes a value"


def test_missing_values_stay_and_flat_channels_become_zero() -> None:
    case = np.array([[1, 7], [np.nan, 7], [3, 7]], np.float32)
    found = prepared(Collection.from_sequences([case]), "standard_score").values
    torch.testing.assert_close(found, torch.tensor([[-1.0, 0], [torch.nan, 0], [1, 0]]), equal_nan=True)


def test_the_way_back_leads_to_the_users_units() -> None:
    affine = Affine(torch.tensor([[2.0, 3.0, 4.0]]), torch.tensor([[1.0, 0.0, -1.0]]))
    collection = trials(affine=affine)
    found = prepared(collection, "standard_score", {"uses": "segment", "steps": 10})
    assert found.affine is not None
    last = len(found) - 1
    back = found.sequence(last) * found.affine.scale[last] + found.affine.offset[last]
    wanted = collection.sequence(3)[20:30] * affine.scale + affine.offset
    torch.testing.assert_close(back, wanted, rtol=1e-4, atol=1e-3)


def test_sound_becomes_numbers() -> None:
    sound = Collection.from_sequences([np.array([[100], [300]], np.int16)])
    assert prepared(sound, "standard_score").values.flatten().tolist() == [-1, 1]


def test_series_that_go_on_into_the_test_part_are_refused() -> None:
    collection = trials(1, table=pd.DataFrame({"id": ["s"], "test_start": [20]}))
    with pytest.raises(
        DataInvalid, match="'standard_score' would mix the published test values into the series before them"
    ):
        prepared(collection, "standard_score")
