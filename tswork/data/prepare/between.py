"""The part of every sequence that lies between two dates."""

from __future__ import annotations

import torch
from pydantic import Field, model_validator

from tswork.config import Config
from tswork.data.collection import Collection
from tswork.data.locating import named
from tswork.data.prepare.base import Preparation
from tswork.data.split_spec import date_stamps
from tswork.errors import DataInvalid, Problem
from tswork.registry import register
from tswork.wording import counted


class BetweenConfig(Config):
    start: str | None = Field(default=None, description="first date that is kept (ISO 8601); none: from the beginning")
    stop: str | None = Field(default=None, description="first date that is not kept (ISO 8601); none: to the end")

    @model_validator(mode="after")
    def _a_range(self) -> BetweenConfig:
        given = [text for text in (self.start, self.stop) if text is not None]
        if not given:
            raise ValueError("give `start`, `stop` or both")
        stamps = date_stamps(given)
        wrong = [text for text, stamp in zip(given, stamps, strict=True) if stamp is None]
        if wrong:
            raise ValueError(f"should be ISO 8601 dates, not {', '.join(map(repr, wrong))}")
        if len(stamps) == 2 and stamps[0] >= stamps[1]:
            raise ValueError(f"`start` ({self.start}) should be before `stop` ({self.stop})")
        return self


@register("preparation", "between", version=1, config=BetweenConfig)
class Between(Preparation[BetweenConfig]):
    """Keeps the steps from one date on and before another."""

    def apply(self, collection: Collection) -> Collection:
        if collection.times is None:
            raise DataInvalid(
                [Problem("the data have no time stamps", "data.prepare", remedy="Name their column with `time:`.")]
            )
        inside = torch.ones(len(collection.times), dtype=torch.bool)
        if self.config.start is not None:
            inside &= collection.times >= date_stamps([self.config.start])[0]
        if self.config.stop is not None:
            inside &= collection.times < date_stamps([self.config.stop])[0]
        before = torch.cat([torch.zeros(1, dtype=torch.int64), inside.cumsum(0)])
        offsets = before[collection.offsets]
        without = torch.nonzero(offsets.diff() == 0).flatten().tolist()
        if without:
            text = f"{counted(len(without), 'sequence has', 'sequences have')} no step {self._range()}: {named(collection, without)}"
            raise DataInvalid([Problem(text, "data.prepare", remedy="Choose other dates.")])
        return collection.replaced(values=collection.values[inside], offsets=offsets, times=collection.times[inside])

    def _range(self) -> str:
        ends = [(self.config.start, "from {} on"), (self.config.stop, "before {}")]
        return " and ".join(text.format(date) for date, text in ends if date is not None)
