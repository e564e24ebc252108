"""Whether two rows differ over several random splits of one data set (Monte-Carlo splits, folds).

Splits of one data set share most of their training items, so their figures are not independent: a plain t-test over them calls far
too much significant. Nadeau and Bengio, "Inference for the generalization error", Machine Learning 52, 2003, section 3: the
variance of the mean over J splits is estimated by (1/J + test share / training share) times the variance over splits, and
Student's t has J - 1 degrees of freedom. Wilcoxon's signed ranks are left to independent data sets.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from tswork.metrics.significance import MIN_PAIRS, TOO_FEW, Difference, others_than, table_of


def compare_splits(scores: pd.DataFrame, *, candidate: str, test_to_train: float) -> pd.DataFrame:
    """The candidate against all other rows, paired over splits, corrected over the rows.

    `scores` has columns split, row, value (averaged over seeds here); splits in which one of two rows has no figure are left
    out of that pair. Columns as of `significance.compare_rows`, with wins, ties and losses of the candidate where greater is
    better. Raises `ValueError` for an unknown row.
    """
    table = scores.groupby(["split", "row"], sort=False)["value"].mean().unstack("row", sort=False)
    others = others_than(candidate, map(str, table))
    pairs = {row: (table[candidate] - table[row]).dropna().to_numpy() for row in others}
    frame = table_of({row: split_difference(pairs[row], test_to_train=test_to_train) for row in others})
    for name, count in (("losses", np.less), ("ties", np.equal), ("wins", np.greater)):
        frame.insert(2, name, [int(count(pairs[row], 0).sum()) for row in others])
    return frame


def split_difference(differences: np.ndarray, *, test_to_train: float) -> Difference:
    """The mean over splits with the corrected error; not tested with fewer than six."""
    count = len(differences)
    mean = float(differences.mean()) if count else math.nan
    if count < MIN_PAIRS:
        return Difference(mean, math.nan, float(count), TOO_FEW)
    error = math.sqrt((1 / count + test_to_train) * float(np.var(differences, ddof=1)))
    return Difference(mean, error, float(count))
