"""Judgements as they are read back from MLflow, made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

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
    controls = {"majority", "random"}
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
