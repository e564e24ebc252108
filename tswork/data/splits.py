"""How a data set is divided: in time, as published, or by groups."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tswork.config import Config, Many


class SplitSpec(Config):
    """The `split:` block of a data card or pipeline.

    `by: time` cuts every sequence into training, validation and test spans; `official` takes the set's own halves (and
    splits validation off the training half when a fraction for it is given); `groups` divides the distinct values of
    the group columns.
    """

    by: Literal["time", "official", "groups"] = Field(description="what decides where a sequence or time step belongs")
    counts: Many[int] | None = Field(
        default=None, description="time steps (or groups) of training, validation and test"
    )
    fractions: Many[float] | None = Field(
        default=None, description="shares of training, validation and test, summing to at most 1"
    )
    dates: Many[str] | None = Field(
        default=None, description="by time: first date of validation, of test, and the end of test (ISO 8601)"
    )
    folds: int | None = Field(default=None, ge=2, description="by groups: number of folds; each is the test part once")
    repeats: int | None = Field(default=None, ge=1, description="by groups: number of random (Monte-Carlo) splits")
    index: int | None = Field(default=None, ge=0, description="one fold or repeat of the above; none: all, as a sweep")
    stratify: bool = Field(default=True, description="by groups: keep class shares alike in the parts where possible")
    seed: int | None = Field(default=None, ge=0, description="seed of random splits; none: the pipeline's seed")
    allow_leak: str | None = Field(
        default=None, min_length=1, description="reason why shared groups or contents are accepted"
    )
