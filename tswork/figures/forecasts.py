"""Example forecasts: what was known, what came, and what each row said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jaxtyping import Int

from tswork.figures.palette import COLOURS, MUTED, TEXT, plain_axes
from tswork.wording import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def example_forecasts(
    predictions: pd.DataFrame,
    history: pd.DataFrame | None = None,
    *,
    control: str = "",
    horizon: int | None = None,
    examples: int = 3,
    targets: int = 3,
) -> Figure:
    """A panel for each of some origins (downwards) and targets (across), from the tables of `ridge_forecast`.

    `predictions` has columns row, horizon, sequence, origin, step, target, truth, prediction, and time where the data have times;
    `history` has sequence, origin, step (0 is the origin), target, value. `horizon` defaults to the middle one. The row
    `persistence` is drawn dashed and grey, and so, dotted, is another `control`. Raises `ValueError` when the horizon has no forecasts.
    """
    from matplotlib.figure import Figure

    horizons = sorted(predictions["horizon"].unique())
    chosen = horizons[(len(horizons) - 1) // 2] if horizon is None else horizon
    shown = predictions[predictions["horizon"] == chosen]
    if shown.empty:
        raise ValueError(f"no forecasts with horizon {chosen}; there are {', '.join(map(str, horizons))}")
    origins = _spread(shown[["sequence", "origin"]].drop_duplicates(), history, examples)
    every = list(shown["target"].unique())
    names = every[:targets]
    found = list(shown["row"].unique())
    rows = sorted(found, key=lambda row: (row != "persistence", row != control, found.index(row)))
    figure = Figure(figsize=(3.4 + 3.8 * len(names), 0.9 + 1.75 * len(origins)), layout="constrained")
    panels = figure.subplots(len(origins), len(names), squeeze=False, sharex=True)
    for line, (sequence, origin) in enumerate(origins):
        for column, target in enumerate(names):
            mask = (shown["sequence"] == sequence) & (shown["origin"] == origin) & (shown["target"] == target)
            past = None
            if history is not None:
                past = history[(history["sequence"] == sequence) & (history["origin"] == origin)]
                past = past[past["target"] == target]
            panel = panels[line, column]
            _draw(panel, shown[mask], past, rows, control=control, reach=int(chosen))
            panel.set_ylabel(str(target) if len(names) == 1 else "" if column else "original unit", color=TEXT)
            if line == 0 and len(names) > 1:
                panel.set_title(str(target), fontsize=10, color=TEXT)
            where = _start(shown[mask], origin)
            where = where if predictions["sequence"].nunique() == 1 else f"{sequence}, {where}"
            panel.set_title(where, fontsize=8, color=MUTED, loc="right", pad=2)
    for panel in panels[-1]:
        panel.set_xlabel("steps after the last known one", color=TEXT)
    of = f", {len(names)} of {counted(len(every), 'target')}" if len(names) < len(every) else ""
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper left", ncols=min(len(labels), 5), frameon=False, fontsize=9,
        title=f"Forecasts of {counted(chosen, 'step')}{of}", title_fontsize=10, alignment="left",
    )  # fmt: skip
    return figure


def _start(forecast: pd.DataFrame, origin: int) -> str:
    """Where a forecast starts: the time of its first step, or the last known step where there are no times."""
    if "time" not in forecast or not len(forecast):
        return f"from step {origin}"
    first = pd.Timestamp(forecast["time"].iloc[0])
    return f"from {first:%Y-%m-%d}" if first == first.normalize() else f"from {first:%Y-%m-%d %H:%M}"


def _draw(
    panel: Axes, shown: pd.DataFrame, past: pd.DataFrame | None, rows: list[str], *, control: str, reach: int
) -> None:
    plain_axes(panel)
    truth = shown[shown["row"] == rows[0]]
    step, value = truth["step"].to_numpy(), truth["truth"].to_numpy()
    if past is not None and len(past):
        known = past[past["step"] > -reach]
        step = np.concatenate([known["step"].to_numpy(), step])
        value = np.concatenate([known["value"].to_numpy(), value])
    panel.ticklabel_format(axis="y", useOffset=False)
    panel.axvline(0, color=MUTED, linewidth=0.8)
    panel.plot(step, value, color=TEXT, linewidth=1.1, label="truth")
    colours, dashes = iter(COLOURS), {control: (0, (1, 1)), "persistence": (0, (4, 2))}
    for row in rows:
        of_row = shown[shown["row"] == row]
        style = {"color": MUTED, "linestyle": dashes[row]} if row in dashes else {"color": next(colours)}
        panel.plot(of_row["step"], of_row["prediction"], linewidth=1.6, label=row, **style)
    panel.margins(x=0.01)


def spread_evenly(count: int, most: int) -> Int[np.ndarray, "chosen"]:
    """Positions of at most so many of `count` things, from the first to the last.

    >>> spread_evenly(9, 3).tolist()
    [0, 4, 8]
    """
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int))


def _spread(origins: pd.DataFrame, history: pd.DataFrame | None, examples: int) -> list[tuple[int, int]]:
    """Evenly spread origins, of those with a history where there is one."""
    if history is not None and len(history):
        known = origins.merge(history[["sequence", "origin"]].drop_duplicates(), on=["sequence", "origin"])
        origins = known if len(known) else origins
    chosen = origins.iloc[spread_evenly(len(origins), examples)]
    return [(int(sequence), int(origin)) for sequence, origin in chosen.itertuples(index=False)]
