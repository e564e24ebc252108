"""A small file in exactly the layout of UCI's ElectricityLoadDiagrams20112014, and what the published loaders make of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

CLIENTS = ("MT_001", "MT_002", "MT_003", "MT_004")
"""The third one begins after 2012-01-07 17:00, too late to stay; the first one on 2012-01-01."""


def quarter_hours(stop: str = "2012-03-01") -> pd.DataFrame:
    """Loads of four clients every 15 minutes from the first quarter hour of 2011 on, stamped at their ends."""
    times = pd.date_range("2011-01-01 00:15:00", stop, freq="15min")
    draw = np.random.default_rng(0)
    day = np.sin(2 * np.pi * (np.arange(len(times)) % 96) / 96)[:, None]
    loads = (draw.gamma(2.0, size=(len(times), len(CLIENTS))) + 2 + day) * np.array([1.0, 30.0, 400.0, 5.0])
    frame = pd.DataFrame(loads.round(9), times, pd.Index(CLIENTS))
    frame.loc[: pd.Timestamp("2012-01-01"), "MT_001"] = 0.0
    frame.loc[: pd.Timestamp("2012-01-07 17:00"), "MT_003"] = 0.0
    return frame


def write_quarter_hours(frame: pd.DataFrame, path: Path) -> None:
    """Semicolons, decimal commas, quoted names and stamps, no name for the stamps, lines that end as on Windows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = ";".join(f'"{name}"' for name in ("", *frame.columns))
    stamps = pd.DatetimeIndex(frame.index).strftime("%Y-%m-%d %H:%M:%S")
    rows = (
        f'"{stamp}";' + ";".join(f"{load:.15g}" for load in row).replace(".", ",")
        for stamp, row in zip(stamps, frame.to_numpy().tolist(), strict=True)
    )
    path.write_bytes("".join(f"{line}\r\n" for line in (head, *rows)).encode())


def published_hours(frame: pd.DataFrame) -> pd.DataFrame:
    """Hours as TS2Vec prepares them: summed, without clients that are all zero up to row 8920, from 2012 on."""
    hours = frame.resample("1h", closed="right").sum()
    return hours.loc[:, hours.cumsum(axis=0).iloc[8920] != 0].loc["2012":]
