"""A tree of joins: which classes or places lie nearest together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from tswork.figures.palette import COLOURS, MUTED, TEXT, literal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAF = 0.19
"""Inches for each name."""
HIGHEST = 60.0


def dendrogram(
    joins: Float[np.ndarray, "join 4"],
    names: Sequence[str],
    *,
    title: str = "",
    classes: Mapping[str, str] | None = None,
) -> Figure:
    """The names on the right, the joins at their heights towards the left.

    `joins` as `tswork.metrics.linkage.average_linkage` gives them. `classes` colours each name by its class (a place by its
    region).
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from scipy.cluster.hierarchy import dendrogram as laid_out

    height = float(np.clip(0.9 + LEAF * len(names), 1.8, HIGHEST))
    figure = Figure(figsize=(6.0, height), layout="constrained")
    panel = figure.subplots()
    tree = laid_out(joins, labels=list(names), no_plot=True)
    for places, heights in zip(tree["icoord"], tree["dcoord"], strict=True):
        panel.plot(heights, [(place - 5) / 10 for place in places], color=COLOURS[0], linewidth=1.2)
    panel.set_yticks(range(len(names)), list(map(literal, tree["ivl"])))
    panel.yaxis.tick_right()
    panel.set_ylim(-0.7, len(names) - 0.3)
    panel.set_xlim(1.03 * float(joins[:, 2].max()) or 1.0, 0.0)
    panel.tick_params(length=0, labelsize=8, labelcolor=TEXT)
    if classes is not None:
        known = sorted(set(classes.values()))
        colours = {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(known)}
        for label, name in zip(panel.get_yticklabels(), tree["ivl"], strict=True):
            label.set_color(colours[classes[name]])
        marks = [
            Line2D([], [], color=colour, marker="s", linestyle="", label=literal(name))
            for name, colour in colours.items()
        ]
        if len(known) <= len(COLOURS):  # with more of them a colour stands for several
            figure.legend(handles=marks, loc="outside lower left", ncols=4, frameon=False, fontsize=8)
    for side in ("top", "left", "right"):
        panel.spines[side].set_visible(False)
    panel.spines["bottom"].set_color(MUTED)
    panel.set_xlabel("mean distance of the members joined", color=TEXT)
    if title:
        panel.set_title(title, fontsize=10, color=TEXT, loc="left")
    return figure
