"""How alike classes are: a heat map of the cosines of their centroids."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tswork.figures.palette import MUTED, TEXT, heat_map_legend, literal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NUMBERED = 18
"""With more classes than this the cells carry no numbers."""


def similarity_map(table: pd.DataFrame, *, title: str = "") -> Figure:
    """`table` has columns one, other, cosine, all ordered pairs; blue is alike, red opposite."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(table["one"].astype(str)))
    cosine = table["cosine"].to_numpy().reshape(len(names), len(names))
    size = float(np.clip(1.6 + 0.42 * len(names), 3.2, 12.0))
    figure = Figure(figsize=(size + 0.9, size), layout="constrained")
    panel = figure.subplots()
    image = panel.imshow(cosine, cmap="RdBu", vmin=-1.0, vmax=1.0)
    shown = list(map(literal, names))
    panel.set_xticks(range(len(names)), shown, rotation=90 if max(map(len, names)) * len(names) > 40 else 0)
    panel.set_yticks(range(len(names)), shown)
    panel.tick_params(length=0, labelsize=8, labelcolor=TEXT)
    for spine in panel.spines.values():
        spine.set_color(MUTED)
    if len(names) <= NUMBERED:
        for (line, column), value in np.ndenumerate(cosine):
            colour = "white" if abs(value) > 0.7 else TEXT
            panel.text(
                column, line, f"{value:.1f}".replace("-0.0", "0.0"), ha="center", va="center", fontsize=7, color=colour
            )
    heat_map_legend(panel, image, label="cosine of the centroids", title=title)
    return figure
