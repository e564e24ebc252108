"""What may be wrong with recordings of sound: too short, silent, clipped, and durations that tell the label."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float64, Int64

from tswork.data.association import rank_share
from tswork.data.collection import Collection
from tswork.data.findings import Finding
from tswork.data.locating import named
from tswork.wording import counted

FRAME = 400 / 16000
"""Seconds that one frame of the usual speech encoders needs (400 samples at 16 kHz)."""
MASKED = 3280 / 16000
"""Seconds that the masking of the package transformers needs in training, as it is set there (10 frames)."""
FULL_SCALE = 32767
CLIPPED = 0.001
"""Share of samples at full scale above which a recording is told."""
SILENT = 0.001
"""Root mean square, of full scale, below which a recording is told as silent (60 dB down)."""
LARGE = 0.14
"""Share of the variance of durations from which they are said to tell the label (a large effect by Cohen's rule of thumb)."""
FEWEST = 20
QUANTILES = (0.0, 0.05, 0.5, 0.95, 1.0)
CHUNK = 1 << 23
"""Samples that are looked at together."""


def is_sound(collection: Collection) -> bool:
    """Whether the values are samples of sound, as decoders give them."""
    return collection.values.dtype == torch.int16 and collection.rate is not None


def check_sound(collection: Collection) -> Iterator[Finding]:
    """Findings about the samples and the durations of recordings."""
    if not is_sound(collection) or not len(collection):
        return
    seconds = collection.lengths.numpy() / collection.rate
    yield from _durations(collection, seconds)
    yield from _short(collection, seconds)
    level, full = _levels(collection)
    silent = np.flatnonzero((level < SILENT) & (seconds > 0)).tolist()
    if silent:
        yield Finding(
            "silent",
            f"{counted(len(silent), 'recording is', 'recordings are')} as good as silent (60 dB down): {named(collection, silent)}",
        )
    clipped = np.flatnonzero(full > CLIPPED)
    if len(clipped):
        worst = clipped[np.argsort(-full[clipped], kind="stable")].tolist()
        text = f"{counted(len(worst), 'recording is', 'recordings are')} clipped (up to {full[worst[0]]:.1%} of the samples at full scale)"
        yield Finding("clipped", f"{text}: {named(collection, worst)}")


def _durations(collection: Collection, seconds: Float64[np.ndarray, "sequence"]) -> Iterator[Finding]:
    found = ", ".join(f"{value:.3g}" for value in np.quantile(seconds, QUANTILES))
    text = f"{seconds.sum():,.0f} s in all; shortest, 5 %, median, 95 % and longest: {found} s"
    yield Finding("durations", text, fact=True)
    if collection.label is not None and len(collection) >= FEWEST:
        labels = collection.codes(collection.label).numpy()
        share = rank_share(seconds, labels)
        if share > LARGE:
            medians = {name: np.median(seconds[labels == code]) for code, name in enumerate(collection.classes)}
            low, high = min(medians, key=lambda one: medians[one]), max(medians, key=lambda one: medians[one])
            told = f"medians from {medians[low]:.3g} s ({low}) to {medians[high]:.3g} s ({high})"
            text = f"durations alone tell much of the label ({share:.0%} of the variance of their ranks): {told}"
            yield Finding("confounding", f"{text}; crop to one length, and look at a classifier of durations")
    yield from _told(collection, seconds)


def _told(collection: Collection, seconds: Float64[np.ndarray, "sequence"]) -> Iterator[Finding]:
    """Durations that the table tells and the recordings do not have."""
    for column in ("duration", "seconds"):
        if column not in collection.table.columns:
            continue
        told = pd.to_numeric(collection.table[column], errors="coerce").to_numpy(np.float64)
        wrong = np.flatnonzero(np.abs(told - seconds) > np.maximum(0.1, 0.02 * seconds)).tolist()
        if wrong:
            text = f"{counted(len(wrong), 'recording is', 'recordings are')} not as long as the column {column!r} tells"
            yield Finding("durations", f"{text}: {named(collection, wrong)}")


def _short(collection: Collection, seconds: Float64[np.ndarray, "sequence"]) -> Iterator[Finding]:
    empty = seconds == 0  # told elsewhere
    frameless = np.flatnonzero((seconds < FRAME - 1e-9) & ~empty).tolist()
    if frameless:
        text = f"{counted(len(frameless), 'recording is', 'recordings are')} shorter than one frame of a speech encoder (25 ms)"
        yield Finding("length", f"{text}: {named(collection, frameless)}", severe=True)
    unmasked = np.flatnonzero((seconds < MASKED - 1e-9) & (seconds >= FRAME - 1e-9)).tolist()
    if unmasked:
        text = f"{counted(len(unmasked), 'recording is', 'recordings are')} shorter than 205 ms"
        text = f"{text}, which the masking of transformers' encoders needs in training"
        yield Finding("length", f"{text}: {named(collection, unmasked)}")


def _levels(collection: Collection) -> tuple[Float64[np.ndarray, "sequence"], Float64[np.ndarray, "sequence"]]:
    """Root mean square around the mean, of full scale, and the share of samples at full scale, of each recording."""
    offsets, values = collection.offsets.numpy(), collection.values.numpy()
    level, full = np.zeros(len(collection)), np.zeros(len(collection))
    rows = np.flatnonzero(np.diff(offsets))
    for some in _chunks(rows, offsets):
        begin, end = int(offsets[some[0]]), int(offsets[some[-1] + 1])
        block = values[begin:end].reshape(end - begin, -1).astype(np.float64)
        starts, sizes = offsets[some] - begin, np.diff(offsets)[some] * block.shape[1]
        sums = np.add.reduceat(block.sum(1), starts)
        squares = np.add.reduceat(np.square(block).sum(1), starts)
        at_full = np.add.reduceat((np.abs(block) >= FULL_SCALE).sum(1), starts)
        level[some] = np.sqrt(np.maximum(squares / sizes - (sums / sizes) ** 2, 0)) / (FULL_SCALE + 1)
        full[some] = at_full / sizes
    return level, full


def _chunks(rows: Int64[np.ndarray, "row"], offsets: Int64[np.ndarray, "bound"]) -> Iterator[Int64[np.ndarray, "some"]]:
    """Recordings that are not empty, in runs of bounded size."""
    first = 0
    while first < len(rows):
        last = int(np.searchsorted(offsets[rows + 1], offsets[rows[first]] + CHUNK, side="right"))
        last = max(last, first + 1)
        yield rows[first:last]
        first = last
