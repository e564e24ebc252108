"""Channels that hold one value: throughout, or through the first steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tswork.config import configure
from tswork.data.collection import Affine, Collection
from tswork.errors import DataInvalid


def drop(collection: Collection, **options: Any) -> Collection:
    found: Collection = configure("preparation", {"uses": "drop_channels", **options}).build().apply(collection)
    return found


def meters(**fields: Any) -> Collection:
    """Two sequences of five steps: always zero, zero for three steps of both, always seven, one missing among zeros, lively."""
    dead = np.zeros(5)
    late = np.array([0, 0, 0, 1, 2.0])
    gap = np.array([0, np.nan, 0, 0, 0])
    case = np.stack([dead, late, dead + 7, gap, np.arange(5.0)], axis=1).astype(np.float32)
    return Collection.from_sequences([case, case], channels=("dead", "late", "seven", "gap", "live"), **fields)


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({}, ("late", "seven", "gap", "live")),
        ({"steps": 3}, ("seven", "gap", "live")),
        ({"steps": 4}, ("late", "seven", "gap", "live")),
        ({"steps": 99}, ("late", "seven", "gap", "live")),
        ({"value": 7.0}, ("dead", "late", "gap", "live")),
        ({"steps": 1}, ("seven",)),
    ],
)
def test_channels_that_hold_only_the_value_in_the_steps_are_left_out(
    options: dict[str, Any], kept: tuple[str, ...]
) -> None:
    collection = meters()
    found = drop(collection, **options)
    assert found.channels == kept
    for name in kept:
        before, after = collection.channels.index(name), kept.index(name)
        torch.testing.assert_close(found.values[:, after], collection.values[:, before], equal_nan=True, rtol=0, atol=0)


def test_a_channel_that_lives_in_one_sequence_stays() -> None:
    still, live = np.zeros((3, 2), np.float32), np.ones((3, 2), np.float32)
    live[:, 0] = 0
    assert drop(Collection.from_sequences([still, live], channels=("a", "b"))).channels == ("b",)


def test_targets_and_the_way_back_go_with_the_channels() -> None:
    affine = Affine(torch.arange(5.0)[None] + 1, torch.arange(5.0)[None])
    found = drop(meters(targets=("dead", "live"), affine=affine), steps=3)
    assert found.targets == ("live",)
    assert found.affine is not None
    assert (found.affine.scale.tolist(), found.affine.offset.tolist()) == ([[3, 4, 5]], [[2, 3, 4]])


def test_nothing_to_drop_changes_nothing() -> None:
    collection = meters()
    assert drop(collection, value=-1.0) is collection


@pytest.mark.parametrize(
    ("collection", "told"),
    [
        (meters(targets=("dead", "late")), "no target is left: dead, late hold only 0"),
        (Collection.from_sequences([np.zeros((3, 2), np.float32)]), "no channel is left: channel_0, channel_1 hold only 0"),
    ],
)  # fmt: skip
def test_when_nothing_would_be_left_it_is_refused(collection: Collection, told: str) -> None:
    with pytest.raises(DataInvalid) as refused:
        drop(collection, steps=3)
    remedy = "Leave out 'drop_channels', or look at more steps."
    assert str(refused.value) == f"data.prepare: {told}. {remedy}"
