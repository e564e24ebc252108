"""Calendar covariates: what hour, weekday, month it is at each step. They stand before all other channels.

The seven of the TS2Vec forecasting protocol are the default. Weekday counts from Monday = 0, the week is the ISO week.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import Field

from tswork.config import Config, Many
from tswork.data.collection import Collection
from tswork.data.prepare.base import Preparation
from tswork.errors import DataInvalid, Problem
from tswork.registry import register

Feature = Literal["minute", "hour", "weekday", "day", "dayofyear", "month", "week"]
FEATURES: tuple[Feature, ...] = ("minute", "hour", "weekday", "day", "dayofyear", "month", "week")


class CalendarConfig(Config):
    features: Many[Feature] = Field(default=FEATURES, min_length=1, description="features, in order")


@register("preparation", "calendar", version=1, config=CalendarConfig)
class Calendar(Preparation[CalendarConfig]):
    """Adds minute, hour, weekday, day, day of year, month and ISO week as covariates."""

    def apply(self, collection: Collection) -> Collection:
        if collection.times is None:
            raise DataInvalid(
                [Problem("the data have no time stamps", "data.prepare", remedy="Name their column with `time:`.")]
            )
        covariates = calendar_features(collection.times.numpy(), self.config.features)
        return collection.replaced(
            values=torch.cat([torch.from_numpy(covariates), collection.values], dim=1),
            channels=(*self.config.features, *collection.channels),
            targets=collection.targets or collection.channels,
        )


def calendar_features(
    times: Int[np.ndarray, "time"], features: tuple[Feature, ...] = FEATURES
) -> Float[np.ndarray, "time feature"]:
    """Features of stamps in nanoseconds since 1970 without a time zone, as float32."""
    stamps = times.view("datetime64[ns]")
    days = stamps.astype("datetime64[D]")
    since_monday = (days.astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday
    months = stamps.astype("datetime64[M]")
    years = stamps.astype("datetime64[Y]")
    # The ISO week of a day is that of its Thursday, counted from the first of that Thursday's year.
    thursday = days + (3 - since_monday)
    found = {
        "minute": (times // (60 * 10**9)) % 60,
        "hour": (times // (3600 * 10**9)) % 24,
        "weekday": since_monday,
        "day": (days - months).astype(np.int64) + 1,
        "dayofyear": (days - years).astype(np.int64) + 1,
        "month": months.astype(np.int64) % 12 + 1,
        "week": (thursday - thursday.astype("datetime64[Y]")).astype(np.int64) // 7 + 1,
    }
    return np.stack([found[name] for name in features], axis=1).astype(np.float32)
