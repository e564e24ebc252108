"""Another rate, by an anti-aliased polyphase filter or by straight lines.

Both rates must stand in a ratio up / down of whole numbers. The filter is a Kaiser-windowed sinc with 24 zero crossings on each
side, flat to 80 % of the lower Nyquist frequency and 80 dB down from there on; each of its phases sums to one, so a constant
stays constant. Beyond its ends a sequence is continued by its reflection through the end point, so that it neither jumps nor
kinks there. All sequences lie in one array with these continuations between them, and one pass filters them all. The filter
looks as far ahead as back: near a cut in time a training part holds a trace of what comes next.

`method: linear` lies on the straight line between the two neighbouring steps and holds the last value, as many published pipelines
of EEG and ECG do. Nothing then removes what is above the new Nyquist frequency: it comes back as a lower frequency, and towards
higher rates the highest frequencies are damped. Use it to compare with such results.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float64, Int64, Shaped
from pydantic import Field

from tswork.config import Config
from tswork.data.collection import Collection
from tswork.data.prepare.base import Preparation
from tswork.data.prepare.requirements import complete, rate_of, spacing_of, uncontinued
from tswork.errors import DataInvalid, Problem
from tswork.registry import register

ZERO_CROSSINGS = 24
KAISER_BETA = 8.0
ROLL_OFF = 0.9
"""Where the filter has fallen to a half, as a share of the lower Nyquist frequency."""
LARGEST = 10_000
"""Largest whole number in the ratio of rates."""
CHUNK = 1 << 24
"""Values that are filtered at once; bounds the memory."""


class ResampleConfig(Config):
    rate: float = Field(gt=0, description="samples a second afterwards")
    method: Literal["polyphase", "linear"] = Field(
        default="polyphase", description="a filter against aliasing, or straight lines between steps without one"
    )


@register("preparation", "resample", version=1, config=ResampleConfig)
class Resample(Preparation[ResampleConfig]):
    """Brings all sequences to another number of samples a second; missing values are refused."""

    def apply(self, collection: Collection) -> Collection:
        uncontinued(collection, "resample")
        up, down = _ratio(rate_of(collection, "resample"), self.config.rate)
        if up == down:
            return collection.replaced(rate=self.config.rate)
        complete(collection, "resample")
        lengths = -(-collection.lengths * up // down)
        offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
        values = np.empty((int(offsets[-1]), len(collection.channels)), collection.values.numpy().dtype)
        fill = resample_packed if self.config.method == "polyphase" else interpolate_packed
        fill(collection.values.numpy(), collection.offsets.numpy(), up, down, out=values)
        times = None
        if collection.times is not None:
            row = torch.repeat_interleave(torch.arange(len(collection)), lengths)
            inside = torch.arange(len(values)) - offsets[row]
            spacing = spacing_of(collection, "resample")
            times = collection.times[collection.offsets[row]] + inside * spacing * down // up
        return collection.replaced(values=torch.from_numpy(values), offsets=offsets, times=times, rate=self.config.rate)


def resample_packed(
    values: Shaped[np.ndarray, "time channel"],
    offsets: Int64[np.ndarray, "bound"],
    up: int,
    down: int,
    *,
    out: Shaped[np.ndarray, "new channel"],
) -> None:
    """Fill `out` with every sequence at `up / down` times its rate, `ceil(length * up / down)` steps each; int16 is rounded."""
    from scipy.signal import upfirdn

    taps, delay = _filter(up, down)
    reach = -(-delay // up)
    margin = -(-reach // down) * down
    written = 0
    for first, last in _chunks(np.diff(offsets) + 2 * margin + down, values.shape[1]):
        lengths = np.diff(offsets[first : last + 1])
        blocks = -(-(lengths + 2 * margin) // down) * down
        starts = blocks.cumsum() - blocks
        filtered = upfirdn(taps, _continued(values, offsets[first:last], lengths, blocks, margin), up, down, axis=0)
        sizes = -(-lengths * up // down)
        begins = (starts + margin) * up // down + delay // down
        index = np.repeat(begins - (sizes.cumsum() - sizes), sizes) + np.arange(int(sizes.sum()))
        written += _stored(filtered[index], out, written)


def interpolate_packed(
    values: Shaped[np.ndarray, "time channel"],
    offsets: Int64[np.ndarray, "bound"],
    up: int,
    down: int,
    *,
    out: Shaped[np.ndarray, "new channel"],
) -> None:
    """As `resample_packed`, on straight lines between the steps; after the last step its value is held."""
    written = 0
    for first, last in _chunks(np.diff(offsets), values.shape[1]):
        lengths = np.diff(offsets[first : last + 1])
        sizes = -(-lengths * up // down)
        step = np.arange(int(sizes.sum())) - np.repeat(sizes.cumsum() - sizes, sizes)
        before, part = np.divmod(step * down, up)
        begin, end = np.repeat(offsets[first:last], sizes), np.repeat(lengths - 1, sizes)
        left = values[begin + before].astype(np.float64)
        right = values[begin + np.minimum(before + 1, end)]
        written += _stored(left + (right - left) * (part / up)[:, None], out, written)


def _stored(found: Float64[np.ndarray, "new channel"], out: Shaped[np.ndarray, "all channel"], place: int) -> int:
    """Write values at a place of `out`, rounded where it holds whole numbers; gives their number."""
    if out.dtype.kind == "i":
        found = np.clip(np.rint(found), np.iinfo(out.dtype).min, np.iinfo(out.dtype).max)
    out[place : place + len(found)] = found
    return len(found)


def _continued(
    values: Shaped[np.ndarray, "time channel"],
    begins: Int64[np.ndarray, "sequence"],
    lengths: Int64[np.ndarray, "sequence"],
    blocks: Int64[np.ndarray, "sequence"],
    margin: int,
) -> Float64[np.ndarray, "block_time channel"]:
    """Each sequence in a block of its own, `margin` steps from its beginning, continued by reflection through both ends."""
    found = np.zeros((int(blocks.sum()), values.shape[1]))
    starts = blocks.cumsum() - blocks + margin
    place = np.repeat(starts - (lengths.cumsum() - lengths), lengths) + np.arange(int(lengths.sum()))
    found[place] = values[begins[0] : begins[0] + len(place)]
    for end, direction, longest in (
        (begins, -1, margin),
        (begins + lengths - 1, 1, int((blocks - margin - lengths).max())),
    ):
        distance = np.arange(1, longest + 1)
        # Further away than the sequence is long, its other end is held.
        source = end[:, None] - direction * np.minimum(distance, (lengths - 1)[:, None])
        target = (starts + end - begins)[:, None] + direction * distance
        inside = distance <= (margin if direction < 0 else (blocks - margin - lengths)[:, None])
        inside = np.broadcast_to(inside, target.shape)
        row = np.broadcast_to(end[:, None], target.shape)[inside]
        found[target[inside]] = 2.0 * values[row].astype(np.float64) - values[source[inside]]
    return found


def _filter(up: int, down: int) -> tuple[Float64[np.ndarray, "tap"], int]:
    """The filter at `up` times the old rate, and its delay there, a multiple of `down`."""
    widest = max(up, down)
    half = ZERO_CROSSINGS * widest
    place = np.arange(-half, half + 1)
    taps = np.sinc(place * ROLL_OFF / widest) * np.kaiser(2 * half + 1, KAISER_BETA)
    before = -half % down
    taps = np.concatenate([np.zeros(before), taps])
    sums = np.bincount(np.arange(len(taps)) % up, weights=taps, minlength=up)
    return taps / sums[np.arange(len(taps)) % up], half + before


def _chunks(sizes: Int64[np.ndarray, "sequence"], width: int) -> Iterator[tuple[int, int]]:
    """Ranges of sequences of bounded total size, at least one sequence each."""
    total = sizes.cumsum() * width
    first = 0
    while first < len(sizes):
        reached = total[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(total, reached + CHUNK, side="right")))
        yield first, last
        first = last


def _ratio(old: float, new: float) -> tuple[int, int]:
    """`new / old` in lowest terms. Raises `DataInvalid` when it is no ratio of numbers up to `LARGEST`."""
    ratio = Fraction(new / old).limit_denominator(LARGEST)
    if ratio.numerator == 0 or ratio.numerator > LARGEST or abs(float(ratio) * old / new - 1) > 1e-9:
        text = f"from {old:g} to {new:g} samples a second is no ratio of whole numbers up to {LARGEST:,}"
        raise DataInvalid(
            [Problem(text, "data.prepare", remedy="Choose a rate that is a simple share of the old one.")]
        )
    return ratio.numerator, ratio.denominator
