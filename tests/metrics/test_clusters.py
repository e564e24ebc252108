"""What a test draws: pieces of blocks and groups, and that their means are all it has to know."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.reference.significance import block_error
from tswork.metrics.clusters import PIECES, clusters, metrics_of
from tswork.metrics.significance import compare_rows, paired_difference


def starts(count: int, *, horizons: tuple[int, ...] = (24,), groups: int = 1, seed: int = 0) -> pd.DataFrame:
    """Errors of two rows at every start of some series."""
    draw = np.random.default_rng(seed)
    frames = [
        pd.DataFrame(
            {
                "row": row,
                "at": f"h{horizon}",
                "unit": np.arange(count - horizon),
                "group": group,
                "mse": draw.normal(size=count - horizon).cumsum() / 10,
                "mae": draw.random(count - horizon),
            }
        )
        for row in ("ours", "other")
        for horizon in horizons
        for group in range(groups)
    ]
    return pd.concat(frames, ignore_index=True)


def test_blocks_are_made_of_pieces_that_hold_every_start_once() -> None:
    found = clusters(starts(1400, horizons=(24, 100)), kind="time")
    ours = found[found["row"] == "ours"]
    length = 130  # a tenth of the 1300 starts that both horizons have, between one horizon and four
    assert len(ours) == 1300 * PIECES // length == 80
    assert ours["size"].sum() == 1300
    assert set(ours["size"]) <= {16, 17}
    assert set(ours["pieces"]) == {PIECES}
    assert ours["unit"].tolist() == [0, *ours["size"].cumsum()[:-1]]


def test_a_piece_has_the_mean_of_its_starts_over_all_horizons() -> None:
    units = starts(1400, horizons=(24, 100))
    found = clusters(units, kind="time")
    both = units[(units["row"] == "other") & (units["unit"] < 1300)].groupby("unit")[["mse", "mae"]].mean()
    other = found[found["row"] == "other"]
    for unit, size, mse, mae in other[["unit", "size", "mse", "mae"]].itertuples(index=False):
        assert (mse, mae) == pytest.approx(tuple(both.iloc[unit : unit + size].mean()))


def test_short_blocks_are_made_of_single_starts() -> None:
    found = clusters(starts(300, horizons=(2,)), kind="time")
    assert set(found["pieces"]) == {8}
    assert clusters(starts(40, horizons=(2,)), kind="time")["pieces"].unique().tolist() == [3]
    assert (found["size"] == 1).all()


def test_groups_are_kept_whole_and_too_short_series_are_taken_as_groups() -> None:
    units = starts(50, groups=7)
    for kind in ("group", "time"):  # 26 starts are not two blocks of 24
        found = clusters(units, kind=kind)
        ours = found[found["row"] == "ours"].set_index("group")
        assert ours["size"].tolist() == [26] * 7
        assert (ours["pieces"] == 0).all()
        of_three = units[(units["row"] == "ours") & (units["group"] == 3)]
        assert ours.loc["3", "mse"] == pytest.approx(of_three["mse"].mean())


@pytest.mark.parametrize(("count", "horizons", "groups"), [(1400, (24, 100), 1), (900, (24,), 3), (50, (24,), 7)])
def test_the_test_of_clusters_is_that_of_the_units(count: int, horizons: tuple[int, ...], groups: int) -> None:
    units = pd.concat([starts(count, horizons=horizons, groups=groups, seed=seed).assign(seed=seed) for seed in (1, 2)])
    of_units = compare_rows(units, "mse", candidate="ours", kind="time")
    reduced = clusters(units, kind="time")
    pd.testing.assert_frame_equal(of_units, compare_rows(reduced, "mse", candidate="ours", kind="time"))
    pd.testing.assert_frame_equal(reduced, clusters(reduced, kind="time"))
    assert len(reduced) < len(units) / 8


def test_blocks_of_pieces_see_the_variance_that_blocks_at_any_start_see() -> None:
    """The plain form draws blocks that begin at any start."""
    ratios = []
    for seed in range(8):
        noise = np.random.default_rng(seed).normal(size=2400 + 100)
        overlapping = np.convolve(noise, np.full(100, 0.01), "valid")[:2400]
        units = pd.DataFrame({"unit": np.arange(2400), "group": 0, "mse": overlapping})
        fast = paired_difference(units, units.assign(mse=0.0), "mse", kind="time", horizon=100)
        ratios.append(fast.error / block_error(overlapping, 240, np.random.default_rng(seed)))
    assert np.mean(ratios) == pytest.approx(1, abs=0.03)
    assert max(abs(np.log(ratios))) < 0.2


def test_series_judged_together_are_no_pairs_of_other_series() -> None:
    units = starts(900, groups=3)
    one, other = (units[units["row"] == row] for row in ("ours", "other"))
    with pytest.raises(ValueError, match="share no units"):
        paired_difference(one, other.assign(group=other["group"] + 1), "mse", kind="time", horizon=24)


def test_columns_that_are_no_metrics_are_known() -> None:
    assert metrics_of(clusters(starts(900).assign(seed=1), kind="time")) == ["mse", "mae"]


def test_what_probes_said_of_items_is_no_metric() -> None:
    units = pd.DataFrame(
        {
            "row": "ts2vec",
            "at": "",
            "unit": [0, 1],
            "group": "a",
            "truth": [0, 1],
            "accuracy": 1.0,
            "accuracy.knn": 1.0,
            "predicted.knn": [0, 1],
            "score/0": 0.5,
            "score.knn/0": 0.5,
        }
    )
    assert metrics_of(units) == ["accuracy", "accuracy.knn"]
