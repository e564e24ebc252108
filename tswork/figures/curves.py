"""Curves over training steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tswork.figures.palette import COLOURS, MUTED, TEXT, plain_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEW = 12
SMOOTHED = 25


def training_curves(curves: Mapping[str, Sequence[tuple[int, float]]], *, title: str = "") -> Figure:
    """Each curve faintly as recorded and strongly as a running median over at most `SMOOTHED` points and an eighth of them.

    `curves` maps names to (step, value) points, as `MemoryRecorder.curves` gives them. A few points are marked as such, so that
    a single one is seen.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    panel = figure.subplots()
    plain_axes(panel)
    smoothed = False
    for index, (name, points) in enumerate(curves.items()):
        colour = COLOURS[index % len(COLOURS)]
        step, height = (np.array(column, dtype=float) for column in zip(*points, strict=True))
        width = min(SMOOTHED, len(height) // 8) // 2 * 2 + 1
        padded = np.pad(height, width // 2, mode="reflect")
        smooth = np.median(np.lib.stride_tricks.sliding_window_view(padded, width), axis=1)
        if width > 1:
            smoothed = True
            panel.plot(step, height, color=colour, linewidth=0.7, alpha=0.3)
        mark = "o" if len(step) <= FEW else ""
        panel.plot(step, smooth, color=colour, linewidth=1.7, marker=mark, markersize=3.5, label=name)
    panel.set_xlabel("step", color=TEXT)
    panel.set_ylabel("loss", color=TEXT)
    panel.margins(x=0.01)
    panel.set_title(title, fontsize=10, color=TEXT, loc="left")
    if smoothed:
        panel.set_title("thin: as recorded; thick: running median", fontsize=8, color=MUTED, loc="right")
    if len(curves) > 1:
        figure.legend(loc="outside upper left", ncols=4, frameon=False, fontsize=9)
    return figure
