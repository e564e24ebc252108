"""Calendar covariates: what hour, weekday, month it is at each step. They stand before all other channels.

The seven of the TS2Vec forecasting protocol are the default. Weekday counts from Monday = 0, the week is the ISO week.

As numbers that rise and fall back, 23 and 0 o'clock or December and January lie furthest apart. `cycles` give the place within the
day, the week or the year as sine and cosine (and those of its `harmonics`), which come round without a step:

    prepare: [{uses: calendar, features: [], cycles: [day, year]}, {uses: standardize}]
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import Field, model_validator

from tswork.config import Config, Many
from tswork.data.collection import Affine, Collection
from tswork.data.prepare.base import Preparation
from tswork.errors import DataInvalid, Problem
from tswork.registry import register

Feature = Literal["minute", "hour", "weekday", "day", "dayofyear", "month", "week"]
Cycle = Literal["day", "week", "year"]
FEATURES: tuple[Feature, ...] = ("minute", "hour", "weekday", "day", "dayofyear", "month", "week")


class CalendarConfig(Config):
    features: Many[Feature] = Field(default=FEATURES, description="features, in order")
    cycles: Many[Cycle] = Field(default=(), description="cycles whose sine and cosine follow the features, in order")
    harmonics: int = Field(default=1, ge=1, description="sines and cosines of each cycle: of once, twice ... its pace")

    @model_validator(mode="after")
    def _something_to_add(self) -> CalendarConfig:
        if not self.features and not self.cycles:
            raise ValueError("there is nothing to add; name `features` or `cycles`, or leave `calendar` out")
        return self

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of all that is added, in order."""
        waves = (
            f"{cycle}_{wave}{'' if harmonic == 1 else harmonic}"
            for cycle in self.cycles
            for harmonic in range(1, self.harmonics + 1)
            for wave in ("sin", "cos")
        )
        return (*self.features, *waves)


@register("preparation", "calendar", version=1, config=CalendarConfig)
class Calendar(Preparation[CalendarConfig]):
    """Adds minute, hour, weekday, day, day of year, month and ISO week, or the waves of cycles, as covariates."""

    def apply(self, collection: Collection) -> Collection:
        if collection.times is None:
            raise DataInvalid(
                [Problem("the data have no time stamps", "data.prepare", remedy="Name their column with `time:`.")]
            )
        names = (*self.config.channels, *collection.channels)
        # Channels are told apart by their names: which are forecast, which are changed by a view.
        if twice := [name for name in dict.fromkeys(self.config.channels) if names.count(name) > 1]:
            remedy = (
                "Leave it out of `features` or `cycles`, or give the data's own column another name with `columns:`."
            )
            raise DataInvalid(
                [Problem(f"there would be two channels {name!r}", "data.prepare", remedy=remedy) for name in twice]
            )
        times = collection.times.numpy()
        covariates = np.concatenate(
            [
                calendar_features(times, self.config.features),
                calendar_cycles(times, self.config.cycles, harmonics=self.config.harmonics),
            ],
            axis=1,
        )
        return collection.replaced(
            values=torch.cat([torch.from_numpy(covariates), collection.values], dim=1),
            channels=names,
            targets=collection.targets or collection.channels,
            affine=_with_covariates(collection.affine, len(self.config.channels)),
        )


def _with_covariates(affine: Affine | None, count: int) -> Affine | None:
    """The way back to original units with so many channels before the others that are in theirs."""
    if affine is None:
        return None
    ones = affine.scale.new_ones(len(affine.scale), count)
    return Affine(torch.cat([ones, affine.scale], dim=1), torch.cat([torch.zeros_like(ones), affine.offset], dim=1))


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
    chosen = [found[name].astype(np.float32) for name in features]
    return np.stack(chosen, axis=1) if chosen else np.empty((len(times), 0), np.float32)


def calendar_cycles(
    times: Int[np.ndarray, "time"], cycles: tuple[Cycle, ...], *, harmonics: int = 1
) -> Float[np.ndarray, "time wave"]:
    """Sine and cosine of each cycle's harmonics, from 0 o'clock, Monday or 1 January on; a leap year is as long as it is."""
    stamps = times.view("datetime64[ns]")
    days = times / (24 * 3600 * 10**9)  # since 1970-01-01, a Thursday
    year = stamps.astype("datetime64[Y]")
    start, stop = ((year + more).astype("datetime64[ns]").astype(np.int64) for more in (0, 1))
    places = {"day": days % 1, "week": (days + 3) / 7 % 1, "year": (times - start) / (stop - start)}
    waves = [
        wave(2 * np.pi * harmonic * places[cycle]).astype(np.float32)
        for cycle in cycles
        for harmonic in range(1, harmonics + 1)
        for wave in (np.sin, np.cos)
    ]
    return np.stack(waves, axis=1) if waves else np.empty((len(times), 0), np.float32)
