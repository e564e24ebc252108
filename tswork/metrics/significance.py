"""Whether two rows of a table differ: paired tests on the units that a protocol judged, and over data sets.

Units (forecast starts, test segments) are paired, averaged over seeds and subtracted. What depends on each other is
resampled together: blocks of neighbouring forecast starts (circular block bootstrap, Politis and Romano 1992), or all units of
a group such as a patient or a speaker (cluster bootstrap). The bootstrap gives the standard error of the mean difference;
interval and p-value follow from Student's t with one degree of freedom less than there are blocks or groups, which keeps
them honest when there are few (Cameron, Gelbach and Miller 2008).

Forecasts of H steps from neighbouring starts share steps, so a block has at least H starts. Blocks of exactly H would
see only two thirds of the variance of such overlapping means; by default a block has four horizons where that leaves ten
blocks. What a test has to know of the units are the means of `tswork.metrics.clusters`.

Many comparisons in one table are corrected by Holm's step-down rule. A row's interval is given at the level that Holm's
rule asks of this row, so that it excludes 0 exactly when the row is called significant.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float

from tswork.metrics.clusters import clusters
from tswork.random import derive

Kind = Literal["time", "group"]

MIN_PAIRS = 6
"""Fewer groups or data sets than this are not tested."""
TOO_FEW = "too few pairs"
LEVEL = 0.95
POWER = 0.8
RESAMPLES = 2000


@dataclass(frozen=True)
class Difference:
    """The mean of a paired difference, and how sure it is.

    `pairs` counts independent blocks, groups or sets. `detectable` is the smallest true difference that such a table
    finds with 80 % power at the 95 % level. Without a test (`note` says why) error, interval and p are NaN.
    """

    mean: float
    error: float
    pairs: float
    note: str = ""

    @property
    def p(self) -> float:
        """Two-sided p-value of no difference."""
        from scipy.stats import t

        if math.isnan(self.error):
            return math.nan
        if self.error == 0:
            return 1.0 if self.mean == 0 else 0.0
        return float(2 * t.sf(abs(self.mean) / self.error, self.pairs - 1))

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval."""
        return self.interval()[0]

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval."""
        return self.interval()[1]

    @property
    def detectable(self) -> float:
        """The smallest difference that would be found with 80 % power."""
        from scipy.stats import t

        return float(self.error * (t.isf((1 - LEVEL) / 2, self.pairs - 1) + t.isf(1 - POWER, self.pairs - 1)))

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """The interval that holds the true difference with that probability."""
        from scipy.stats import t

        reach = self.error * float(t.isf((1 - level) / 2, self.pairs - 1)) if self.error else self.error
        return self.mean - reach, self.mean + reach


def paired_difference(
    units_a: pd.DataFrame,
    units_b: pd.DataFrame,
    metric: str,
    *,
    kind: Kind,
    horizon: int = 1,
    block: int | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Difference:
    """The mean of a - b over the units that both have.

    Units have columns unit, group, the metric, and `seed` where there are several (averaged over); they may be clusters
    already. `kind="time"` takes `unit` as a place in time and resamples blocks of `block` of them (default: by the forecast
    horizon, see above), all groups together; with fewer than two blocks but enough groups, and with `kind="group"`, whole
    groups are resampled.
    Raises `ValueError` when no unit is shared.
    """
    left, right = (
        _over_seeds(clusters(units, kind=kind, horizon=horizon, block=block), metric) for units in (units_a, units_b)
    )
    paired = left.join(right[[metric]], how="inner", rsuffix=" of b")
    if paired.empty:
        raise ValueError("the two rows share no units; they were judged on different data")
    paired["sum"] = (paired[metric] - paired[f"{metric} of b"]) * paired["size"]
    mean = float(paired["sum"].sum() / paired["size"].sum())
    generator = np.random.default_rng(derive(seed, "bootstrap"))
    if (paired["pieces"] > 0).all():
        sums, length = _sums(paired, "unit"), int(paired["pieces"].max())
        blocks = len(sums) / length
        error = _block_error(sums, length, generator, resamples)
        return Difference(mean, error, blocks, "" if blocks >= MIN_PAIRS else f"only {blocks:.1f} independent blocks")
    sums = _sums(paired, "group")
    if len(sums) < MIN_PAIRS:
        return Difference(mean, math.nan, float(len(sums)), TOO_FEW)
    note = "groups resampled: too short for blocks" if kind == "time" else ""
    return Difference(mean, _group_error(sums, generator, resamples), float(len(sums)), note)


def compare_rows(
    units: pd.DataFrame,
    metric: str,
    *,
    candidate: str,
    kind: Kind,
    at: str = "",
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> pd.DataFrame:
    """The candidate against all other rows of one protocol's units, corrected over the rows.

    `at=""` takes the units as a whole; where there are only units of several horizons, their mean over the horizons, for
    the forecast starts that all horizons have. Columns: row, difference (candidate - row), low, high, p, p_holm,
    significant, detectable, pairs, note; rows in the order of the units.
    """
    chosen = clusters(units if at == "" else units[units["at"] == at], kind=kind)
    rows = {str(name): frame for name, frame in chosen.groupby("row", sort=False)}
    return table_of(
        {
            name: paired_difference(rows[candidate], rows[name], metric, kind=kind, seed=seed, resamples=resamples)
            for name in others_than(candidate, rows)
        }
    )


def compare_sets(scores: pd.DataFrame, *, candidate: str) -> pd.DataFrame:
    """The candidate against every other row over many data sets: Wilcoxon's signed-rank test with Holm's correction.

    `scores` has columns set, row, value (averaged over seeds here); sets that one of two rows lacks are left out of that
    pair. Columns: row, difference (mean of candidate - row), wins, ties, losses (of the candidate when greater is
    better), p, p_holm, significant, pairs, note.
    """
    from scipy.stats import wilcoxon

    table = scores.groupby(["set", "row"], sort=False)["value"].mean().unstack("row", sort=False)
    lines = []
    for row in table.columns.drop(candidate):
        difference = (table[candidate] - table[row]).dropna().to_numpy()
        line = {
            "row": row,
            "difference": float(difference.mean()) if len(difference) else math.nan,
            "wins": int((difference > 0).sum()),
            "ties": int((difference == 0).sum()),
            "losses": int((difference < 0).sum()),
            "p": math.nan,
            "pairs": len(difference),
            "note": TOO_FEW,
        }
        if len(difference) >= MIN_PAIRS:
            equal = bool((difference == 0).all())
            line |= {"p": 1.0 if equal else float(wilcoxon(difference, zero_method="zsplit").pvalue), "note": ""}
        lines.append(line)
    frame = pd.DataFrame(lines)
    if frame.empty:
        return frame
    adjusted = holm(frame["p"].to_numpy())
    frame.insert(list(frame).index("p") + 1, "p_holm", adjusted)
    frame.insert(list(frame).index("p_holm") + 1, "significant", adjusted < 1 - LEVEL)
    return frame


def others_than(candidate: str, rows: Iterable[str]) -> list[str]:
    """The rows that a candidate is compared with. Raises `ValueError` when it is none of them itself."""
    names = list(rows)
    if candidate not in names:
        raise ValueError(f"no row is called {candidate!r}; there are {', '.join(names)}")
    return [name for name in names if name != candidate]


def holm(p: Float[np.ndarray, "row"]) -> Float[np.ndarray, "row"]:
    """p-values corrected for their number by Holm's step-down rule; NaN (not tested) stays and is not counted."""
    adjusted = np.full(len(p), np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * p[order]), 1.0)
    return adjusted


def table_of(found: dict[str, Difference]) -> pd.DataFrame:
    """Differences by row as a table, corrected over the rows: the columns that `compare_rows` names."""
    p = np.array([difference.p for difference in found.values()])
    adjusted = holm(p)
    lines = []
    for (row, difference), plain, corrected in zip(found.items(), p, adjusted, strict=True):
        # corrected / plain is how many comparisons Holm's rule charges this row for.
        charge = corrected / plain if plain > 0 else float(len(found))
        low, high = difference.interval(1 - (1 - LEVEL) / max(charge, 1.0)) if plain < 1 else difference.interval()
        lines.append(
            {
                "row": row,
                "difference": difference.mean,
                "low": low,
                "high": high,
                "p": plain,
                "p_holm": corrected,
                "significant": bool(corrected < 1 - LEVEL),
                "detectable": difference.detectable,
                "pairs": difference.pairs,
                "note": difference.note,
            }
        )
    return pd.DataFrame(lines)


def _over_seeds(found: pd.DataFrame, metric: str) -> pd.DataFrame:
    means: pd.DataFrame = found.groupby(["group", "unit"])[[metric, "size", "pieces"]].mean()
    return means


def _sums(paired: pd.DataFrame, by: str) -> Float[np.ndarray, "cluster two"]:
    """Sum and number of the differences of each piece of time or group, in order."""
    sums: np.ndarray = paired.groupby(level=by)[["sum", "size"]].sum().to_numpy(dtype=float)
    return sums


def _block_error(
    sums: Float[np.ndarray, "time two"], length: int, generator: np.random.Generator, resamples: int
) -> float:
    """Standard error of the mean by circular blocks.

    A block mean varies about the mean of the very series it comes from, which hides the share length / times of its
    variance; this is put back.
    """
    times = len(sums)
    running = np.concatenate([np.zeros((1, 2)), np.concatenate([sums, sums[:length]]).cumsum(axis=0)])
    blocks = running[length : times + length] - running[:times]
    drawn = -(-times // length)
    chosen = blocks[generator.integers(times, size=(resamples, drawn))].sum(axis=1)
    variance = float(np.var(chosen[:, 0] / chosen[:, 1], ddof=1))
    return math.sqrt(variance * (drawn * length / times) / (1 - length / times))


def _group_error(sums: Float[np.ndarray, "group two"], generator: np.random.Generator, resamples: int) -> float:
    """Standard error of the mean over units when whole groups are drawn again."""
    groups = len(sums)
    found: list[np.ndarray] = []
    for count in _portions(resamples, max(1, 4_000_000 // groups)):
        counts = generator.multinomial(groups, np.full(groups, 1 / groups), size=count).astype(float)
        totals = counts @ sums
        found.append(totals[:, 0] / totals[:, 1])
    return math.sqrt(float(np.var(np.concatenate(found), ddof=1)) * groups / (groups - 1))


def _portions(total: int, size: int) -> Iterator[int]:
    for start in range(0, total, size):
        yield min(size, total - start)
