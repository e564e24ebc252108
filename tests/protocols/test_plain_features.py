"""Plain features of a part: in its order, for items of any length, with missing values."""

from __future__ import annotations

import numpy as np
import torch

from tests.protocols.patients import toy_patients
from tswork.data.collection import Collection, Part
from tswork.metrics.band_powers import log_band_powers
from tswork.protocols.plain_features import defined, plain_features, statistics


def test_items_of_unequal_lengths_keep_their_order() -> None:
    random = np.random.default_rng(0)
    sequences = [random.normal(size=(length, 2)) for length in (30, 20, 30, 12)]
    part = Part.whole(Collection.from_sequences(sequences, rate=10.0))
    found = plain_features("statistics", part)
    expected = np.concatenate([statistics(one[None]) for one in sequences])
    np.testing.assert_allclose(found, expected)


def test_bands_of_short_and_long_items_stand_in_the_same_columns() -> None:
    draw = np.random.default_rng(0)
    sequences = [draw.normal(size=(length, 2)) for length in (64, 5, 64, 5)]
    part = Part.whole(Collection.from_sequences(sequences, rate=32.0))
    found = plain_features("band_powers", part).reshape(4, 2, 5)
    for item in (1, 3):
        alone = log_band_powers(sequences[item][None], rate=32.0).reshape(2, 5)
        assert np.isnan(alone[:, [0, 4]]).all(), "32 Hz in 5 steps show neither delta nor gamma"
        np.testing.assert_allclose(found[item], alone)
    short = Part(part.collection, part.spans[[1, 3]])
    train, test = defined(*(plain_features("band_powers", one) for one in (part, short)))
    assert train.shape[1] == test.shape[1] == 8, "four bands of two channels, also where all test items are short"


def test_statistics_by_hand() -> None:
    found = statistics(np.array([[[1.0, 5.0], [3.0, 5.0], [1.0, 5.0], [3.0, 5.0]]]))[0].reshape(7, 2)
    assert found[:, 0].tolist() == [2, 1, 1, 3, 0, 1, 2]
    assert found[:, 1].tolist() == [5, 0, 5, 5, 0, 0, 0]


def test_missing_values_take_the_mean_of_their_channel() -> None:
    split = toy_patients()
    values = split.train.collection.values.clone()
    values[5, 0] = torch.nan
    holed = Part(split.train.collection.replaced(values=values), split.train.spans[:1])
    whole = values[:32].double()
    whole[5, 0] = whole[:, 0].nanmean()
    np.testing.assert_allclose(plain_features("band_powers", holed)[0], _powers(whole.numpy()), rtol=1e-9)


def _powers(x: np.ndarray) -> np.ndarray:
    found: np.ndarray = log_band_powers(x[None], rate=32.0)[0]
    return found


def test_what_is_not_defined_takes_the_training_mean_and_what_never_is_is_left_out() -> None:
    nan = np.nan
    train, new = defined(np.array([[1.0, nan, nan], [3.0, 4.0, nan]]), np.array([[nan, nan, 7.0]]))
    assert train.tolist() == [[1, 4], [3, 4]]
    assert new.tolist() == [[2, 4]]
