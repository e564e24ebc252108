"""Judgements as they are read back from MLflow, made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from tswork.metrics.classification import measures
from tswork.tracking.reading import Judgement


def judgement(
    figures: Mapping[str, float],
    *,
    data: str = "waves",
    seed: int = 1,
    iterations: int = 6,
    dim: int = 8,
    heads: tuple[str, ...] = ("svm",),
    split: dict[str, Any] | None = None,
    content: str = "d" * 64,
    metric: str = "accuracy",
    items: int = 40,
    key: str = "",
) -> Judgement:
    """A protocol stage `probe` that judged `ts2vec`: each row has this share of its items right."""
    controls = {"majority", "random", "as_loaded"}
    rows = [(row, "control" if row in controls else "candidate", metric, "", value) for row, value in figures.items()]
    draw = np.random.default_rng(seed)
    units = [
        pd.DataFrame(
            {
                "row": row,
                "at": "",
                "unit": range(items),
                "group": [str(item) for item in range(items)],
                "accuracy": draw.permutation((np.arange(items) < value * items).astype(float)),
            }
        )
        for row, value in figures.items()
    ]
    method = {"uses": "ts2vec", "version": 1, "iterations": iterations, "encoder": {"uses": "dilated_conv", "dim": dim}}
    made = {
        "protocol": {"uses": "probe_classify", "version": 1, "heads": list(heads)},
        "judged": {"ts2vec": method},
        "data": {"reader": {"uses": "arrays"}, "groups": [], "split": split},
        "digest": content,
        "seed": seed,
        "precision": "32-true",
        "world_size": 1,
    }
    frame = pd.DataFrame(rows, columns=["row", "role", "metric", "at", "value"])
    return Judgement("run", "probe", data, key or str(id(frame)), made, frame, pd.concat(units, ignore_index=True))


def forecasts(starts: int = 2161, rows: int = 12, horizons: tuple[int, ...] = (24, 168, 720)) -> Judgement:
    """A protocol stage `forecast` with random errors at every start."""
    draw = np.random.default_rng(0)
    names = ["persistence", "ts2vec", *(f"row{number}" for number in range(rows - 2))]
    units = [
        pd.DataFrame({"row": row, "at": f"h{horizon}", "unit": range(starts), "group": 0, "mse": values, "mae": values})
        for row in names
        for horizon in horizons
        for values in [draw.random(starts) ** 2]
    ]
    figures = [(row, "candidate", metric, "", draw.random()) for row in names for metric in ("mse", "mae")]
    plain = judgement({"ts2vec": 1.0}, key="f" * 64)
    made = {**plain.made, "protocol": {"uses": "ridge_forecast", "version": 1}}
    frame = pd.DataFrame(figures, columns=["row", "role", "metric", "at", "value"])
    return Judgement("run", "forecast", "etth1", plain.key, made, frame, pd.concat(units, ignore_index=True))


def finetuned(
    strengths: Mapping[str, float], *, split: int = 0, seed: int = 1, repeats: int | None = 8, patients: int = 8
) -> Judgement:
    """A protocol stage `tune` on two shares of the labels: the larger a row's strength, the better its scores."""
    shown, units = [], []
    for place, at in enumerate(("100%", "10%")):
        # The rows of one split share its luck, so that they are paired.
        draw = np.random.default_rng([split, seed, place])
        truth = np.arange(3 * patients) // 3 % 2
        names = [f"p{(number // 3 + 5 * split) % 40:02d}" for number in range(3 * patients)]
        luck = draw.normal(size=len(truth))
        for row, strength in strengths.items():
            score = strength / (1 + place) * truth + luck + 0.2 * draw.normal(size=len(truth))
            scores = np.stack([-score, score], axis=1)
            predicted = (score > 0.5).astype(int)
            figures = measures(truth, predicted, scores)
            role = "control" if row in ("random", "from_scratch") else "candidate"
            shown += [(row, role, metric, at, value) for metric, value in figures.items()]
            units.append(
                pd.DataFrame(
                    {
                        "row": row,
                        "at": at,
                        "unit": np.arange(len(truth)),
                        "group": names,
                        "level": names,
                        "truth": truth,
                        "accuracy": (predicted == truth).astype(float),
                        "predicted": predicted,
                        "score/0": scores[:, 0],
                        "score/1": scores[:, 1],
                    }
                )
            )
    rows = pd.DataFrame(shown, columns=["row", "role", "metric", "at", "value"])
    whole = rows.groupby(["row", "role", "metric"], sort=False)["value"].mean().reset_index().assign(at="")
    block = {"by": "groups", "repeats": repeats, "index": split if repeats else None, "seed": 7, "fractions": None}
    made = {
        "protocol": {"uses": "finetune_fraction", "version": 1},
        "judged": {"comet": {"uses": "comet", "version": 1, "encoder": {"uses": "dilated_conv"}}},
        "data": {
            "reader": {"uses": "arrays"},
            "groups": ["patient"],
            "split": {**block, "folds": None, "counts": None},
        },
        "digest": "d" * 64,
        "seed": seed,
        "precision": "32-true",
        "world_size": 1,
    }
    frame = pd.concat([rows, whole], ignore_index=True)
    return Judgement("run", "tune", "eeg", f"{split}/{seed}", made, frame, pd.concat(units, ignore_index=True))
