"""How sure one figure of a classification is: a bootstrap over groups (speakers, places), not over their items.

Items of one place are right or wrong together, so a thousand items of ten places are worth ten. As in the tests of a difference
(`tswork.metrics.score_differences`) whole groups are drawn again and the figure is computed anew, which gives its standard error; the
interval follows from Student's t with one degree of freedom less than there are groups.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from tswork.metrics.score_differences import UNDEFINED, ScoredMetric, resampled_rows
from tswork.metrics.significance import MIN_PAIRS, RESAMPLES, TOO_FEW, Difference


def figure_intervals(units: pd.DataFrame, metric: str, *, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Every row's figure with its 95 % interval: columns row, metric, value, error, low, high, groups, note.

    With fewer than `MIN_PAIRS` groups, and where the figure itself is not defined, error and interval are NaN, and the note says why.
    Ends are cut to 0 and 1. Raises `ValueError` for a metric that does not follow from the units.
    """
    named = ScoredMetric.required(metric, units)
    lines = []
    for row, cells in resampled_rows(units, named, seed=seed, resamples=resamples).items():
        value = float(np.mean([cell.value for cell in cells.values()]))
        groups = int(units.loc[units["row"] == row, "group"].nunique())
        known = Difference(value, math.nan, float(groups), UNDEFINED if math.isnan(value) else TOO_FEW)
        if groups >= MIN_PAIRS and not math.isnan(value):
            values = np.stack([cell.values for cell in cells.values()]).mean(axis=0)
            error = math.sqrt(float(np.nanvar(values, ddof=1)) * groups / (groups - 1))
            known = Difference(value, error, float(groups))
        low, high = (float(end) for end in np.clip([known.low, known.high], 0, 1))
        lines.append((row, metric, value, known.error, low, high, groups, known.note))
    return pd.DataFrame(lines, columns=["row", "metric", "value", "error", "low", "high", "groups", "note"])
