"""Forecasting by ridge regression on frozen representations, beside the forecasts that need none.

Protocol of TS2Vec (AAAI 2022), also used by CoST, SimTS and AutoTCL. At every step t the window of the last 201 steps is
encoded and its last vector predicts the next H values of all targets at once; features and targets lie in the same part,
so the last H steps of a part are no forecast starts, and the first 200 steps of the training part are left out because
their windows are not full. The penalty is chosen on the validation part by RMSE + MAE; nothing is refitted. MSE and MAE
are means over forecast starts, steps and targets on the prepared (scaled) values.

| row | features | predicts |
| --- | --- | --- |
| persistence | | the last value |
| seasonal_naive | | the value one season before |
| ridge_lags | the last 201 values of the targets, the covariates of the last step | values |
| ridge_relative_lags | the same values minus the last one, standardised; no covariates | change from the last value |
| NAME | the representation of model NAME | values (`predict: change`: change) |
| NAME+lags | as ridge_lags, and the representation | values |
| NAME+relative_lags | as ridge_relative_lags, and the representation, standardised | change from the last value |

The last two show what a representation adds to the past values that it was computed from. One penalty for both lets a wide
representation spoil what a few past values say; with several `representation_scales` the representation has a penalty of its
own (that of the row over the square of its scale), chosen on the validation part together with the row's for every horizon,
and a scale of 0 leaves it out.

`select: blocks` chooses penalties and scales on blocks of the training part beside the validation part (`forecast_folds`).

Departures from the reference code: the ridge is solved in float64; origins above `max_origins` are drawn once for all
horizons; a window that begins before its sequence is handled by the encoder as missing steps.

    protocol = RidgeForecast(RidgeForecastConfig(horizons=(24, 48)))
    result = protocol.evaluate({"ts2vec": [model]}, split, Context())
    result.value("ts2vec", "mse", "h24")
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Literal

import pandas as pd
import torch
from pydantic import Field
from torch import Tensor

from tswork import random
from tswork.config import ADDED_LATER, Config, Many
from tswork.context import Context
from tswork.data.collection import Collection, Part, Split
from tswork.data.faults import refuse
from tswork.errors import DataInvalid, ModelUnfit, Problem, TsworkWarning
from tswork.figures.forecasts import example_forecasts
from tswork.methods.model import Model
from tswork.metrics.forecasting import Errors, persistence_steps, seasonal_period, seasonal_steps
from tswork.protocols.base import Heads, Protocol, Result, not_beaten, role_of
from tswork.protocols.forecast_features import Represented, represented
from tswork.protocols.forecast_rows import Head, RidgeRow, Select, fit_horizons
from tswork.protocols.forecast_samples import Origins, Rows, Sample, Series
from tswork.protocols.forecast_scores import Forecaster, Judged, Scores, forecast_frame
from tswork.protocols.kept_forecasts import kept_row
from tswork.registry import register
from tswork.wording import counted, worded

PENALTIES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
RELATIVE_PENALTIES = (0.1, 1.0, 10.0, 100.0, 1e3, 1e4, 1e5)

Penalty = Annotated[float, Field(gt=0)]
"""Without any, values that say the same could not be told apart."""


class RidgeForecastConfig(Config):
    """Options of `ridge_forecast`; the defaults are the published protocol for hourly data."""

    horizons: Many[Annotated[int, Field(ge=1)]] = Field(
        default=(24, 48, 168, 336, 720), min_length=1, description="steps to forecast"
    )
    window: int = Field(default=201, ge=1, description="steps that are encoded, and past values of the lag rows")
    drop: int = Field(default=200, ge=0, description="first steps of each training span that are no forecast start")
    predict: Literal["absolute", "change"] = Field(
        default="absolute", description="what a representation predicts: values, or their change from the last one"
    )
    penalties: Many[Penalty] = Field(default=PENALTIES, min_length=1, description="ridge penalties to choose from")
    relative_penalties: Many[Penalty] = Field(
        default=RELATIVE_PENALTIES, min_length=1, description="penalties of the rows on relative values"
    )
    combine: Literal["none", "candidates", "all"] = Field(
        default="candidates",
        description="which representations are also fitted together with the past values (all: those of controls too)",
    )
    representation_scales: Many[Annotated[float, Field(ge=0)]] = Field(
        default=(1.0,),
        min_length=1,
        description="what a representation is multiplied by beside past values, the best on validation (0: left out)",
    )
    select: Select = Field(
        default="validation",
        json_schema_extra=ADDED_LATER,
        description="penalties and scales are chosen on the validation part (RMSE + MAE), or on five blocks of the training"
        " part, each forecast from the others, and the validation part (squared error)",
    )
    season: int | None = Field(
        default=None,
        ge=1,
        description="steps of a season; none: one day of shorter steps, 7 days, 52 weeks or 12 months",
    )
    max_origins: int = Field(
        default=100_000, ge=1, description="training and validation origins above this number are drawn at random"
    )
    keep_every: int | None = Field(
        default=None, ge=1, description="steps between kept test forecasts; none: the longest horizon"
    )
    keep_heads: Literal["candidates", "all"] = Field(
        default="candidates", description="which fitted rows can forecast new data later (all: a larger result)"
    )


@register("protocol", "ridge_forecast", version=1, config=RidgeForecastConfig)
class RidgeForecast(Protocol[RidgeForecastConfig]):
    """Ridge regression from frozen representations to the next H values, beside forecasts that need none."""

    headline = "mse"
    metrics = Errors._fields
    greater_is_better = False
    unit_kind = "time"

    def check(self, split: Split) -> None:
        """Refuse horizons that do not fit into a part, and missing values. Raises `DataInvalid`."""
        refuse([*self._length_problems(split), *_missing_problems(split.train.collection)])

    def longest_input(self, split: Split) -> int:
        """The window."""
        return self.config.window

    def evaluate(self, candidates: Mapping[str, Sequence[Model]], split: Split, context: Context) -> Result:
        """Judge the last model of each candidate; a figure of examples, with the best control on past values, goes to the recorder.

        Units are forecast starts (`unit`: step inside the sequence `group`). Predictions are those of the candidates and
        of persistence, every `keep_every` steps of the test part.
        """
        self.check(split)
        models = {name: models[-1] for name, models in candidates.items()}
        samples = self.samples({}, split, context)
        test = samples[-1]
        scores = self._scores(test)
        period, told = self._season(test)
        for name, forecaster in _naive_forecasters(period).items():
            for horizon in self.horizons:
                scores.add(name, "control", horizon, forecaster, keep=True)
        encoded = Represented(models, samples, context)
        for row in self.ridge_rows(models):
            scores.take(kept_row(row.name, partial(self._judged, row, encoded), context))
        result = scores.result()
        kept = result.predictions
        if kept is not None and len(kept):
            best = self._best_control(result.rows, set(kept["row"]))
            pictured = _only(kept, result.rows, {"persistence", best})
            context.recorder.figure("forecasts", example_forecasts(pictured, scores.history(), control=best))
        predictions = None if kept is None else _only(kept, result.rows, {"persistence"})
        beaten = not_beaten(result.rows, self.headline, greater_is_better=self.greater_is_better)
        return replace(result, predictions=predictions, warnings=(*told, *beaten))

    def predict(
        self,
        candidates: Mapping[str, Sequence[Model]],
        heads: Heads,
        data: Part,
        context: Context,
        *,
        horizon: int | None = None,
    ) -> pd.DataFrame:
        """Forecasts that continue after the end of every span, by each kept row and by persistence.

        `horizon` (default: the longest) may be any number of steps up to the longest fitted horizon; the head of the
        next longer horizon is used. Columns: row, sequence, origin (last known step), step, time (where the data have
        times), target, prediction. Warns of sequences that are shorter than the window. Raises `DataInvalid` for a longer
        horizon or other channels.
        """
        models = {name: models[-1] for name, models in candidates.items()}
        fitted = sorted({int(key.rpartition("@h")[2]) for key in heads}) or list(self.horizons)
        steps = fitted[-1] if horizon is None else horizon
        if steps < 1:
            raise DataInvalid(
                [Problem(f"there are no {steps} steps to forecast", "horizon", remedy="Ask for at least 1.")]
            )
        if steps > fitted[-1]:
            problem = f"no head forecasts {counted(steps, 'step')}; the longest has {fitted[-1]}"
            remedy = f"Ask for at most {fitted[-1]}, or add {steps} to the protocol's horizons and run again."
            raise DataInvalid([Problem(problem, "horizon", remedy=remedy)])
        _refuse_other_channels(models, data.collection)
        chosen = next(length for length in fitted if length >= steps)
        refuse(_missing_problems(data.collection))
        origins = Origins.at_the_end(data)
        _warn_of_short_histories(origins, self.config.window)
        rows = [row for row in self.ridge_rows(models) if f"{row.name}@h{chosen}" in heads]
        needed = {row.model: models[row.model] for row in rows if row.model is not None}
        sample = self._encoded(needed, data.collection, [origins], context)[0]
        forecasters = {"persistence": _naive_forecasters(None)["persistence"]}
        for row in rows:
            head = _stored_head(row, heads, chosen, context.device)
            _refuse_other_shape(row, head, sample, chosen)
            forecasters[row.name] = fitted_forecaster(row, head)
        every = slice(0, len(origins))
        frames = [
            forecast_frame(
                sample, every, name, steps, forecaster(sample, every, chosen)[:, : steps * sample.series.width]
            )
            for name, forecaster in forecasters.items()
        ]
        return pd.concat(frames, ignore_index=True).drop(columns="horizon")

    def _judged(self, row: RidgeRow, encoded: Represented) -> Judged:
        """A row, fitted and scored at every horizon."""
        train, validation, test = encoded.by(row.model)
        scores = self._scores(test)
        for horizon, head in fit_horizons(row, train, validation, self.horizons, select=self.config.select):
            keep = row.role == "candidate" or row.model is None
            scores.add(row.name, row.role, horizon, fitted_forecaster(row, head), keep=keep)
            scores.penalty(row.name, horizon, head.penalty, head.scale)
            if row.role == "candidate" or self.config.keep_heads == "all":
                scores.keep_head(row.name, horizon, {"weights": head.weights, "intercept": head.intercept})
        return scores.judged()

    def _best_control(self, rows: pd.DataFrame, kept: set[str]) -> str:
        """The control with the best headline of those whose forecasts were kept."""
        whole = rows[(rows["metric"] == self.headline) & (rows["at"] == "") & (rows["role"] == "control")]
        return str(whole[whole["row"].isin(kept)].set_index("row")["value"].idxmin())

    def _scores(self, test: Sample) -> Scores:
        return Scores(test, self.horizons, keep_every=self.config.keep_every or max(self.horizons))

    @property
    def horizons(self) -> tuple[int, ...]:
        """The horizons, the shortest first."""
        return tuple(sorted(set(self.config.horizons)))

    def ridge_rows(self, models: Mapping[str, Model]) -> Iterator[RidgeRow]:
        """The rows of the table in order: the controls on past values, then every model alone and combined."""
        config = self.config
        raw, relative, scales = config.penalties, config.relative_penalties, config.representation_scales
        yield RidgeRow("ridge_lags", "control", raw, lags="raw")
        yield RidgeRow("ridge_relative_lags", "control", relative, lags="relative", change=True, standardise=True)
        for name in models:
            yield RidgeRow(name, role_of(name), raw, name, change=config.predict == "change")
            if config.combine == "all" or (config.combine == "candidates" and role_of(name) == "candidate"):
                yield RidgeRow(f"{name}+lags", "combined", raw, name, "raw", scales=scales)
                yield RidgeRow(f"{name}+relative_lags", "combined", relative, name, "relative", True, True, scales)

    def samples(self, models: Mapping[str, Model], split: Split, context: Context) -> list[Sample]:
        """Training, validation and test origins with the features of all models."""
        least, limit = min(self.horizons), self.config.max_origins
        train = Origins.of(split.train, drop=self.config.drop, least=least)
        validation = Origins.of(split.validation, least=least)
        origins = [
            train.sampled(limit, random.generator(context.seed, "train origins")),
            validation.sampled(limit, random.generator(context.seed, "validation origins")),
            Origins.of(split.test, least=least),
        ]
        return self._encoded(models, split.train.collection, origins, context)

    def _encoded(
        self, models: Mapping[str, Model], collection: Collection, origins: Sequence[Origins], context: Context
    ) -> list[Sample]:
        series = Series(collection, context.device)
        return represented(models, [Sample(one, series, self.config.window) for one in origins], context)

    def _season(self, test: Sample) -> tuple[int | None, tuple[str, ...]]:
        """The period of the seasonal row, or a warning that says why it is left out."""
        step = _step_seconds(test.series.collection)
        period = self.config.season or (seasonal_period(step) if step else None)
        if period is None:
            return None, ("seasonal_naive is left out: no season follows from the data's time step; set `season`",)
        known = int(test.origins.position.min()) + 1
        if period > known:
            reason = f"a season of {counted(period, 'step')} is longer than the {counted(known, 'step')} before the first test forecast"
            return None, (f"seasonal_naive is left out: {reason}",)
        return period, ()

    def _length_problems(self, split: Split) -> Iterator[Problem]:
        for name, part in split.parts.items():
            if not len(part):
                yield Problem("the part is empty; ridge_forecast needs all three", name, remedy="Give `split` a share.")
                continue
            drop = self.config.drop if name == "train" else 0
            longest = int(part.lengths.max())
            for horizon in self.horizons:
                needed = drop + horizon + 1
                if longest < needed:
                    dropped = f" (the first {drop} are left out)" if drop else ""
                    yield Problem(
                        f"horizon {horizon} needs a span of at least {counted(needed, 'step')}{dropped}; the longest has {longest}",
                        name,
                        remedy=f"Shorten `horizons`,{' lower `drop`,' if drop else ''} or give this part more steps.",
                    )


def _warn_of_short_histories(origins: Origins, window: int) -> None:
    """Say how many forecasts know less than heads were fitted on."""
    steps = origins.position + 1
    short = int((steps < window).sum())
    if short:
        text = (
            f"{short} of {counted(len(origins), 'forecast')} {worded(short, 'knows', 'know')} fewer steps than the window of {window}"
            f" (the shortest {int(steps.min())}); past values repeat the first, and an encoder takes what is before as missing"
        )
        warnings.warn(text, TsworkWarning, stacklevel=3)


def _only(forecasts: pd.DataFrame, rows: pd.DataFrame, controls: set[str]) -> pd.DataFrame:
    """The forecasts of the candidates and of some controls."""
    candidates = rows.loc[rows["role"] == "candidate", "row"]
    return forecasts[forecasts["row"].isin({*controls, *candidates})].reset_index(drop=True)


def _naive_forecasters(period: int | None) -> dict[str, Forecaster]:
    def persistence(sample: Sample, rows: Rows, horizon: int) -> Tensor:
        return sample.at(rows, persistence_steps(sample.position(rows), horizon)).flatten(1)

    def seasonal(sample: Sample, rows: Rows, horizon: int) -> Tensor:
        assert period is not None
        return sample.at(rows, seasonal_steps(sample.position(rows), horizon, period=period)).flatten(1)

    return {"persistence": persistence} if period is None else {"persistence": persistence, "seasonal_naive": seasonal}


def fitted_forecaster(row: RidgeRow, head: Head) -> Forecaster:
    """A fitted row as a forecaster of any sample."""
    return lambda sample, rows, horizon: head.forecast(row.features(sample, rows), sample.present(rows))


def _stored_head(row: RidgeRow, heads: Heads, horizon: int, device: torch.device) -> Head:
    arrays = heads[f"{row.name}@h{horizon}"]
    weights, intercept = (torch.as_tensor(arrays[name], dtype=torch.float64) for name in ("weights", "intercept"))
    return Head(weights.to(device), intercept.to(device), row.change, float("nan"))


def _refuse_other_channels(models: Mapping[str, Model], collection: Collection) -> None:
    """Refuse data whose channels or targets are not those that a model was trained on. Raises `ModelUnfit`."""
    for name, model in models.items():
        for what, expected, found in (
            ("channels", model.info.channels, collection.channels),
            ("targets", model.info.targets, collection.targets),
        ):
            if model.info.channels and expected != found:
                told, those = (", ".join(names) or "none" for names in (expected, found))
                raise ModelUnfit(name, f"it was trained on the {what} {told}; these data have {those}")


def _refuse_other_shape(row: RidgeRow, head: Head, sample: Sample, horizon: int) -> None:
    """The same for a row without a model: its head tells how many numbers it reads and gives. Raises `ModelUnfit`."""
    reads, gives = head.weights.shape
    found = (row.features(sample, slice(0, 1)).shape[1], horizon * sample.series.width)
    if (reads, gives) != found:
        reason = f"it reads {reads} numbers and forecasts {gives}; these data have {found[0]} and {found[1]}"
        raise ModelUnfit(row.name, reason, "Give data with the channels and targets of the run.")


def _step_seconds(collection: Collection) -> float | None:
    """Seconds from one step to the next: by the rate, else the most usual difference of the times."""
    if collection.rate:
        return 1 / collection.rate
    if collection.times is None or len(collection.times) < 2:
        return None
    return float(collection.times.diff().median()) / 1e9


def _missing_problems(collection: Collection) -> Iterator[Problem]:
    if collection.values.is_floating_point():
        missing = torch.isnan(collection.values).sum(dim=0).tolist()
        for channel, count in zip(collection.channels, missing, strict=True):
            if count:
                remedy = "Fill them with `missing: interpolate`, or leave the channel out."
                yield Problem(
                    f"{counted(count, 'value is', 'values are')} missing; a ridge needs them all",
                    channel,
                    remedy=remedy,
                )
