"""All ridge fits of a forecast table: time of every row, and the ratio to one scikit-learn refit a penalty.

    TSWORK_DATA=... python -m benchmarks.ridge [--set ETTh1] [--multivariate] [--combine all] [--no-refits]

Features are those of two untrained `dilated_conv` encoders (dim 320): one as the control, one as the judged model. Their
encoding is told apart; what is timed is fits, choice of penalties on validation and errors on test, all horizons.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from tests.protocols.electricity import electricity
from tests.reference.ridge import fit_and_choose
from tswork.context import Context
from tswork.data.collection import DataInfo, Split
from tswork.encoders.dilated_conv import DilatedConv, DilatedConvConfig
from tswork.methods.model import Model
from tswork.protocols.forecast_rows import RidgeRow, fit_horizons
from tswork.protocols.forecast_samples import Sample
from tswork.protocols.forecast_scores import Scores
from tswork.protocols.ridge_forecast import RidgeForecast, RidgeForecastConfig, fitted_forecaster
from tswork.random import seeded

LOADS = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", default="ETTh1", choices=["ETTh1", "ETTh2"])
    parser.add_argument("--multivariate", action="store_true")
    parser.add_argument("--combine", default="candidates", choices=["none", "candidates", "all"])
    parser.add_argument("--no-refits", action="store_true", help="leave the scikit-learn refits out")
    options = parser.parse_args()
    targets = (*LOADS, "OT") if options.multivariate else ("OT",)
    split = electricity(Path(os.environ["TSWORK_DATA"]), options.set, targets)
    protocol = RidgeForecast(RidgeForecastConfig(combine=options.combine))
    models = {name: untrained(split, seed) for seed, name in enumerate(("random", "model"))}
    print(f"{options.set}, {len(targets)} targets, {torch.get_num_threads()} threads")
    with timed("features of both models"):
        train, validation, test = protocol.samples(models, split, Context())
    with timed("all fits"):
        for row in protocol.ridge_rows(models):
            with timed(f"  {row.name}"):
                mse = judge(row, train, validation, test, protocol.horizons)
            print(f"{'':26} mean MSE {mse:.4f}")
    if not options.no_refits:
        for row in protocol.ridge_rows(models):
            if row.name in ("ridge_lags", "model"):
                compare(row, train, validation, test, protocol.horizons)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


def untrained(split: Split, seed: int) -> Model:
    info = DataInfo.of(split.train)
    with seeded(seed):
        return Model(DilatedConv(DilatedConvConfig(), info), info)


def judge(row: RidgeRow, train: Sample, validation: Sample, test: Sample, horizons: tuple[int, ...]) -> float:
    scores = Scores(test, horizons, keep_every=max(horizons))
    for horizon, head in fit_horizons(row, train, validation, horizons):
        scores.add(row.name, row.role, horizon, fitted_forecaster(row, head), keep=False)
    return scores.result().value(row.name, "mse")


def compare(row: RidgeRow, train: Sample, validation: Sample, test: Sample, horizons: tuple[int, ...]) -> None:
    """The same row by refits, in the same process, right after another run of ours."""
    started = time.process_time()
    judge(row, train, validation, test, horizons)
    ours = time.process_time() - started
    started = time.process_time()
    for horizon in horizons:
        pairs = [
            (row.features(sample, rows).numpy(), row.outputs(sample, rows, horizon).numpy())
            for sample in (train, validation)
            for rows in [slice(0, sample.count(horizon))]
        ]
        _, model = fit_and_choose(pairs[0], pairs[1], row.penalties)
        model.predict(row.features(test, slice(0, test.count(horizon))).numpy())
    refits = time.process_time() - started
    print(f"{row.name}: refits {refits:.2f} s, ours {ours:.2f} s, ratio {refits / ours:.1f} (CPU time)")


@contextmanager
def timed(what: str) -> Iterator[None]:
    started, work = time.perf_counter(), time.process_time()
    yield
    seconds, work = time.perf_counter() - started, time.process_time() - work
    print(f"{what:26} {seconds:7.2f} s, {work:7.2f} s of CPU time")


if __name__ == "__main__":
    main()
