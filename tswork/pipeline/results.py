"""The result of a protocol as files of its entry, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from tswork.protocols.base import Protocol, Result
from tswork.protocols.stored_heads import load_heads, save_heads


def save_result(folder: Path, result: Result) -> None:
    """rows, units, predictions as Parquet, heads as safetensors, warnings as JSON."""
    result.rows.to_parquet(folder / "rows.parquet", index=False)
    for name, frame in (("units", result.units), ("predictions", result.predictions)):
        if frame is not None:
            frame.to_parquet(folder / f"{name}.parquet", index=False)
    save_heads(folder / "heads.safetensors", result.heads)
    (folder / "warnings.json").write_text(json.dumps(list(result.warnings)))


def load_result(folder: Path) -> Result:
    """The result that `save_result` wrote; its tables are among the entry's records."""
    return Result(
        rows=pd.read_parquet(folder / "rows.parquet"),
        units=_frame(folder / "units.parquet"),
        predictions=_frame(folder / "predictions.parquet"),
        warnings=tuple(json.loads((folder / "warnings.json").read_text())),
        heads=load_heads(folder / "heads.safetensors"),
    )


def metrics_of(
    stage: str, result: Result, protocol: type[Protocol[Any]], needs: tuple[str, ...]
) -> Mapping[str, float]:
    """`<stage>/<row>/<metric>[@at]`, and the headline `<stage>/<metric>` of the first stage that was judged."""
    metrics = {}
    for row, metric, at, value in result.rows[["row", "metric", "at", "value"]].itertuples(index=False):
        metrics[f"{stage}/{row}/{metric}" + (f"@{at}" if at else "")] = float(value)
    headline = f"{stage}/{needs[0]}/{protocol.headline}"
    if headline in metrics:
        metrics[f"{stage}/{protocol.headline}"] = metrics[headline]
    return metrics


def _frame(path: Path) -> pd.DataFrame | None:
    return pd.read_parquet(path) if path.exists() else None
