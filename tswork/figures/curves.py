"""Curves over training steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from tswork.figures.palette import COLOURS, MUTED, TEXT, plain_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEW = 12
SMOOTHED = 25


def training_curves(
    curves: Mapping[str, Sequence[tuple[int, float]]], *, borders: Sequence[int] = (), title: str = ""
) -> Figure:
    """Each curve faintly as recorded and strongly as a running median over at most `SMOOTHED` points and an eighth of them.

    `curves` maps names to (step, value) points, as `MemoryRecorder.curves` gives them. A few points are marked as such, so that
    a single one is seen. At each of `borders` (the first steps of later tasks) stands a dotted line.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    panel = figure.subplots()
    plain_axes(panel)
    notes = ["step"]
    for index, (name, points) in enumerate(curves.items()):
        colour = COLOURS[index % len(COLOURS)]
        step, height = (np.array(column, dtype=float) for column in zip(*points, strict=True))
        half = min(SMOOTHED, len(height) // 8) // 2
        if half:
            notes = ["step", "thin: as recorded", "thick: running median"]
            panel.plot(step, height, color=colour, linewidth=0.7, alpha=0.3)
        mark = "o" if len(step) <= FEW else ""
        smooth = running_median(height, half)
        panel.plot(step, smooth, color=colour, linewidth=1.7, marker=mark, markersize=3.5, label=name)
    for border in borders:
        panel.axvline(border, color=MUTED, linewidth=0.8, linestyle=(0, (1, 2)), zorder=0)
    notes += ["dotted: a new task"] if borders else []
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.set_xlabel("; ".join(notes), color=TEXT)
    panel.set_ylabel("loss", color=TEXT)
    panel.margins(x=0.01)
    panel.set_title(title, fontsize=10, color=TEXT, loc="left")
    if len(curves) > 1:
        figure.legend(loc="outside upper left", ncols=4, frameon=False, fontsize=9)
    return figure


def running_median(values: Float[np.ndarray, "point"], half: int) -> Float[np.ndarray, "point"]:
    """The median of each value with `half` neighbours on both sides; towards the ends with as many as both sides have.

    >>> running_median(np.array([9.0, 3.0, 2.0, 1.0, 0.0]), 2).tolist()
    [9.0, 3.0, 2.0, 1.0, 0.0]
    """
    reach = np.minimum(half, np.minimum(np.arange(len(values)), np.arange(len(values))[::-1]))
    return np.array([np.median(values[at - by : at + by + 1]) for at, by in enumerate(reach)])
