"""Sets that come as a training and a test half become one collection with the halves in the table's `split` column."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from tswork.data.collection import Collection
from tswork.data.spec import DataOptions
from tswork.errors import DataInvalid, Location, Problem, did_you_mean

LABEL = "label"
SPLIT = "split"


def pack_cases(
    cases: Sequence[np.ndarray],
    table: pd.DataFrame,
    options: DataOptions,
    *,
    channels: Sequence[str] | None = None,
    origin: str = "",
) -> Collection:
    """A collection from `(time, channel)` arrays; `options.channels` chooses and orders channels."""
    width = cases[0].shape[1] if cases else 0
    names = list(channels) if channels is not None else [f"channel_{number}" for number in range(width)]
    ours = {theirs: our for our, theirs in options.columns.items()}
    names = [ours.get(name, name) for name in names]
    chosen = list(options.channels) if options.channels is not None else names
    unknown = [name for name in (*chosen, *options.target) if name not in names]
    if unknown:
        place = Location(origin) if origin else None
        raise DataInvalid(
            [
                Problem(f"there is no channel {name!r}", "data.channels", place, did_you_mean(name, names))
                for name in unknown
            ]
        )
    order = [names.index(name) for name in (*(one for one in chosen if one not in options.target), *options.target)]
    values = np.concatenate(cases) if cases else np.zeros((0, len(names)), np.float32)
    if order != list(range(len(names))):
        values = values[:, order]
    return Collection(
        values=torch.from_numpy(np.ascontiguousarray(values)),
        offsets=torch.from_numpy(np.cumsum([0, *(len(case) for case in cases)]).astype(np.int64)),
        table=table,
        channels=tuple(names[index] for index in order),
        rate=options.rate,
        targets=tuple(options.target),
        name=options.name,
    )


def true_length(case: np.ndarray) -> int:
    """Steps of a `(time, channel)` case without the NaN padding at its end."""
    present = ~np.isnan(case).all(axis=1)
    return int(len(present) - present[::-1].argmax()) if present.any() else 0
