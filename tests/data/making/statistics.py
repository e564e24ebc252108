"""What is known of made recordings without any model: a few numbers of the spectrum, and a linear probe on them."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from tswork.config import configure
from tswork.data.collection import Collection
from tswork.data.making.base import Made
from tswork.metrics import probes

FRAME, HOP, BANDS = 512, 160, 20


def made(**options: Any) -> Made:
    """Synthetic varieties with these options."""
    result: Made = configure("maker", {"uses": "synthetic_varieties", **options}).build().make()
    return result


@functools.cache
def spectra(**options: Any) -> tuple[Collection, Float[np.ndarray, "sequence feature"]]:
    """A set and the spectral statistics of its recordings: mean and deviation of log bands, and the log of the length."""
    collection = made(**options).collection
    edges = np.unique(np.geomspace(3, FRAME // 2, BANDS + 1).round().astype(int))
    rows = []
    for number in range(len(collection)):
        sound = collection.sequence(number)[:, 0].numpy() / 32768
        frames = np.lib.stride_tricks.sliding_window_view(sound, FRAME)[::HOP] * np.hanning(FRAME)
        power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
        bands = np.log(np.add.reduceat(power[:, : FRAME // 2], edges[:-1], axis=1) + 1e-8)
        rows.append(np.concatenate([bands.mean(axis=0), bands.std(axis=0), [np.log(len(sound))]]))
    return collection, np.stack(rows)


def probe_scores(
    x: Float[np.ndarray, "item feature"], truth: np.ndarray, test: Bool[np.ndarray, "item"]
) -> Float[np.ndarray, "tested class"]:
    """Scores of the test items by a logistic regression on the others; classes in the order of their names."""
    codes = np.unique(truth, return_inverse=True)[1].astype(np.int64)
    arrays = probes.fit("logistic", x[~test], codes[~test])
    return probes.decide("logistic", arrays, x[test], int(codes.max()) + 1)[1]


def speakers_right(**options: Any) -> tuple[float, int]:
    """Share of unseen speakers whose region the mean of their items' scores tells, over folds of the cities; and their number.

    The k-th city of every region is tested once, so that no speaker and no city is ever trained on and tested.
    """
    collection, x = spectra(**options)
    table, region = collection.table, collection.table["region"].to_numpy()
    names = np.unique(region)
    city = table["location"].str[-2:].to_numpy()
    right: list[bool] = []
    for fold in np.unique(city):
        scores = probe_scores(x, region, city == fold)
        tested = table[city == fold]
        for speaker, rows in tested.reset_index(drop=True).groupby("speaker").indices.items():
            own = tested.loc[tested["speaker"] == speaker, "region"].iloc[0]
            right.append(names[scores[rows].mean(axis=0).argmax()] == own)
    return float(np.mean(right)), len(right)


def speakers_known(**options: Any) -> float:
    """Share of recordings of unseen words whose speaker is told among all."""
    collection, x = spectra(**options)
    speaker = collection.table["speaker"].to_numpy()
    items = collection.table["item"].to_numpy()
    test = items == items.max()
    scores = probe_scores(x, speaker, test)
    return float((np.unique(speaker)[scores.argmax(axis=1)] == speaker[test]).mean())
