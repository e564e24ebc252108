"""Controls that need no encoder: plain features of each item, for a linear model beside the embeddings.

| features | of every channel | for |
| --- | --- | --- |
| statistics | mean, deviation, least, largest, skewness, kurtosis, mean change from step to step | any data |
| band_powers | log power in delta, theta, alpha, beta and gamma (`tswork.metrics.band_powers`) | EEG |
| beat_statistics | rate and its variability, amplitude, width of beats (`tswork.metrics.beat_statistics`) | ECG |
| mfcc_statistics | mean and deviation of cepstral coefficients and their slopes (`tswork.metrics.mfcc_statistics`) | sound |

Missing values take the mean of their channel in the item; a feature that is not defined takes the mean of the training items.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float

from tswork.data.batches import Batches
from tswork.data.collection import Collection, Part
from tswork.data.samplers import ByLength
from tswork.errors import Problem
from tswork.metrics.band_powers import log_band_powers
from tswork.metrics.beat_statistics import beat_statistics
from tswork.metrics.mfcc_statistics import LEAST_RATE, mfcc_statistics

Features = Literal["none", "statistics", "band_powers", "beat_statistics", "mfcc_statistics"]


def feature_problems(features: Features, collection: Collection) -> Iterator[Problem]:
    """What these features need and the data lack."""
    if features not in ("none", "statistics") and collection.rate is None:
        yield Problem(
            f"{features} needs the number of samples a second, which the data do not tell",
            "features",
            remedy="Give `rate` in the data block, or `features: statistics`.",
        )
    elif features == "mfcc_statistics" and not may_be_sound(collection):
        yield Problem(
            f"mfcc_statistics describe sound, and the data have {collection.rate:g} samples a second",
            "features",
            remedy="Choose `features: statistics`, or band_powers or beat_statistics where they fit.",
        )


def may_be_sound(collection: Collection) -> bool:
    """Whether the data have enough samples a second to be sound."""
    return collection.rate is not None and collection.rate >= LEAST_RATE


def plain_features(features: Features, part: Part) -> Float[np.ndarray, "item feature"]:
    """The features of a part's spans in their order, float64; NaN where a feature is not defined.

    Items of one length are computed together; a feature stands in the same column for items of any length.
    """
    sampler = ByLength(part.lengths, equal=True)
    batches = Batches(part, sampler=sampler)
    rows: list[tuple[np.ndarray, np.ndarray]] = []
    for step in range(batches.steps(0)):
        x = _filled(batches.at(0, step).x.double())
        rows.append((sampler.at(0, step).numpy(), _of_batch(features, x.numpy(), part.collection.rate)))
    table = np.empty((len(part), rows[0][1].shape[1] if rows else 0))
    for items, found in rows:
        table[items] = found
    return table


def defined(
    train: Float[np.ndarray, "item feature"], other: Float[np.ndarray, "new feature"]
) -> tuple[Float[np.ndarray, "item known"], Float[np.ndarray, "new known"]]:
    """Both with the mean of the training items where a feature is not defined; one that no training item has is left out."""
    known = ~np.isnan(train).all(axis=0)
    train, other = train[:, known], other[:, known]
    mean = np.nanmean(train, axis=0) if train.size else np.zeros(train.shape[1])
    return np.where(np.isnan(train), mean, train), np.where(np.isnan(other), mean, other)


def _of_batch(features: Features, x: Float[np.ndarray, "item time channel"], rate: float | None) -> np.ndarray:
    if features == "statistics":
        return statistics(x)
    assert rate is not None
    by_rate = {"band_powers": log_band_powers, "beat_statistics": beat_statistics, "mfcc_statistics": mfcc_statistics}
    found: np.ndarray = by_rate[features](x, rate=rate)
    return found


def statistics(x: Float[np.ndarray, "item time channel"]) -> Float[np.ndarray, "item feature"]:
    """Seven numbers of each channel; the shape of a constant one is 0."""
    mean, deviation = x.mean(axis=1), x.std(axis=1)
    scaled = (x - mean[:, None]) / np.where(deviation > 0, deviation, 1.0)[:, None]
    change = np.abs(np.diff(x, axis=1)).mean(axis=1) if x.shape[1] > 1 else np.zeros_like(mean)
    columns = [mean, deviation, x.min(axis=1), x.max(axis=1), (scaled**3).mean(axis=1), (scaled**4).mean(axis=1)]
    return np.concatenate([*columns, change], axis=1)


def _filled(x: torch.Tensor) -> torch.Tensor:
    mean = torch.nanmean(x, dim=1, keepdim=True).nan_to_num()
    return torch.where(x.isnan(), mean, x)
