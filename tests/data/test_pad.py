"""Sequences filled up to multiples of a length: values, times, sound, and batches of one length."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from tswork.config import configure
from tswork.data.collection import Collection
from tswork.data.prepare.pad import PadConfig
from tswork.errors import DataInvalid


def padded(collection: Collection, **options: Any) -> Collection:
    result: Collection = configure("preparation", {"uses": "pad", **options}).build().apply(collection)
    return result


def ramps(lengths: list[int], kind: type = np.float32, **fields: Any) -> Collection:
    return Collection.from_sequences([np.arange(1, length + 1)[:, None].astype(kind) for length in lengths], **fields)


def test_lengths_become_multiples_and_values_stay() -> None:
    before = ramps([3, 4, 9, 1])
    after = padded(before, steps=4)
    assert after.lengths.tolist() == [4, 4, 12, 4]
    for row in range(4):
        length = int(before.lengths[row])
        assert torch.equal(after.sequence(row)[:length], before.sequence(row))
        assert torch.isnan(after.sequence(row)[length:]).all()
    assert torch.equal(padded(after, steps=4).offsets, after.offsets)


def test_sound_is_filled_up_with_silence_by_seconds() -> None:
    after = padded(ramps([3, 9], np.int16, rate=10.0), seconds=0.5)
    assert after.values.dtype == torch.int16
    assert after.values[:, 0].tolist() == [1, 2, 3, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0]


def test_time_goes_on() -> None:
    times = torch.tensor([0, 10, 20, 100, 110]) * 1_000_000_000
    after = padded(ramps([3, 2], times=times), steps=4)
    assert after.times is not None
    assert (after.times // 1_000_000_000).tolist() == [0, 10, 20, 30, 100, 110, 120, 130]


def test_a_length_is_needed_once_and_seconds_need_a_rate() -> None:
    several: list[dict[str, Any]] = [{}, {"steps": 3, "seconds": 1.0}]
    for options in several:
        with pytest.raises(ValidationError, match="give `seconds` or `steps`"):
            PadConfig(**options)
    with pytest.raises(DataInvalid, match="how many samples a second"):
        padded(ramps([3]), seconds=1.0)
