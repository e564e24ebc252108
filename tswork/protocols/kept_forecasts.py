"""Rows of a forecast table that outlive an interruption of their protocol, as files and back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from tswork.context import Context
from tswork.protocols.forecast_scores import Judged
from tswork.protocols.stored_heads import load_heads, save_heads

FRAMES = ("figures", "units", "forecasts", "penalties")
HEADS = "heads.safetensors"


def kept_row(row: str, judge: Callable[[], Judged], context: Context) -> Judged:
    """What `judge` finds of a row; where the context has kept it, nothing is encoded or fitted again."""
    key = {"row": row, "seed": context.seed}
    return context.kept(key, lambda _: judge(), write=write_judged, read=read_judged)


def write_judged(folder: Path, judged: Judged) -> None:
    """Frames as Parquet, heads as safetensors."""
    for name in FRAMES:
        frame: pd.DataFrame | None = getattr(judged, name)
        if frame is not None:
            frame.to_parquet(folder / f"{name}.parquet", index=False)
    save_heads(folder / HEADS, judged.heads)


def read_judged(folder: Path) -> Judged:
    """What `write_judged` wrote."""
    files = {name: folder / f"{name}.parquet" for name in FRAMES}
    frames = {name: pd.read_parquet(file) for name, file in files.items() if file.exists()}
    return Judged(
        frames["figures"], frames["units"], frames.get("forecasts"), frames["penalties"], load_heads(folder / HEADS)
    )
