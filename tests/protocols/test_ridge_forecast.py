"""The forecasting protocol: alignment, all rows against a plain twin, published oracles, and predictions for new data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from tests.protocols.electricity import electricity
from tests.protocols.toys import toy_model, toy_series
from tests.reference.ridge import choose_by_blocks, forecast_errors
from tswork.config import keyed
from tswork.context import Context
from tswork.data.collection import Collection, Part, Split
from tswork.errors import DataInvalid, ModelUnfit, TsworkWarning
from tswork.methods.model import Model
from tswork.protocols.base import Result
from tswork.protocols.forecast_folds import BLOCKS
from tswork.protocols.forecast_samples import Origins, Sample, Series
from tswork.protocols.ridge_forecast import RELATIVE_PENALTIES, RidgeForecast, RidgeForecastConfig
from tswork.recorder import MemoryRecorder

SMALL = RidgeForecastConfig(horizons=(2, 5, 12), window=9, drop=8)
Features = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


def judge(split: Split, config: RidgeForecastConfig = SMALL, **models: Model) -> Result:
    return RidgeForecast(config).evaluate({name: [model] for name, model in models.items()}, split, Context())


def parts_of(values: Tensor, borders: tuple[int, ...]) -> list[Part]:
    collection = Collection(values[:, None], torch.tensor([0, len(values)]), pd.DataFrame({"n": [0]}), ("y",))
    return [Part(collection, torch.tensor([[0, a, b]])) for a, b in zip((0, *borders[:-1]), borders, strict=True)]


def test_features_and_labels_lie_in_the_same_part() -> None:
    """Series 0..9, two steps dropped, validation from 5, test from 7, one step ahead: the pairs that TS2Vec's authors give."""
    pairs = []
    for part, drop in zip(parts_of(torch.arange(10.0), (5, 7, 10)), (2, 0, 0), strict=True):
        origins = Origins.of(part, drop=drop)
        sample = Sample(origins, Series(part.collection, torch.device("cpu")), 1)
        every = slice(0, len(origins))
        pairs.append(
            list(zip(sample.present(every)[:, 0].tolist(), sample.future(every, 1)[:, 0].tolist(), strict=True))
        )
    assert pairs == [[(2, 3), (3, 4)], [(5, 6)], [(7, 8), (8, 9)]]


@settings(max_examples=40, deadline=None)
@given(
    spans=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30)), min_size=1, max_size=5),
    drop=st.integers(0, 6),
    horizon=st.integers(1, 12),
)
def test_the_origins_of_a_horizon_are_a_prefix(spans: list[tuple[int, int]], drop: int, horizon: int) -> None:
    import pandas as pd

    lengths = [start + length for start, length in spans]
    collection = Collection(
        torch.zeros(sum(lengths), 1), torch.tensor([0, *np.cumsum(lengths)]), pd.DataFrame({"n": lengths}), ("y",)
    )
    table = torch.tensor([[index, start, start + length] for index, (start, length) in enumerate(spans)])
    origins = Origins.of(Part(collection, table), drop=drop)
    count = origins.count(horizon)
    found = set(zip(origins.sequence[:count].tolist(), origins.position[:count].tolist(), strict=True))
    expected = {
        (index, position)
        for index, (start, length) in enumerate(spans)
        for position in range(start + drop, start + length)
        if position + horizon < start + length
    }
    assert found == expected
    assert len(found) == count


def lag_features(window: int, kind: str, model: Model | None) -> Features:
    """One origin's features as the table of the protocol's header says, without any sharing."""

    def features(targets: np.ndarray, covariates: np.ndarray, t: int) -> np.ndarray:
        past = targets[np.maximum(np.arange(t - window + 1, t + 1), 0)]
        found = []
        if kind == "raw":
            found += [past.reshape(-1), covariates[t]]
        elif kind == "relative":
            found += [(past - targets[t]).reshape(-1)]
        if model is not None:
            whole = np.concatenate([covariates, targets], axis=1)[max(0, t - window + 1) : t + 1]
            with torch.no_grad():
                found += [model.last(torch.as_tensor(whole, dtype=torch.float32)[None])[0].double().numpy()]
        return np.concatenate(found)

    return features


@pytest.mark.parametrize("lengths", [(260,), (150, 200)])
def test_every_row_equals_its_plain_twin(lengths: tuple[int, ...]) -> None:
    split = toy_series(lengths=lengths)
    model = toy_model(split.train)
    result = judge(split, ours=model)
    penalties = result.tables["penalties"].set_index(["row", "horizon"])["penalty"]
    for row, kind, own, change in (
        ("ridge_lags", "raw", None, False),
        ("ridge_relative_lags", "relative", None, True),
        ("ours", "none", model, False),
        ("ours+lags", "raw", model, False),
        ("ours+relative_lags", "relative", model, True),
    ):
        for horizon in SMALL.horizons:
            expected = forecast_errors(
                split,
                lag_features(SMALL.window, kind, own),
                horizon=horizon,
                drop=SMALL.drop,
                penalties=RELATIVE_PENALTIES if change else SMALL.penalties,
                change=change,
                standardise_on=min(SMALL.horizons) if change else None,
            )
            found = [result.value(row, metric, f"h{horizon}") for metric in ("mse", "mae")]
            assert penalties[row, horizon] == expected[0], (row, horizon)
            assert found == pytest.approx(expected[1:], rel=2e-5), (row, horizon)


def test_a_representation_has_a_penalty_of_its_own_beside_past_values() -> None:
    split, scales = toy_series(), (0.0, 0.1, 1.0, 10.0)
    model = toy_model(split.train)
    several = judge(split, SMALL.model_copy(update={"representation_scales": scales}), ours=model)
    chosen = several.tables["penalties"].set_index(["row", "horizon"])
    for row in ("ours+lags", "ours+relative_lags"):
        for horizon in SMALL.horizons:
            scale, penalty = chosen.loc[(row, horizon), ["scale", "penalty"]]
            alone = SMALL.model_copy(
                update={"representation_scales": (scale,), "penalties": (penalty,), "relative_penalties": (penalty,)}
            )
            assert several.value(row, "mse", f"h{horizon}") == pytest.approx(
                judge(split, alone, ours=model).value(row, "mse", f"h{horizon}"), rel=1e-9
            )
    assert set(chosen["scale"]) - {1.0}, "some other scale than 1 is chosen somewhere, else this test says nothing"
    assert set(chosen.loc[["ridge_lags", "ridge_relative_lags", "ours"], "scale"]) == {1.0}


@pytest.mark.parametrize("lengths", [(420,), (250, 310)])
def test_penalties_chosen_on_blocks_equal_those_of_plain_refits(lengths: tuple[int, ...]) -> None:
    split = toy_series(lengths=lengths, shares=(0.7, 0.15))
    penalties = tuple(float(one) for one in np.geomspace(0.01, 1000, 16))
    blocks = SMALL.model_copy(update={"select": "blocks", "penalties": penalties})
    model = toy_model(split.train)
    (found, other) = (
        judge(split, config, ours=model).tables["penalties"].set_index(["row", "horizon"])["penalty"]
        for config in (blocks, SMALL.model_copy(update={"penalties": penalties}))
    )
    for row, kind, own in (("ridge_lags", "raw", None), ("ours", "none", model), ("ours+lags", "raw", model)):
        for horizon in SMALL.horizons:
            expected = choose_by_blocks(
                split,
                lag_features(SMALL.window, kind, own),
                horizon=horizon,
                longest=max(SMALL.horizons),
                drop=SMALL.drop,
                penalties=penalties,
                blocks=BLOCKS,
            )
            assert found[row, horizon] == expected, (row, horizon)
    assert (found != other).any(), "the validation part alone chooses otherwise somewhere, else this test says nothing"


def test_choosing_on_blocks_fits_on_all_training_origins() -> None:
    split = toy_series()
    one = {"penalties": (1.0,), "relative_penalties": (1.0,)}
    first, second = (judge(split, SMALL.model_copy(update={**one, "select": way})) for way in ("validation", "blocks"))
    assert second.rows["value"].tolist() == pytest.approx(first.rows["value"].tolist(), rel=1e-9)


def test_an_option_that_came_later_changes_no_key_where_it_is_left_alone() -> None:
    plain, chosen = keyed(RidgeForecastConfig()), keyed(RidgeForecastConfig(select="blocks"))
    assert "select" not in plain
    assert chosen == {**plain, "select": "blocks"}


def test_a_representation_of_scale_zero_leaves_the_row_of_past_values() -> None:
    split = toy_series()
    result = judge(split, SMALL.model_copy(update={"representation_scales": (0.0,)}), ours=toy_model(split.train))
    for combined, control in (("ours+lags", "ridge_lags"), ("ours+relative_lags", "ridge_relative_lags")):
        assert result.value(combined, "mse") == pytest.approx(result.value(control, "mse"), rel=1e-9)


def test_the_whole_is_the_mean_over_horizons_and_units_average_to_the_rows() -> None:
    result = judge(toy_series())
    assert result.units is not None
    for row in ("persistence", "ridge_lags"):
        of_horizons = [result.value(row, "mse", f"h{horizon}") for horizon in SMALL.horizons]
        assert result.value(row, "mse") == pytest.approx(np.mean(of_horizons))
        units = result.units[(result.units["row"] == row) & (result.units["at"] == "h5")]
        assert units["mse"].mean() == pytest.approx(result.value(row, "mse", "h5"))
        assert units["unit"].is_monotonic_increasing
    assert result.value("ridge_lags", "mae_original", "h5") == pytest.approx(
        10 * result.value("ridge_lags", "mae", "h5")
    )


def test_persistence_and_season_by_hand() -> None:
    values = torch.arange(200.0).remainder(4) + torch.arange(200.0).ge(150)
    train, validation, test = parts_of(values, (80, 140, 200))
    config = RidgeForecastConfig(horizons=(4,), window=5, drop=4, season=4)
    result = judge(Split(train, validation, test), config)
    assert result.value("persistence", "mae", "h4") > 1
    units = result.units
    assert units is not None
    seasonal = units[units["row"] == "seasonal_naive"].set_index("unit")["mae"]
    assert seasonal.loc[155:].eq(0).all()
    assert seasonal.loc[149] == 1


def test_nothing_after_an_origin_changes_its_forecast() -> None:
    split = toy_series()
    model = toy_model(split.train)
    later = split.train.collection.values.clone()
    later[240:] = 50.0
    collection = split.train.collection.replaced(values=later)
    changed = Split(*(Part(collection, part.spans) for part in (split.train, split.validation, split.test)))  # type: ignore[arg-type]
    config = SMALL.model_copy(update={"keep_every": 1})
    before, after = (judge(one, config, ours=model).predictions for one in (split, changed))
    assert before is not None
    assert after is not None
    same = before["origin"] < 240
    assert same.any()
    change = (before["prediction"] - after["prediction"]).abs()
    assert change[same].max() < 1e-11
    assert change[~same].max() > 1


def test_the_level_of_the_series_does_not_change_the_relative_rows() -> None:
    split = toy_series()
    raised = split.train.collection.values.double()
    raised[:, 1:] += 1000.0
    collection = split.train.collection.replaced(values=raised)
    shifted = Split(*(Part(collection, part.spans) for part in (split.train, split.validation, split.test)))  # type: ignore[arg-type]
    one, two = (judge(part).value("ridge_relative_lags", "mse") for part in (split, shifted))
    assert one == pytest.approx(two, rel=1e-6)


def test_predicting_the_change_is_an_option() -> None:
    split = toy_series()
    model = toy_model(split.train)
    change = judge(split, SMALL.model_copy(update={"predict": "change"}), ours=model)
    absolute = judge(split, ours=model)
    assert change.value("ours", "mse") != absolute.value("ours", "mse")
    assert change.value("ours+lags", "mse") == absolute.value("ours+lags", "mse")


def test_predictions_are_in_original_units_with_their_truth() -> None:
    split = toy_series()
    predictions = judge(split, ours=toy_model(split.train)).predictions
    assert predictions is not None
    assert set(predictions["row"]) == {"persistence", "ours"}
    one = predictions[
        (predictions["row"] == "persistence") & (predictions["horizon"] == 5) & (predictions["target"] == "y1")
    ]
    start = one[one["origin"] == one["origin"].min()]
    values = split.train.collection.values[:, 2].numpy() * 10 + 100
    origin = int(start["origin"].iloc[0])
    assert start["truth"].to_numpy() == pytest.approx(values[origin + 1 : origin + 6], rel=1e-6)
    assert start["prediction"].to_numpy() == pytest.approx(np.full(5, values[origin]), rel=1e-6)
    assert start["time"].iloc[0] == np.datetime64("1970-01-01") + np.timedelta64(origin + 1, "h")
    assert (np.diff(sorted(one["origin"].unique())) == 12).all()


def test_a_stored_result_forecasts_what_the_evaluation_forecast() -> None:
    split = toy_series(lengths=(150, 200))
    model = toy_model(split.train)
    config = SMALL.model_copy(update={"keep_heads": "all"})
    result = judge(split, config, ours=model)
    assert result.predictions is not None
    kept = result.predictions[(result.predictions["sequence"] == 1) & (result.predictions["horizon"] == 12)]
    origin = int(kept["origin"].iloc[0])
    until = Part(split.train.collection, torch.tensor([[1, 0, origin + 1]]))
    protocol = RidgeForecast(config)
    forecast = protocol.predict({"ours": [model]}, result.heads, until, Context(), horizon=9)
    assert set(forecast["row"]) == {
        "persistence",
        "ridge_lags",
        "ridge_relative_lags",
        "ours",
        "ours+lags",
        "ours+relative_lags",
    }
    assert set(forecast["step"]) == set(range(1, 10))
    for row in ("persistence", "ours"):
        expected = kept[(kept["row"] == row) & (kept["origin"] == origin) & (kept["step"] <= 9)]
        found = forecast[forecast["row"] == row]
        assert found["prediction"].to_numpy() == pytest.approx(expected["prediction"].to_numpy(), rel=1e-5)
        assert found["time"].tolist() == expected["time"].tolist()


def test_forecasts_go_on_after_the_end_of_every_series() -> None:
    split = toy_series(lengths=(150, 200))
    model = toy_model(split.train)
    result = judge(split, ours=model)
    whole = Part.whole(split.train.collection)
    forecast = RidgeForecast(SMALL).predict({"ours": [model]}, result.heads, whole, Context())
    assert set(forecast["row"]) == {"persistence", "ours"}
    assert forecast.groupby("sequence")["origin"].first().to_dict() == {0: 149, 1: 199}
    assert len(forecast) == 2 * 2 * 12 * 2
    last = forecast[(forecast["sequence"] == 0) & (forecast["row"] == "ours")].iloc[-1]
    assert last["time"] == np.datetime64("1970-01-01") + np.timedelta64(149 + 12, "h")


def test_a_forecast_from_a_single_step_knows_no_times() -> None:
    split = toy_series()
    model = toy_model(split.train)
    heads = judge(split, ours=model).heads
    for length in (1, 2):
        part = Part.whole(toy_series(lengths=(length,)).train.collection)
        told = f"1 of 1 forecast knows fewer steps than the window of 9 \\(the shortest {length}\\)"
        with pytest.warns(TsworkWarning, match=told):
            found = RidgeForecast(SMALL).predict({"ours": [model]}, heads, part, Context(), horizon=2)
        assert found["prediction"].notna().all()
        hours = (found["time"] - pd.Timestamp(0)) / pd.Timedelta(hours=1)
        assert hours.isna().all() if length == 1 else (hours == 1 + found["step"]).all()


def test_heads_are_numbers_that_a_safe_format_holds(tmp_path: Path) -> None:
    from tswork.pipeline.results import load_result, save_result

    split = toy_series()
    result = judge(split, ours=toy_model(split.train))
    save_result(tmp_path, result)
    stored = load_result(tmp_path)
    assert set(stored.heads) == {"ours@h2", "ours@h5", "ours@h12"}
    assert stored.heads["ours@h5"]["weights"].shape == (5, 10)
    for name, arrays in result.heads.items():
        for key, array in arrays.items():
            assert (stored.heads[name][key] == array).all()


def test_too_long_a_forecast_and_other_channels_are_refused() -> None:
    split = toy_series()
    model = toy_model(split.train)
    heads = judge(split, ours=model).heads
    with pytest.raises(DataInvalid, match=r"no head forecasts 13 steps; the longest has 12. Ask for at most 12"):
        RidgeForecast(SMALL).predict({"ours": [model]}, heads, split.test, Context(), horizon=13)
    other = toy_series(targets=1)
    with pytest.raises(
        ModelUnfit, match="ours: it was trained on the channels clock, y0, y1; these data have clock, y0"
    ):
        RidgeForecast(SMALL).predict({"ours": [model]}, heads, other.test, Context())


@pytest.mark.parametrize("horizon", [0, -3])
def test_a_forecast_of_no_steps_is_refused(horizon: int) -> None:
    split = toy_series()
    model = toy_model(split.train)
    heads = judge(split, ours=model).heads
    with pytest.raises(DataInvalid, match=rf"there are no {horizon} steps to forecast. Ask for at least 1."):
        RidgeForecast(SMALL).predict({"ours": [model]}, heads, split.test, Context(), horizon=horizon)


def test_other_targets_are_refused_and_other_columns_where_there_is_no_model() -> None:
    split = toy_series()
    model = toy_model(split.train)
    fewer = Part.whole(split.train.collection.replaced(targets=("y0",)))
    heads = judge(split, ours=model).heads
    with pytest.raises(ModelUnfit, match="ours: it was trained on the targets y0, y1; these data have y0"):
        RidgeForecast(SMALL).predict({"ours": [model]}, heads, fewer, Context())
    protocol = RidgeForecast(SMALL.model_copy(update={"keep_heads": "all"}))
    heads = protocol.evaluate({}, split, Context()).heads
    with pytest.raises(ModelUnfit, match="ridge_lags: it reads 19 numbers and forecasts 24; these data have 11 and 12"):
        protocol.predict({}, heads, fewer, Context())


@pytest.mark.parametrize(
    "option", [{"horizons": (0, 4)}, {"horizons": (-1,)}, {"penalties": (0.0, 1.0)}, {"relative_penalties": (-1.0,)}]
)
def test_horizons_and_penalties_of_nothing_are_refused(option: dict[str, tuple[float, ...]]) -> None:
    with pytest.raises(ValidationError, match="greater than"):
        RidgeForecastConfig(**option)  # type: ignore[arg-type]


def test_a_representation_that_is_not_finite_is_told_by_its_name() -> None:
    split = toy_series()
    model = toy_model(split.train)
    with torch.no_grad():
        next(model.encoder.parameters()).fill_(torch.nan)
    with pytest.raises(ModelUnfit, match="ours: the representation of 246 of 246 windows is not finite"):
        judge(split, ours=model)


def test_horizons_that_do_not_fit_are_refused_all_at_once() -> None:
    split = toy_series(lengths=(60,))
    with pytest.raises(DataInvalid) as refused:
        RidgeForecast(RidgeForecastConfig(horizons=(4, 24), window=9, drop=8)).check(split)
    assert [str(problem) for problem in refused.value.problems] == [
        "train: horizon 24 needs a span of at least 33 steps (the first 8 are left out); the longest has 30."
        " Shorten `horizons`, lower `drop`, or give this part more steps.",
        "validation: horizon 24 needs a span of at least 25 steps; the longest has 15."
        " Shorten `horizons`, or give this part more steps.",
        "test: horizon 24 needs a span of at least 25 steps; the longest has 15."
        " Shorten `horizons`, or give this part more steps.",
    ]


def test_missing_values_and_empty_parts_are_refused() -> None:
    split = toy_series()
    values = split.train.collection.values.clone()
    values[7, 1] = torch.nan
    collection = split.train.collection.replaced(values=values)
    nothing = torch.empty(0, 3, dtype=torch.int64)
    parts = (split.train.spans, nothing, split.test.spans)
    with pytest.raises(DataInvalid, match=r"(?s)validation: the part is empty.*y0: 1 value is missing"):
        RidgeForecast(SMALL).check(Split(*(Part(collection, spans) for spans in parts)))  # type: ignore[arg-type]


def test_a_candidate_that_does_not_beat_the_controls_is_named() -> None:
    split = toy_series()
    result = judge(split, blind=toy_model(split.train, dim=1), random=toy_model(split.train, seed=1))
    assert any(warning.startswith("blind does not beat the control ridge_") for warning in result.warnings)
    roles = result.rows.drop_duplicates("row").set_index("row")["role"]
    assert roles["random"] == roles["persistence"] == "control"
    assert roles["blind"] == "candidate"
    assert roles["blind+lags"] == "combined"


def test_controls_are_combined_with_past_values_only_when_asked() -> None:
    split = toy_series()
    models = {"random": toy_model(split.train, seed=1), "ours": toy_model(split.train)}
    combined = {
        combine: {
            row
            for row in judge(split, SMALL.model_copy(update={"combine": combine}), **models).rows["row"]
            if "+" in row
        }
        for combine in ("none", "candidates", "all")
    }
    assert combined["none"] == set()
    assert combined["candidates"] == {"ours+lags", "ours+relative_lags"}
    assert combined["all"] == combined["candidates"] | {"random+lags", "random+relative_lags"}


def test_a_season_that_cannot_be_known_is_left_out_with_a_reason() -> None:
    split = toy_series(lengths=(120,))
    collection = split.train.collection.replaced(times=None)
    timeless = Split(*(Part(collection, part.spans) for part in (split.train, split.validation, split.test)))  # type: ignore[arg-type]
    result = judge(timeless)
    assert "seasonal_naive" not in set(result.rows["row"])
    assert any("no season follows" in warning for warning in result.warnings)
    long = judge(split, SMALL.model_copy(update={"season": 500}))
    assert any("a season of 500 steps is longer than the 91 steps" in warning for warning in long.warnings)
    assert "seasonal_naive" in set(judge(split).rows["row"])


def test_many_origins_are_drawn_alike_for_all_rows() -> None:
    split = toy_series()
    config = SMALL.model_copy(update={"max_origins": 60})
    one, two = judge(split, config), judge(split, config)
    assert one.rows.equals(two.rows)
    assert one.value("ridge_lags", "mse") != judge(split).value("ridge_lags", "mse")


def test_of_many_test_origins_an_even_selection_is_kept_as_units(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = judge(toy_series())
    monkeypatch.setattr("tswork.protocols.forecast_scores.MAX_UNITS", 20)
    thinned = judge(toy_series())
    assert whole.units is not None
    assert thinned.units is not None
    of_one = thinned.units[(thinned.units["row"] == "persistence") & (thinned.units["at"] == "h2")]
    assert 10 < len(of_one) <= 20
    assert of_one["unit"].diff().dropna().nunique() == 1
    assert thinned.rows.equals(whole.rows)


def test_a_figure_of_forecasts_is_recorded() -> None:
    split, recorder = toy_series(), MemoryRecorder()
    RidgeForecast(SMALL).evaluate({"ours": [toy_model(split.train)]}, split, Context(recorder=recorder))
    assert set(recorder.figures) == {"forecasts"}


def test_the_figure_has_the_best_control_on_past_values_and_the_predictions_do_not() -> None:
    split, recorder = toy_series(lengths=(400,)), MemoryRecorder()
    result = RidgeForecast(SMALL).evaluate({"ours": [toy_model(split.train)]}, split, Context(recorder=recorder))
    assert result.predictions is not None
    assert set(result.predictions["row"]) == {"persistence", "ours"}
    whole = result.rows[(result.rows["metric"] == "mse") & (result.rows["at"] == "")].set_index("row")["value"]
    best = whole[["persistence", "seasonal_naive", "ridge_lags", "ridge_relative_lags"]].idxmin()
    assert best != "persistence", "otherwise this tells nothing"
    figure = recorder.figures["forecasts"]
    assert not isinstance(figure, Path)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["truth", "persistence", best, "ours"]


def test_the_figure_shows_the_whole_test_part_and_not_its_beginning_alone() -> None:
    split, recorder = toy_series(lengths=(800,)), MemoryRecorder()
    config = SMALL.model_copy(update={"keep_every": 4})
    RidgeForecast(config).evaluate({"ours": [toy_model(split.train)]}, split, Context(recorder=recorder))
    figure = recorder.figures["forecasts"]
    assert not isinstance(figure, Path)
    starts = [panel.get_title(loc="right") for panel in figure.axes[::2]]
    hours = [pd.Timestamp(text.removeprefix("from ")).value // 3_600_000_000_000 for text in starts]
    assert len(hours) == 3
    assert hours[0] < 620, "the test part is from step 600 to 800"
    assert hours[-1] > 770


@pytest.mark.real_data
def test_published_rows_of_etth1(data_root: Path) -> None:
    result = judge(electricity(data_root, "ETTh1", ("OT",)), RidgeForecastConfig())
    penalties = result.tables["penalties"].set_index(["row", "horizon"])["penalty"]
    assert result.value("persistence", "mse", "h24") == pytest.approx(0.034315, abs=5e-7)
    assert result.value("persistence", "mse", "h48") == pytest.approx(0.050151, abs=5e-7)
    assert result.value("persistence", "mae", "h24") == pytest.approx(0.139412, abs=5e-7)
    assert result.value("persistence", "mae", "h48") == pytest.approx(0.171103, abs=5e-7)
    assert result.value("persistence", "mse") == pytest.approx(0.0828, abs=5e-5)
    for horizon, mse, mae, penalty in (
        (24, 0.0272, 0.1251, 20),
        (48, 0.0408, 0.1520, 20),
        (168, 0.0711, 0.1970, 50),
        (336, 0.0834, 0.2181, 50),
        (720, 0.1151, 0.2641, 100),
    ):
        assert result.value("ridge_lags", "mse", f"h{horizon}") == pytest.approx(mse, abs=5.1e-5)
        assert result.value("ridge_lags", "mae", f"h{horizon}") == pytest.approx(mae, abs=5.1e-5)
        assert penalties["ridge_lags", horizon] == penalty
    assert result.value("ridge_lags", "mse") == pytest.approx(0.0675, abs=5e-5)
    for horizon, mse in ((24, 0.0262), (48, 0.0390), (168, 0.0660), (336, 0.0801), (720, 0.0794)):
        assert result.value("ridge_relative_lags", "mse", f"h{horizon}") == pytest.approx(mse, abs=5.1e-5)
    assert result.value("ridge_relative_lags", "mse") == pytest.approx(0.0581, abs=5.1e-5)
    assert result.value("ridge_relative_lags", "mae") == pytest.approx(0.1840, abs=5.1e-5)


@pytest.mark.real_data
def test_published_rows_of_etth2(data_root: Path) -> None:
    result = judge(electricity(data_root, "ETTh2", ("OT",)), RidgeForecastConfig())
    assert result.value("persistence", "mse") == pytest.approx(0.3286, abs=1e-4)
    assert result.value("ridge_lags", "mse") == pytest.approx(0.1586, abs=1e-4)
    assert result.value("ridge_relative_lags", "mse") == pytest.approx(0.1524, abs=5e-4)
