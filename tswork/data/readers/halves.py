"""Sets that come as a training and a test half become one collection with the halves in the table's `split` column."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from tswork.data.channels import choose_channels, renaming_problems
from tswork.data.collection import Collection
from tswork.data.faults import refuse
from tswork.data.spec import DataOptions
from tswork.errors import Location

LABEL = "label"


def pack_cases(
    cases: Sequence[np.ndarray],
    table: pd.DataFrame,
    options: DataOptions,
    *,
    channels: Sequence[str] | None = None,
    rate: float | None = None,
    origin: str = "",
) -> Collection:
    """A collection from `(time, channel)` arrays, with channels chosen and columns renamed as the options say.

    `rate` is what the files tell; without it the options' own.
    """
    place = Location(origin) if origin else None
    ours = {theirs: our for our, theirs in options.columns.items()}
    width = cases[0].shape[1] if cases else 0
    given = channels if channels is not None else [f"channel_{number}" for number in range(width)]
    names = [ours.get(name, name) for name in given]
    table = table.rename(columns=ours)
    chosen, problems = choose_channels(names, options, place=place)
    refuse([*renaming_problems([*map(str, table.columns), *names], options, place), *problems])
    values = np.concatenate(cases) if cases else np.zeros((0, len(names)), np.float32)
    if chosen != names:
        values = values[:, [names.index(name) for name in chosen]]
    return Collection(
        values=torch.from_numpy(np.ascontiguousarray(values)),
        offsets=torch.from_numpy(np.cumsum([0, *map(len, cases)]).astype(np.int64)),
        table=table,
        channels=tuple(chosen),
        rate=rate if rate is not None else options.rate,
        targets=tuple(options.target),
        name=options.name,
    )


def true_length(case: np.ndarray) -> int:
    """Steps of a `(time, channel)` case without the NaN padding at its end."""
    present = ~np.isnan(case).all(axis=1)
    return int(len(present) - present[::-1].argmax()) if present.any() else 0
