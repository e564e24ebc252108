"""Beat statistics: generated beats give the rate, the amplitude and the irregularity that they were made with."""

from __future__ import annotations

import numpy as np
import pytest

from tswork.metrics.beat_statistics import beat_statistics, find_beats, smoothed_slope

RATE = 250.0


def beats_at(seconds: np.ndarray, *, length: float = 10.0, width: float = 0.012, noise: float = 0.02) -> np.ndarray:
    """Two leads with a bump at each time, on a slow wave with some noise; the second lead is upside down and half as high."""
    clock = np.arange(int(length * RATE)) / RATE
    bumps = np.exp(-(((clock[:, None] - seconds) / width) ** 2) / 2).sum(axis=1)
    slow = 0.2 * np.sin(2 * np.pi * 0.3 * clock)
    draw = np.random.default_rng(0).normal(size=(len(clock), 2))
    return np.stack([2 * bumps + slow, -bumps + slow], axis=1) + noise * draw


@pytest.mark.parametrize("rate", [50, 75, 120, 170])
def test_regular_beats_have_their_rate_and_amplitude(rate: float) -> None:
    x = beats_at(np.arange(0.4, 9.7, 60 / rate))[None]
    found = beat_statistics(x, rate=RATE)[0]
    assert found[0] == pytest.approx(rate, rel=0.02)
    assert found[1] < 0.02
    assert found[2] < 0.02
    assert found[4:8] == pytest.approx([2, 0.1, 0, -1], abs=0.35)  # high of both leads, low of both
    assert found[4] > 1.7
    assert found[7] < -0.7


def test_every_beat_is_found_where_it_is() -> None:
    places = np.array([0.5, 1.3, 2.4, 3.0, 4.1])
    found = find_beats(smoothed_slope(beats_at(places, length=5)[None], rate=RATE), rate=RATE)
    assert np.flatnonzero(found[0]) / RATE == pytest.approx(places, abs=0.04)


def test_irregular_beats_have_their_irregularity() -> None:
    intervals = np.tile([0.7, 0.9], 6)
    x = beats_at(0.3 + np.concatenate([[0], intervals.cumsum()]))[None]
    found = beat_statistics(x, rate=RATE)[0]
    assert found[1] == pytest.approx(0.1, abs=0.015)
    assert found[2] == pytest.approx(0.2, abs=0.03)


def test_wide_beats_are_wide() -> None:
    places = np.arange(0.5, 9.5, 0.8)
    narrow, wide = (beat_statistics(beats_at(places, width=width)[None], rate=RATE)[0, 3] for width in (0.012, 0.04))
    assert wide > 1.3 * narrow


def test_items_do_not_touch_each_other_and_one_beat_has_no_rhythm() -> None:
    many, one = beats_at(np.array([0.3, 0.8, 1.1]), length=1.4), beats_at(np.array([0.7]), length=1.4)
    both = beat_statistics(np.stack([many, one]), rate=RATE)
    np.testing.assert_allclose(both[0], beat_statistics(many[None], rate=RATE)[0])
    np.testing.assert_allclose(both[1], beat_statistics(one[None], rate=RATE)[0])
    assert np.isnan(both[1, :3]).all()
    assert not np.isnan(both[1, 3:]).any()


def test_a_flat_line_has_no_beats() -> None:
    found = beat_statistics(np.ones((1, 500, 2)), rate=RATE)[0]
    assert np.isnan(found[:8]).all()
    assert found[8:].tolist() == [0, 0]
