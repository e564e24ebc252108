"""The ETT files as a collection and a split by time, read plainly: the reader and the cards have their own tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from tswork.data.collection import Affine, Collection, Part, Split

CALENDAR = ("minute", "hour", "weekday", "day", "dayofyear", "month", "week")


def electricity(data_root: Path, name: str, targets: tuple[str, ...], months: int = 1) -> Split:
    """12 + 4 + 4 months; `months` is 1 for hourly files and 4 for quarter-hourly ones."""
    frame = pd.read_csv(data_root / "ett" / f"{name}.csv.gz", parse_dates=["date"])
    moments = frame["date"].dt
    fields = [getattr(moments, field) for field in CALENDAR[:-1]] + [moments.isocalendar().week.astype(float)]
    counts = [8640 * months, 2880 * months, 2880 * months]
    calendar, _, _ = _standardised(np.stack([np.asarray(field, float) for field in fields], axis=1), counts[0])
    values, mean, deviation = _standardised(frame[list(targets)].to_numpy(float), counts[0])
    free = np.zeros((1, len(CALENDAR)))
    collection = Collection(
        values=torch.as_tensor(np.concatenate([calendar, values], axis=1), dtype=torch.float64),
        offsets=torch.tensor([0, len(frame)]),
        table=pd.DataFrame({"name": [name]}),
        channels=(*CALENDAR, *targets),
        times=torch.as_tensor(frame["date"].to_numpy("datetime64[ns]").astype(np.int64)),
        targets=targets,
        affine=Affine(
            torch.as_tensor(np.concatenate([free + 1, deviation], axis=1)),
            torch.as_tensor(np.concatenate([free, mean], axis=1)),
        ),
    )
    train, validation, test = (
        Part(collection, torch.tensor([[0, stop - count, stop]]))
        for count, stop in zip(counts, np.cumsum(counts).tolist(), strict=True)
    )
    return Split(train, validation, test)


def _standardised(values: np.ndarray, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    mean, deviation = values[:rows].mean(axis=0, keepdims=True), values[:rows].std(axis=0, keepdims=True)
    deviation[deviation == 0] = 1
    return (values - mean) / deviation, mean, deviation
