"""The `split:` block of a data card or pipeline, and what in it contradicts itself."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from tswork.config import ADDED_LATER, Config, Many

ROUNDING = 1e-9
Value = int | float | str
"""A value of a group column, as a number or as text."""


class SplitLists(Config):
    """Values of a group column by part, as a paper gives them: `{validation: [17, 18], test: [19, 20]}`."""

    train: Many[Value] | None = Field(
        default=None, min_length=1, description="values that train; none: all that are in no list"
    )
    validation: Many[Value] = Field(default=(), description="values of the validation part")
    test: Many[Value] = Field(min_length=1, description="values of the test part")

    @property
    def given(self) -> dict[str, tuple[Value, ...]]:
        """The lists that are written down, by part."""
        lists = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: values for name, values in lists.items() if values}


class SplitSpec(Config):
    """The `split:` block of a data card or pipeline.

    `by: time` cuts every sequence into training, validation and test spans; `official` takes the set's own halves (and
    splits validation off the training half when a fraction for it is given); `groups` divides the distinct values of
    the group columns; `sequences` divides sequences whatever their groups, which the leak guard refuses where they have any.
    """

    by: Literal["time", "official", "groups", "sequences"] = Field(
        description="what decides where a sequence or time step belongs"
    )
    group: str | None = Field(
        default=None,
        description="by groups: the column that is divided or listed; none: all groups of the data together",
    )
    lists: SplitLists | None = Field(default=None, description="by groups: values of the group column by part")
    counts: Many[int] | None = Field(
        default=None, description="time steps (or groups) of training, validation and test"
    )
    fractions: Many[float] | None = Field(
        default=None, description="shares of training, validation and test, summing to at most 1"
    )
    dates: Many[str] | None = Field(
        default=None, description="by time: first date of validation, of test, and the end of test (ISO 8601)"
    )
    folds: int | Literal["each"] | None = Field(
        default=None,
        description="by groups: number of folds (at least 2), of which each is the test part once; `each`: one a group",
    )
    repeats: int | None = Field(default=None, ge=1, description="by groups: number of random (Monte-Carlo) splits")
    index: int | Literal["seed"] | None = Field(
        default=None,
        description="one fold or repeat of the above (from 0); none: all, as a sweep; `seed`: the pipeline's seed modulo their number",
    )
    rule: Literal["shares", "per_label"] = Field(
        default="shares",
        json_schema_extra=ADDED_LATER,
        description="by groups: deal all groups together by shares, or divide the groups of each label by themselves,"
        " at least one of them for each part",
    )
    few: Literal["drop", "train"] = Field(
        default="drop",
        json_schema_extra=ADDED_LATER,
        description="rule per_label: labels with fewer groups than parts are left out, or train only",
    )
    ungrouped: Literal["refuse", "alone"] = Field(
        default="refuse",
        json_schema_extra=ADDED_LATER,
        description="rows whose group is not known: refused, or each a group of its own, at the risk that parts share one",
    )
    stratify: bool = Field(default=True, description="by groups: keep class shares alike in the parts where possible")
    seed: int | None = Field(default=None, ge=0, description="seed of random splits; none: the pipeline's seed")
    allow_leak: str | None = Field(
        default=None, min_length=1, description="reason why shared groups or contents are accepted"
    )


def split_count(spec: SplitSpec) -> int | None:
    """How many splits a spec stands for: its folds or repeats, else one; None: one a group, which the data know."""
    if spec.index is not None:
        return 1
    return None if spec.folds == "each" else spec.folds or spec.repeats or 1


def split_faults(spec: SplitSpec) -> list[tuple[tuple[str, ...], str]]:
    """What in a spec contradicts itself, whatever the data: the key that is wrong, and what is."""
    faults: list[tuple[tuple[str, ...], str]] = []
    shares = [name for name in ("counts", "fractions", "dates", "lists") if getattr(spec, name) is not None]
    several = [name for name in ("folds", "repeats") if getattr(spec, name) is not None]
    if len(shares) > 1:
        faults.append(((), f"give one of {' and '.join(shares)}"))
    if spec.by == "time" and not shares:
        faults.append(((), "a split in time needs counts, fractions or dates"))
    if len(several) > 1:
        faults.append(((), "give folds or repeats, not both"))
    faults += _group_faults(spec, several)
    faults += _rule_faults(spec)
    if spec.dates is not None and spec.by != "time":
        faults.append((("dates",), "goes with `by: time`"))
    if spec.counts is not None and (spec.by == "official" or spec.folds):
        faults.append((("counts",), f"does not go with {'folds' if spec.folds else '`by: official`'}"))
    shares = [name for name in shares if name != "lists"]
    # An official split and folds know their test part; fractions then divide what is not in it.
    wanted = 2 if spec.by == "official" or spec.folds else 3
    parts = "training and validation" if wanted == 2 else "training, validation and test"
    for name in shares:
        given = getattr(spec, name)
        if len(given) != (wanted if name == "fractions" else 3):
            what = (
                "dates: the first of validation, the first of test, the end of test"
                if name == "dates"
                else f"values: {parts}"
            )
            faults.append(((name,), f"should be {wanted if name == 'fractions' else 3} {what}; {len(given)} are given"))
    if spec.fractions is not None and (min(spec.fractions, default=0) < 0 or sum(spec.fractions) > 1 + 1e-9):
        faults.append((("fractions",), "should be shares of at least 0 that sum to at most 1"))
    if spec.counts is not None and min(spec.counts, default=0) < 0:
        faults.append((("counts",), "should not be negative"))
    return [*faults, *_date_faults(spec)]


def _group_faults(spec: SplitSpec, several: Sequence[str]) -> list[tuple[tuple[str, ...], str]]:
    """What goes with groups alone, and which of several splits is meant."""
    faults: list[tuple[tuple[str, ...], str]] = []
    for name in several if spec.by not in ("groups", "sequences") else ():
        faults.append(((name,), "goes with `by: groups`"))
    for name in ("group", "lists") if spec.by != "groups" else ():
        if getattr(spec, name) is not None:
            faults.append(((name,), "goes with `by: groups`"))
    if spec.lists is not None and several:
        faults.append((("lists",), f"are one split, which has no {several[0]}"))
    count = getattr(spec, several[0]) if several else None
    if isinstance(spec.folds, int) and spec.folds < 2:
        faults.append((("folds",), f"should be at least 2, or `each`; {spec.folds} is given"))
    if spec.folds == "each" and spec.by == "sequences":
        faults.append((("folds",), "`each` goes with `by: groups`"))
    if spec.index is not None and not several:
        faults.append((("index",), "goes with folds or repeats"))
    elif isinstance(spec.index, int) and spec.index < 0:
        faults.append((("index",), "should not be negative"))
    elif isinstance(spec.index, int) and isinstance(count, int) and spec.index >= count:
        faults.append((("index",), f"should be below {several[0]} ({count})"))
    return faults


def _rule_faults(spec: SplitSpec) -> list[tuple[tuple[str, ...], str]]:
    """What goes with one rule alone."""
    if spec.rule == "shares":
        return [(("few",), "goes with `rule: per_label`")] if spec.few != "drop" else []
    others = [name for name in ("counts", "lists", "folds") if getattr(spec, name) is not None]
    faults: list[tuple[tuple[str, ...], str]] = [((name,), "does not go with `rule: per_label`") for name in others]
    if spec.by != "groups":
        faults.append((("rule",), "per_label goes with `by: groups`"))
    if spec.fractions is not None and abs(sum(spec.fractions) - 1) > ROUNDING:
        faults.append((("fractions",), "should sum to 1 with `rule: per_label`, whose rest trains"))
    return faults


def _date_faults(spec: SplitSpec) -> list[tuple[tuple[str, ...], str]]:
    if spec.dates is None:
        return []
    stamps = date_stamps(spec.dates)
    wrong = [text for text, stamp in zip(spec.dates, stamps, strict=True) if stamp is None]
    if wrong:
        return [(("dates",), f"should be ISO 8601 dates, not {', '.join(map(repr, wrong))}")]
    if any(one >= other for one, other in pairwise(stamps)):
        return [(("dates",), "should rise: first of validation, first of test, end of test")]
    return []


def date_stamps(dates: Sequence[str]) -> list[Any]:
    """Nanoseconds since 1970 (in UTC where a date tells its offset), or None for what is no date."""
    read = pd.to_datetime(pd.Series(list(dates)), format="ISO8601", errors="coerce", utc=True)
    values = read.dt.tz_localize(None).to_numpy("datetime64[ns]").astype(np.int64).tolist()
    return [None if missing else value for value, missing in zip(values, read.isna(), strict=True)]
