"""Frequencies outside a band removed, as is usual for EEG and ECG: Butterworth, forwards and backwards, so without delay.

`low` alone is a high-pass, `high` alone a low-pass. Both ends are continued by reflection. The filter looks ahead as far as
back: near a cut in time a training part holds a trace of what comes next.
"""

from __future__ import annotations

import numpy as np
import torch
from pydantic import Field, model_validator

from tswork.config import Config
from tswork.data.backends import as_float
from tswork.data.collection import Collection
from tswork.data.prepare.base import Preparation
from tswork.data.prepare.requirements import complete, not_shorter, rate_of, uncontinued
from tswork.errors import DataInvalid, Problem
from tswork.registry import register


class BandpassConfig(Config):
    low: float | None = Field(default=None, gt=0, description="lower edge in Hz; none: frequencies down to 0 stay")
    high: float | None = Field(default=None, gt=0, description="upper edge in Hz; none: all higher frequencies stay")
    order: int = Field(default=4, ge=1, le=10, description="order of the Butterworth filter, which is applied twice")

    @model_validator(mode="after")
    def _a_band(self) -> BandpassConfig:
        if self.low is None and self.high is None:
            raise ValueError("give `low`, `high` or both")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"`low` ({self.low:g} Hz) should be below `high` ({self.high:g} Hz)")
        return self


@register("preparation", "bandpass", version=1, config=BandpassConfig)
class Bandpass(Preparation[BandpassConfig]):
    """Removes frequencies outside a band, without delay; missing values are refused."""

    def apply(self, collection: Collection) -> Collection:
        from scipy.signal import butter, sosfiltfilt

        uncontinued(collection, "bandpass")
        complete(collection, "bandpass")
        low, high, rate = self.config.low, self.config.high, rate_of(collection, "bandpass")
        highest = high or low or 0.0
        if highest >= rate / 2:
            text = f"{highest:g} Hz is not below half of the {rate:g} samples a second"
            raise DataInvalid([Problem(text, "data.prepare")])
        kind = "bandpass" if low and high else "highpass" if low else "lowpass"
        edges = [low, high] if low and high else highest
        sections = butter(self.config.order, edges, kind, fs=rate, output="sos")
        # What scipy continues at both ends has to fit into the sequence.
        margin = 3 * (2 * len(sections) + 1)
        not_shorter(collection, margin + 1, "bandpass", "Use a lower order, or leave these sequences out.")
        values = as_float(collection.values).numpy()
        filtered = np.empty(values.shape, np.float32)
        lengths = collection.lengths.numpy()
        for length in np.unique(lengths):
            starts = collection.offsets.numpy()[:-1][lengths == length]
            index = starts[:, None] + np.arange(length)
            filtered[index] = sosfiltfilt(sections, values[index].astype(np.float64), axis=1, padlen=margin)
        return collection.replaced(values=torch.from_numpy(filtered))
