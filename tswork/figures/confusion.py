"""The confusion matrix of one row of a classification table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tswork.figures.palette import MUTED, TEXT, heat_map_legend, literal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NUMBERED = 20
"""With more classes than this the cells carry no numbers and not every class its name."""


def confusion_matrix(table: pd.DataFrame, *, title: str = "") -> Figure:
    """Shares of each true class as shades, counts as numbers.

    `table` has columns truth, predicted, count, classes in their order, one line a pair.
    """
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(table["truth"].astype(str)))
    counts = table["count"].to_numpy().reshape(len(names), len(names))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = float(np.clip(1.6 + 0.46 * len(names), 3.2, 10.0))
    figure = Figure(figsize=(size + 0.9, size), layout="constrained")
    panel = figure.subplots()
    image = panel.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    every = max(1, -(-len(names) // (2 * NUMBERED)))
    ticks = range(0, len(names), every)
    shown = list(map(literal, names[::every]))
    crowded = max(map(len, names)) * len(names) > 40
    panel.set_xticks(ticks, shown, rotation=90 if crowded else 0)
    panel.set_yticks(ticks, shown)
    panel.tick_params(length=0, labelsize=8, labelcolor=TEXT)
    panel.set_xlabel("predicted", color=TEXT)
    panel.set_ylabel("true", color=TEXT)
    for spine in panel.spines.values():
        spine.set_color(MUTED)
    if len(names) <= NUMBERED:
        for (line, column), count in np.ndenumerate(counts):
            if count:
                colour = "white" if shares[line, column] > 0.55 else TEXT
                panel.text(column, line, str(count), ha="center", va="center", fontsize=8, color=colour)
    heat_map_legend(panel, image, label="share of the true class", title=title)
    return figure
