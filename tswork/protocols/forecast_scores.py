"""A forecast table as it fills: errors of every origin, kept forecasts, chosen penalties."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from tswork.figures.forecasts import spread_evenly
from tswork.metrics.forecasting import Errors, errors
from tswork.metrics.ridge import BLOCK
from tswork.protocols.base import Heads, Result, make_rows
from tswork.protocols.forecast_samples import Rows, Sample

Forecaster = Callable[[Sample, Rows, int], Float[Tensor, "row output"]]
"""Forecasts `(row, horizon * target)` at some origins of a sample."""


NO_TIME = int(np.datetime64("NaT").astype(np.int64))
MAX_UNITS = 100_000
"""Of more test origins than this an even selection stands in the units; all count in the means."""
EXAMPLES = 8
"""Origins whose past is kept for figures."""


@dataclass(frozen=True, eq=False)
class Judged:
    """What some rows were found to be: figures, units, kept forecasts (None: none), penalties, and what forecasts later."""

    figures: pd.DataFrame
    units: pd.DataFrame
    forecasts: pd.DataFrame | None
    penalties: pd.DataFrame
    heads: Heads


class Scores:
    """Judges forecasters on the test origins and gathers the result."""

    def __init__(self, test: Sample, horizons: Sequence[int], *, keep_every: int) -> None:
        self._test = test
        self._horizons = tuple(horizons)
        self._kept = (test.origins.age % keep_every == 0).nonzero()[:, 0]
        self._rows: list[tuple[str, str, str, str, float]] = []
        self._units: list[pd.DataFrame] = []
        self._forecasts: list[pd.DataFrame] = []
        self._penalties: list[tuple[str, int, float, float]] = []
        self._heads: dict[str, dict[str, np.ndarray]] = {}

    def add(self, row: str, role: str, horizon: int, forecaster: Forecaster, *, keep: bool) -> None:
        """Judge one row at one horizon; `keep` stores the forecasts of the kept origins."""
        test, count = self._test, self._test.count(horizon)
        blocks: list[Tensor] = []
        for start in range(0, count, BLOCK):
            rows = slice(start, min(start + BLOCK, count))
            forecast, truth = forecaster(test, rows, horizon), test.future(rows, horizon)
            found = errors(forecast, truth, scale=test.scale(rows))
            blocks.append(torch.stack([column for column in found if column is not None], dim=1))
        of_origins = torch.cat(blocks).cpu().numpy()
        at = f"h{horizon}"
        names = Errors._fields[: of_origins.shape[1]]
        self._rows += [
            (row, role, name, at, float(mean)) for name, mean in zip(names, of_origins.mean(axis=0), strict=True)
        ]
        self._units.append(self._unit_frame(row, at, of_origins))
        if keep:
            rows_kept = self._kept[self._kept < count]
            forecast, truth = forecaster(test, rows_kept, horizon), test.future(rows_kept, horizon)
            self._forecasts.append(forecast_frame(test, rows_kept, row, horizon, forecast, truth))

    def penalty(self, row: str, horizon: int, penalty: float, scale: float) -> None:
        """Note the penalty, and the scale of the representation, that were chosen on the validation part."""
        self._penalties.append((row, horizon, penalty, scale))

    def keep_head(self, row: str, horizon: int, arrays: Mapping[str, Float[Tensor, "..."]]) -> None:
        """Keep what was fitted, so that it can forecast new data."""
        self._heads[f"{row}@h{horizon}"] = {name: array.float().cpu().numpy() for name, array in arrays.items()}

    def judged(self) -> Judged:
        """All that is here."""
        return Judged(
            make_rows(self._rows),
            pd.concat(self._units, ignore_index=True),
            pd.concat(self._forecasts, ignore_index=True) if self._forecasts else None,
            pd.DataFrame(self._penalties, columns=["row", "horizon", "penalty", "scale"]),
            self._heads,
        )

    def take(self, judged: Judged) -> None:
        """Add rows that were judged on the same test origins."""
        self._rows += judged.figures.itertuples(index=False, name=None)
        self._units.append(judged.units)
        self._forecasts += [] if judged.forecasts is None else [judged.forecasts]
        self._penalties += judged.penalties.itertuples(index=False, name=None)
        self._heads |= {key: dict(arrays) for key, arrays in judged.heads.items()}

    def result(self) -> Result:
        """Rows with the means over horizons (`at` empty), units, kept forecasts, heads and the table of penalties."""
        judged = self.judged()
        rows = judged.figures
        means = rows.groupby(["row", "role", "metric"], sort=False, as_index=False)["value"].mean().assign(at="")
        order = {name: position for position, name in enumerate(rows["row"].unique())}
        rows = pd.concat([rows, means[rows.columns]], ignore_index=True)
        rows = rows.sort_values("row", key=lambda names: names.map(order), kind="stable", ignore_index=True)
        return Result(
            rows=rows,
            units=judged.units,
            predictions=judged.forecasts,
            tables={"penalties": judged.penalties.sort_values(["row", "horizon"], ignore_index=True)},
            heads=judged.heads,
        )

    def history(self) -> pd.DataFrame:
        """The past values of the kept origins that the longest horizon uses, at most eight spread evenly over them:
        sequence, origin, step (0 is the origin), target, value in original units.
        """
        test = self._test
        rows = self._kept[self._kept < test.count(max(self._horizons))]
        rows = rows[spread_evenly(len(rows), EXAMPLES)]
        past = test.lags(rows).reshape(len(rows), -1)
        frame = forecast_frame(test, rows, "", test.window, past).rename(columns={"prediction": "value"})
        return frame.assign(step=frame["step"] - test.window)[["sequence", "origin", "step", "target", "value"]]

    def _unit_frame(self, row: str, at: str, of_origins: np.ndarray) -> pd.DataFrame:
        origins = self._test.origins
        position = origins.position[: len(of_origins)].numpy()
        sequence = origins.sequence[: len(of_origins)].numpy()
        order = np.lexsort((position, sequence))
        order = order[:: -(-len(order) // MAX_UNITS)]
        frame = {"unit": position, "group": sequence, "mse": of_origins[:, 0], "mae": of_origins[:, 1]}
        return pd.DataFrame({"row": row, "at": at, **{name: values[order] for name, values in frame.items()}})


def forecast_frame(
    sample: Sample,
    rows: Rows,
    name: str,
    horizon: int,
    forecast: Float[Tensor, "row output"],
    truth: Float[Tensor, "row output"] | None = None,
) -> pd.DataFrame:
    """Forecasts as a long table in original units, one line an origin, step and target.

    Columns row, horizon, sequence, origin (the last known step, counted inside the sequence), step (from 1), time (where
    the data have times), target, truth (when given), prediction.
    """
    collection = sample.series.collection
    targets = [collection.channels[index] for index in collection.target_index]
    origin, sequence = sample.origins.position[rows], sample.origins.sequence[rows]
    count = len(origin)
    each = horizon * len(targets)
    step = torch.arange(1, horizon + 1)
    columns: dict[str, object] = {
        "row": name,
        "horizon": horizon,
        "sequence": np.repeat(sequence.numpy(), each),
        "origin": np.repeat(origin.numpy(), each),
        "step": np.tile(np.repeat(step.numpy(), len(targets)), count),
    }
    if collection.times is not None:
        times = _times(sample, sequence, origin[:, None] + step).reshape(-1)
        columns["time"] = np.repeat(times.numpy().astype("datetime64[ns]"), len(targets))
    columns["target"] = np.tile(np.array(targets, dtype=object), count * horizon)
    if truth is not None:
        columns["truth"] = sample.unscaled(rows, truth).reshape(-1).cpu().numpy()
    columns["prediction"] = sample.unscaled(rows, forecast).reshape(-1).cpu().numpy()
    return pd.DataFrame(columns)


def _times(sample: Sample, sequence: Int[Tensor, "row"], steps: Int[Tensor, "row step"]) -> Int[Tensor, "row step"]:
    """Times of steps; past the end of a sequence its last time step is repeated, and none is known where there is only one."""
    collection = sample.series.collection
    assert collection.times is not None
    start, last = collection.offsets[sequence, None], collection.offsets[sequence + 1, None] - 1
    index = start + steps
    known = torch.minimum(index, last)
    pace = collection.times[last] - collection.times[torch.maximum(last - 1, start)]
    times: Tensor = collection.times[known] + (index - known) * pace
    return torch.where((index > last) & (last == start), NO_TIME, times)
