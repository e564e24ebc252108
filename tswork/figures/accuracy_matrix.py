"""What a model knows of each task after each of them: the accuracy matrix as a heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from tswork.figures.palette import MUTED, TEXT, heat_map_legend

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NUMBERED = 20
"""With more tasks than this the cells carry no numbers, and not every task its own."""


def accuracy_map(matrix: Float[np.ndarray, "task task"], *, title: str = "") -> Figure:
    """Rows are times and columns tasks; what is missing (NaN) stays empty, as all right of the diagonal does."""
    from matplotlib.figure import Figure

    tasks = len(matrix)
    shown = np.where(np.tril(np.ones_like(matrix, dtype=bool)), 100 * matrix, np.nan)
    size = float(np.clip(1.6 + 0.46 * tasks, 3.2, 10.0))
    figure = Figure(figsize=(size + 0.9, size), layout="constrained")
    panel = figure.subplots()
    image = panel.imshow(shown, cmap="Blues", vmin=0.0, vmax=100.0)
    ticks = range(0, tasks, max(1, -(-tasks // NUMBERED)))
    names = [str(task + 1) for task in ticks]
    panel.set_xticks(ticks, names)
    panel.set_yticks(ticks, names)
    panel.tick_params(length=0, labelsize=8, labelcolor=TEXT)
    panel.set_xlabel("judged on task", color=TEXT)
    panel.set_ylabel("after task", color=TEXT)
    for side, spine in panel.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(MUTED)
    if tasks <= NUMBERED:
        for (line, column), percent in np.ndenumerate(shown):
            if not np.isnan(percent):
                colour = "white" if percent > 55 else TEXT
                panel.text(column, line, f"{percent:.0f}", ha="center", va="center", fontsize=8, color=colour)
    heat_map_legend(panel, image, label="accuracy in percent", title=title)
    return figure
