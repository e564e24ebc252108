"""Simple statistics of heart beats in an electrocardiogram: how fast, how regular, how high, how wide.

Beats are found where all leads together change fastest, as in Pan and Tompkins, "A real-time QRS detection algorithm", 1985, much
simplified: the squared slope of each lead, scaled by its own spread, is summed over leads and smoothed over a tenth of a second; a
beat is its largest value within a quarter of a second to either side, if that reaches a third of the highest values of the
recording.

| feature | is |
| --- | --- |
| rate | beats a minute, from the median interval |
| interval_spread | standard deviation of the intervals between beats, in seconds |
| interval_change | root mean square of the difference of successive intervals, in seconds |
| width | median time for which the smoothed slope stays above half of a beat's own, in seconds |
| high, low (each lead) | median over beats of the largest and smallest value within 0.06 s of the beat |
| spread (each lead) | standard deviation |
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

SMOOTH, APART, NEAR = 0.1, 0.25, 0.06
"""Seconds: of smoothing, between beats at least, and around a beat where its amplitude is read."""
SHARE_OF_HIGHEST = 1 / 3
HIGHEST = 0.98
"""The quantile of the smoothed slope that stands for its highest values, whatever artefact lies above."""


def beat_statistics(x: Float[np.ndarray, "item time channel"], *, rate: float) -> Float[np.ndarray, "item feature"]:
    """Four features of the rhythm and three of each channel; what too few beats leave undefined is NaN. No missing values."""
    slope = smoothed_slope(x, rate=rate)
    beats = find_beats(slope, rate=rate)
    near = 2 * max(1, round(NEAR * rate)) + 1
    high = _median_at(_widest(x, near), beats)
    low = -_median_at(_widest(-x, near), beats)
    rhythm = np.stack([*_rhythm(beats, rate), _width(slope, beats, rate)], axis=1)
    return np.concatenate([rhythm, high, low, x.std(axis=1)], axis=1)


def smoothed_slope(x: Float[np.ndarray, "item time channel"], *, rate: float) -> Float[np.ndarray, "item time"]:
    """Squared change from step to step over the leads together, smoothed; a constant lead adds nothing."""
    from scipy.ndimage import uniform_filter1d

    spread = x.std(axis=1, keepdims=True)
    change = np.gradient(x, axis=1) / np.where(spread > 0, spread, 1.0)
    half = max(1, round(SMOOTH * rate / 2))
    # Twice, so that a beat has a top and no plateau.
    smoothed: np.ndarray = uniform_filter1d(uniform_filter1d((change**2).sum(axis=2), half, axis=1), half, axis=1)
    return smoothed


def find_beats(slope: Float[np.ndarray, "item time"], *, rate: float) -> Bool[np.ndarray, "item time"]:
    """True where a beat is."""
    from scipy.ndimage import maximum_filter1d

    highest = np.quantile(slope, HIGHEST, axis=1, keepdims=True)
    largest = maximum_filter1d(slope, 2 * round(APART * rate) + 1, axis=1)
    beats = (slope == largest) & (slope >= SHARE_OF_HIGHEST * highest) & (slope > 0)
    # Of equal neighbours on a flat top the first is the beat.
    beats[:, 1:] &= ~beats[:, :-1]
    found: np.ndarray = beats
    return found


def _rhythm(beats: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rate, spread of the intervals and change between successive ones, for each item."""
    item, step = np.nonzero(beats)
    interval = np.where(np.diff(item) == 0, np.diff(step) / rate, np.nan)
    first = item[:-1]
    follows = (first[1:] == first[:-1]) & ~np.isnan(interval[1:]) & ~np.isnan(interval[:-1])
    change = np.where(follows, np.diff(interval), np.nan)
    table = _ragged(interval, first, len(beats))
    changes = _ragged(change, first[:-1], len(beats))
    return 60 / _quiet(np.nanmedian, table), _quiet(np.nanstd, table), np.sqrt(_quiet(np.nanmean, changes**2))


def _width(slope: np.ndarray, beats: np.ndarray, rate: float) -> np.ndarray:
    """Median time above half of a beat's smoothed slope, within the distance that keeps beats apart."""
    item, step = np.nonzero(beats)
    reach = np.arange(-round(APART * rate), round(APART * rate) + 1)
    place = step[:, None] + reach
    inside = (place >= 0) & (place < slope.shape[1])
    values = slope[item[:, None], place.clip(0, slope.shape[1] - 1)]
    above = (values > slope[item, step][:, None] / 2) & inside
    return _quiet(np.nanmedian, _ragged(above.sum(axis=1) / rate, item, len(beats)))


def _widest(x: np.ndarray, size: int) -> np.ndarray:
    from scipy.ndimage import maximum_filter1d

    largest: np.ndarray = maximum_filter1d(x, size, axis=1)
    return largest


def _median_at(values: Float[np.ndarray, "item time channel"], beats: np.ndarray) -> Float[np.ndarray, "item channel"]:
    """The median over an item's beats, for each channel."""
    item, step = np.nonzero(beats)
    chosen = values[item, step]
    return np.stack([_quiet(np.nanmedian, _ragged(column, item, len(beats))) for column in chosen.T], axis=1)


def _ragged(values: Float[np.ndarray, "value"], item: np.ndarray, items: int) -> Float[np.ndarray, "item most"]:
    """Values under one another by item, filled up with NaN; items come in order."""
    counts = np.bincount(item, minlength=items)
    place = np.arange(len(item)) - np.repeat(counts.cumsum() - counts, counts)
    table = np.full((items, max(1, int(counts.max(initial=0)))), np.nan)
    table[item, place] = values
    return table


def _quiet(statistic: object, table: np.ndarray) -> np.ndarray:
    """A statistic of each row; NaN, without a warning, where a row has no value."""
    assert callable(statistic)
    empty = np.isnan(table).all(axis=1)
    found: np.ndarray = statistic(np.where(empty[:, None], 0.0, table), axis=1)
    return np.where(empty, np.nan, found)
