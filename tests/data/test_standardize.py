"""Scaling and calendar features: fitted on training data alone, equal to scikit-learn and to pandas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from tswork.config import NestedInvalid, configure
from tswork.data.collection import Collection, Part
from tswork.data.prepare.calendar import FEATURES, calendar_cycles, calendar_features
from tswork.errors import DataInvalid


def standardized(collection: Collection, train: Part, **options: Any) -> Collection:
    step = configure("preparation", {"uses": "standardize", **options}).build()
    step.fit(train)
    found: Collection = step.apply(collection)
    return found


def spans(collection: Collection, *rows: tuple[int, int, int]) -> Part:
    return Part(collection, torch.tensor(rows))


def test_data_are_scaled_as_scikit_learn_does_from_the_training_steps_alone() -> None:
    values = np.random.default_rng(0).normal(3, 5, size=(1, 100, 3)).astype(np.float32)
    values[0, 60:] += 1000
    values[..., 2] = 7.0
    collection = Collection.from_array(values)
    found = standardized(collection, spans(collection, (0, 0, 60)))
    scaler = StandardScaler().fit(values[0, :60].astype(np.float64))
    np.testing.assert_allclose(
        found.values.numpy(), scaler.transform(values[0].astype(np.float64)), rtol=1e-4, atol=1e-4
    )
    assert found.values[:, 2].unique().tolist() == [0.0]
    assert found.affine is not None
    np.testing.assert_allclose(found.values * found.affine.scale + found.affine.offset, values[0], rtol=1e-5, atol=1e-3)


def test_missing_values_take_no_part_and_stay_missing() -> None:
    collection = Collection.from_array(np.array([[[1.0], [np.nan], [3.0]]], np.float32))
    assert torch.equal(
        torch.isnan(standardized(collection, Part.whole(collection)).values[:, 0]), torch.tensor([False, True, False])
    )
    assert standardized(collection, Part.whole(collection)).values[[0, 2], 0].tolist() == [-1, 1]


def test_each_recording_is_scaled_by_itself_or_by_its_training_steps() -> None:
    draw = np.random.default_rng(0)
    cases = [draw.normal(level, 2, size=(50, 1)).astype(np.float32) for level in (0, 100, -50)]
    collection = Collection.from_sequences(cases)
    train = Part.of(collection, torch.tensor([0, 1]))
    found = standardized(collection, train, per="recording")
    for row in range(3):
        np.testing.assert_allclose(found.sequence(row).mean(), 0, atol=1e-5)
        np.testing.assert_allclose(found.sequence(row).std(correction=0), 1, atol=1e-5)
    cut = standardized(collection, spans(collection, (0, 0, 20), (1, 0, 20), (2, 0, 20)), per="recording")
    np.testing.assert_allclose(cut.sequence(1)[:20].mean(), 0, atol=1e-5)
    assert abs(float(cut.sequence(1)[20:].mean())) > 1e-3


def test_scaling_twice_still_leads_back_to_the_users_units() -> None:
    collection = Collection.from_array(np.random.default_rng(0).normal(9, 3, size=(2, 30, 2)).astype(np.float32))
    once = standardized(collection, Part.whole(collection))
    twice = standardized(once, Part.of(once, torch.tensor([0])))
    assert twice.affine is not None
    torch.testing.assert_close(
        twice.values * twice.affine.scale + twice.affine.offset, collection.values, rtol=1e-4, atol=1e-4
    )


def test_chosen_channels_are_scaled_and_unknown_ones_are_told() -> None:
    collection = Collection.from_array(
        np.random.default_rng(0).normal(9, 3, size=(1, 30, 2)).astype(np.float32), channels=["a", "b"]
    )
    found = standardized(collection, Part.whole(collection), channels=["b"])
    assert torch.equal(found.values[:, 0], collection.values[:, 0])
    assert abs(float(found.values[:, 1].mean())) < 1e-5
    with pytest.raises(DataInvalid, match="there is no channel 'c'"):
        standardized(collection, Part.whole(collection), channels=["c"])


def test_a_channel_that_is_constant_up_to_rounding_does_not_become_noise() -> None:
    values = np.full((1, 50, 1), 16_777_216.0, np.float32)
    values[0, ::2] += 2
    collection = Collection.from_array(values)
    assert float(standardized(collection, Part.whole(collection)).values.abs().max()) < 3


STAMPS = st.datetimes(
    min_value=pd.Timestamp("1950-01-01").to_pydatetime(), max_value=pd.Timestamp("2100-12-31").to_pydatetime()
)


def by_pandas(stamps: pd.DatetimeIndex) -> np.ndarray:
    columns = [getattr(stamps, name) for name in ("minute", "hour", "weekday", "day", "dayofyear", "month")]
    return np.stack([*columns, stamps.isocalendar().week.to_numpy()], axis=1).astype(np.float32)


@settings(max_examples=80, deadline=None)
@given(st.lists(STAMPS, min_size=1, max_size=20))
def test_calendar_features_are_those_of_pandas(dates: list[Any]) -> None:
    stamps = pd.DatetimeIndex(dates).as_unit("ns")
    np.testing.assert_array_equal(calendar_features(stamps.to_numpy().astype(np.int64)), by_pandas(stamps))


def test_iso_weeks_are_right_on_every_day_of_a_hundred_and_fifty_years() -> None:
    days = pd.date_range("1950-01-01", "2100-12-31", freq="D").as_unit("ns")
    np.testing.assert_array_equal(calendar_features(days.to_numpy().astype(np.int64)), by_pandas(days))


def test_the_calendar_stands_before_all_channels_and_is_no_target() -> None:
    times = torch.arange(3) * 3600 * 10**9
    collection = Collection.from_array(np.zeros((1, 3, 2), np.float32), channels=["a", "b"], times=times)
    found = configure("preparation", "calendar").build().apply(collection)
    assert found.channels == (*FEATURES, "a", "b")
    assert found.targets == ("a", "b")
    assert found.values[:, 1].tolist() == [0, 1, 2]
    only = (
        configure("preparation", {"uses": "calendar", "features": ["hour"]})
        .build()
        .apply(collection.replaced(targets=("b",)))
    )
    assert (only.channels, only.targets) == (("hour", "a", "b"), ("b",))
    with pytest.raises(DataInvalid, match="the data have no time stamps"):
        configure("preparation", "calendar").build().apply(collection.replaced(times=None))


@settings(max_examples=80, deadline=None)
@given(st.lists(STAMPS, min_size=1, max_size=20))
def test_cycles_are_sine_and_cosine_of_the_place_in_the_day_the_week_and_the_year(dates: list[Any]) -> None:
    stamps = pd.DatetimeIndex(dates).as_unit("ns")
    day = (stamps - stamps.normalize()) / pd.Timedelta(days=1)
    length = np.where(stamps.is_leap_year, 366, 365)
    places = {"day": day, "week": (stamps.weekday + day) / 7, "year": (stamps.dayofyear - 1 + day) / length}
    expected = [
        wave(2 * np.pi * harmonic * np.asarray(places[cycle], float))
        for cycle in ("year", "day", "week")
        for harmonic in (1, 2)
        for wave in (np.sin, np.cos)
    ]
    found = calendar_cycles(stamps.to_numpy().astype(np.int64), ("year", "day", "week"), harmonics=2)
    np.testing.assert_allclose(found, np.stack(expected, axis=1), atol=2e-5)


def test_cycles_follow_the_features_under_names_of_their_own() -> None:
    times = torch.arange(48) * 3600 * 10**9
    collection = Collection.from_array(np.zeros((1, 48, 1), np.float32), channels=["a"], times=times)
    block = {"uses": "calendar", "features": ["hour"], "cycles": ["day"], "harmonics": 2}
    found = configure("preparation", block).build().apply(collection)
    assert found.channels == ("hour", "day_sin", "day_cos", "day_sin2", "day_cos2", "a")
    assert found.targets == ("a",)
    torch.testing.assert_close(found.values[:24, 1:5], found.values[24:, 1:5], rtol=0, atol=1e-5)
    assert found.values[6, 1:3].tolist() == pytest.approx([1, 0], abs=1e-6)
    only = configure("preparation", {"uses": "calendar", "features": [], "cycles": ["year"]}).build().apply(collection)
    assert only.channels == ("year_sin", "year_cos", "a")


def test_a_calendar_that_adds_nothing_is_refused() -> None:
    with pytest.raises(NestedInvalid) as refused:
        configure("preparation", {"uses": "calendar", "features": []})
    assert "there is nothing to add" in str(refused.value.errors)


def test_a_calendar_before_scaled_channels_leaves_their_way_back() -> None:
    times = torch.arange(4) * 3600 * 10**9
    values = np.array([[[1, 10], [2, 30], [3, 20], [4, 80]]], np.float32)
    scaled = configure("preparation", "standard_score").build()
    collection = scaled.apply(Collection.from_array(values, channels=["a", "b"], times=times))
    with_hours = configure("preparation", {"uses": "calendar", "features": ["hour", "month"]}).build().apply(collection)
    for found in (with_hours, standardized(with_hours, Part.whole(with_hours))):
        assert found.affine is not None
        original = found.values * found.affine.scale + found.affine.offset
        np.testing.assert_allclose(
            original.numpy(), [[0, 1, 1, 10], [1, 1, 2, 30], [2, 1, 3, 20], [3, 1, 4, 80]], atol=1e-5
        )


@pytest.mark.parametrize(
    ("options", "channels", "twice"),
    [
        ({}, ("hour", "load", "month"), ["hour", "month"]),
        ({"features": ["day", "day"]}, ("load",), ["day"]),
        ({"features": [], "cycles": ["day"]}, ("day_sin",), ["day_sin"]),
    ],
)
def test_a_calendar_of_which_the_data_have_a_channel_is_refused(
    options: dict[str, Any], channels: tuple[str, ...], twice: list[str]
) -> None:
    times = torch.arange(3) * 3600 * 10**9
    collection = Collection.from_array(
        np.zeros((1, 3, len(channels)), np.float32), channels=list(channels), times=times
    )
    with pytest.raises(DataInvalid) as refused:
        configure("preparation", {"uses": "calendar", **options}).build().apply(collection)
    assert [str(problem) for problem in refused.value.problems] == [
        f"data.prepare: there would be two channels {name!r}. Leave it out of `features` or `cycles`, or give the data's own"
        " column another name with `columns:`."
        for name in twice
    ]
