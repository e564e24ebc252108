"""Where the heart beats in an electrocardiogram: R peaks of each lead, matched between leads by their time.

In the manner of Pan and Tompkins, "A real-time QRS detection algorithm", IEEE TBME 1985, in our own form for recordings that are
complete:

1. each lead is filtered to 8 .. 20 Hz, forwards and backwards, so without delay, and divided by the height of its own beats;
2. the squared slope, smoothed over 0.1 s, tells where a lead changes fast; the median over leads is not misled by one noisy lead;
3. beats are its peaks at least 0.25 s apart that reach a quarter of the height usual around them (the median of the highest
   values of the nine nearest stretches of 2 s), so that neither an artefact nor a slow change of amplitude sets the threshold;
4. where an interval is longer than 1.66 times the usual one, the highest peak inside it counts at half of that threshold;
5. the R peak of a lead is the furthest value of the filtered lead, to the side where its beats go furthest, within 0.08 s.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int64

BAND = (8.0, 20.0)
"""Frequencies (Hz) in which a QRS complex is strong and a T wave weak."""
SMOOTH, APART, NEAR, STRETCH = 0.1, 0.25, 0.08, 2.0
"""Seconds: of smoothing, between beats at least, from a beat to the R peak of a lead at most, of a stretch whose highest value counts."""
STRETCHES = 9
REACHED, REACHED_IN_A_GAP = 0.25, 0.125
"""Shares of the usual height that a beat reaches."""
LOWEST = 50.0
"""Samples a second below which a beat has no shape."""
GAP = 1.66
"""An interval longer than this many usual ones is searched again."""


def r_peaks(x: Float[np.ndarray, "time lead"], *, rate: float) -> Int64[np.ndarray, "beat lead"]:
    """The step of every beat's R peak in each lead, as a row a beat; -1 in leads that are flat. At least `LOWEST` samples a second.

    Recordings too short to filter (under about 0.2 s) and such without any change have no beats.
    """
    filtered, live = _filtered(x, rate)
    if not live.any():
        return np.empty((0, x.shape[1]), np.int64)
    beats = _beats(_slope(filtered[:, live], rate), rate)
    found = np.full((len(beats), x.shape[1]), -1)
    near = max(1, round(NEAR * rate))
    place = beats[:, None] + np.arange(-near, near + 1)
    around = filtered[place.clip(0, len(x) - 1)][:, :, live]
    # A lead keeps to one side, so that a wave with two equal halves does not jump between them.
    side = np.where(np.median(around.max(1) + around.min(1), axis=0) < 0, -1.0, 1.0) if len(beats) else 1.0
    found[:, live] = np.take_along_axis(place, (around * side).argmax(1), axis=1).clip(0, len(x) - 1)
    return found


def _filtered(x: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Leads in the band at the height of their own beats, and which of them change at all."""
    from scipy.signal import butter, sosfiltfilt

    sections = butter(2, BAND, "bandpass", fs=rate, output="sos")
    margin = 3 * (2 * len(sections) + 1)
    if len(x) <= max(margin, NEAR * rate):
        return x, np.zeros(x.shape[1], bool)
    filtered = sosfiltfilt(sections, x.astype(np.float64), axis=0, padlen=margin)
    height = np.median(_highest(np.abs(filtered), rate), axis=0)
    live: np.ndarray = height > 1e-9 * np.abs(x).max(0)
    return filtered / np.where(live, height, 1.0), live


def _highest(x: Float[np.ndarray, "time lead"], rate: float) -> Float[np.ndarray, "stretch lead"]:
    """The highest value of every stretch; a rest joins the last one."""
    steps = min(len(x), max(1, round(STRETCH * rate)))
    starts = np.arange(len(x) // steps) * steps
    found: np.ndarray = np.maximum.reduceat(x, starts, axis=0)
    return found


def _slope(filtered: Float[np.ndarray, "time lead"], rate: float) -> Float[np.ndarray, "time"]:
    from scipy.ndimage import uniform_filter1d

    square = np.gradient(filtered, axis=0) ** 2
    smoothed: np.ndarray = uniform_filter1d(square, max(1, round(SMOOTH * rate)), axis=0)
    found: np.ndarray = np.median(smoothed, axis=1)
    return found


def _beats(slope: Float[np.ndarray, "time"], rate: float) -> Int64[np.ndarray, "beat"]:
    """Peaks of the slope that are high enough for their surroundings, and those that fill a gap."""
    from scipy.ndimage import median_filter
    from scipy.signal import find_peaks

    peaks, _ = find_peaks(slope, distance=max(1, round(APART * rate)))
    highest = _highest(slope[:, None], rate)[:, 0]
    usual = median_filter(highest, min(STRETCHES, len(highest)), mode="reflect")
    usual = np.maximum(
        usual, 0.01 * usual.max()
    )  # where a lead was not yet connected, what little there is are no beats
    share = slope[peaks] / usual[np.minimum(peaks // round(STRETCH * rate), len(usual) - 1)]
    beats: np.ndarray = peaks[share >= REACHED]
    if len(beats) < 3:
        return beats
    intervals = np.diff(beats)
    apart = GAP * np.median(intervals)
    missed = []
    for number in np.flatnonzero(intervals > apart):
        inside = (peaks > beats[number]) & (peaks < beats[number + 1]) & (share >= REACHED_IN_A_GAP)
        if inside.any():
            missed.append(peaks[inside][share[inside].argmax()])
    return np.sort(np.concatenate([beats, np.array(missed, np.int64)]))
