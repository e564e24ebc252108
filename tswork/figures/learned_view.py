"""What a learned augmentation makes of a series: the series and its view, the mask and the transform."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from tswork.figures.palette import COLOURS, MUTED, TEXT, plain_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHANNELS = 4


def learned_view(
    x: Float[np.ndarray, "time channel"],
    view: Float[np.ndarray, "time channel"],
    h: Float[np.ndarray, "time channel"],
    g: Float[np.ndarray, "time channel"],
    channels: Sequence[str],
) -> Figure:
    """A column for each of the last channels, at most `CHANNELS` (targets stand last): x and view, h, and g over time."""
    from matplotlib.figure import Figure

    shown = list(range(len(channels)))[-CHANNELS:]
    figure = Figure(figsize=(3.2 + 3.6 * len(shown), 5.2), layout="constrained")
    ratios = {"height_ratios": [3, 1, 1]}
    panels = figure.subplots(3, len(shown), squeeze=False, sharex=True, sharey="row", gridspec_kw=ratios)
    steps = np.arange(len(x))
    for column, channel in enumerate(shown):
        top, middle, bottom = panels[:, column]
        for panel in (top, middle, bottom):
            plain_axes(panel)
            panel.margins(x=0.01)
        top.plot(steps, view[:, channel], color=COLOURS[1], linewidth=1.0, alpha=0.8, label="view g h x")
        top.plot(steps, x[:, channel], color=TEXT, linewidth=1.1, label="series x")
        top.set_title(channels[channel], fontsize=10, color=TEXT)
        middle.fill_between(steps, h[:, channel], step="mid", color=COLOURS[0], alpha=0.6, linewidth=0)
        middle.set_ylim(-0.05, 1.05)
        bottom.axhline(1, color=MUTED, linewidth=0.8)
        bottom.plot(steps, g[:, channel], color=COLOURS[2], linewidth=1.4)
        bottom.set_xlabel("step", color=TEXT)
    for panel, label in zip(panels[:, 0], ("value", "mask h", "transform g"), strict=True):
        panel.set_ylabel(label, color=TEXT)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=2, frameon=False, fontsize=9)
    return figure
