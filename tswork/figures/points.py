"""Points in a plane, one an item: a picture of a space of embeddings, or of places on a map.

With more classes than colours the marks change too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from tswork.figures.palette import COLOURS, MUTED, TEXT, literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKS = "osv^D"
KEPT_INSIDE = 0.02
NAMED = 40
"""With more places than this the map carries no names."""
WIDTH = 3.5
"""Inches for each of the two panels of a map."""


def embedding_picture(
    points: Float[np.ndarray, "item 2"],
    classes: Sequence[str],
    *,
    title: str = "",
    axes: tuple[str, str] = ("", ""),
) -> Figure:
    """One point an item, coloured by its class, both axes on one scale; axes without a name carry no numbers."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 5.2), layout="constrained")
    panel = figure.subplots()
    _bare(panel)
    _classes(panel, points, np.asarray(classes, dtype=object), size=max(6.0, 30.0 - len(points) / 60))
    panel.set_aspect("equal", adjustable="datalim")
    panel.set_xlabel(axes[0], color=TEXT)
    panel.set_ylabel(axes[1], color=TEXT)
    if not any(axes):
        panel.set_xticks([])
        panel.set_yticks([])
    panel.set_title(title, fontsize=10, color=TEXT, loc="left")
    _legend(figure, len(set(classes)))
    return figure


def place_map(
    degrees: Float[np.ndarray, "place 2"],
    classes: Sequence[str],
    component: Float[np.ndarray, "place"],
    *,
    title: str = "",
    names: Sequence[str] = (),
) -> Figure:
    """Places by latitude and longitude: on the left by class, on the right by what varies most between them in the space.

    A degree of longitude is drawn as long as it is at the mean latitude. There is no map below: only the places themselves, with
    their `names` where they are few.
    """
    from matplotlib.figure import Figure

    points = degrees[:, ::-1]
    stretch = 1 / max(0.1, float(np.cos(np.radians(degrees[:, 0].mean()))))
    north, east = np.ptp(degrees, axis=0)
    height = float(np.clip(1.2 + WIDTH * stretch * north / max(east, 1e-3), 2.6, 6.5))
    figure = Figure(figsize=(2.6 * WIDTH, height), layout="compressed")
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    _classes(left, points, np.asarray(classes, dtype=object), size=34.0)
    reach = float(np.abs(component).max()) or 1.0
    shades = right.scatter(
        points[:, 0], points[:, 1], c=component, cmap="RdBu", vmin=-reach, vmax=reach, s=34, edgecolors=MUTED, lw=0.4
    )
    for panel, what in ((left, "by class"), (right, "by first principal component")):
        _bare(panel)
        panel.set_aspect(stretch)
        panel.tick_params(labelsize=8, labelcolor=TEXT, color=MUTED)
        panel.set_title(f"{title}: {what}" if title else what, fontsize=9, color=TEXT, loc="left")
        panel.set_xlabel("degrees east", color=TEXT, fontsize=8)
    left.set_ylabel("degrees north", color=TEXT, fontsize=8)
    bar = figure.colorbar(shades, ax=right, shrink=0.7, pad=0.02)
    bar.ax.tick_params(labelsize=8, length=0, labelcolor=TEXT)
    bar.outline.set_visible(False)
    for name, point in zip(names, points, strict=True) if 0 < len(names) <= NAMED else ():
        left.annotate(
            literal(name), (point[0], point[1]), xytext=(4, 3), textcoords="offset points", fontsize=7, color=TEXT
        )
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=4, frameon=False, fontsize=8)
    return figure


def look(classes: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Name, colour and mark of each class, sorted by name."""
    for number, name in enumerate(sorted(set(classes))):
        yield name, COLOURS[number % len(COLOURS)], MARKS[number // len(COLOURS) % len(MARKS)]


def _classes(panel: Axes, points: np.ndarray, classes: np.ndarray, *, size: float) -> None:
    for name, colour, mark in look(list(classes)):
        chosen = points[classes == name]
        panel.scatter(
            chosen[:, 0], chosen[:, 1], s=size, color=colour, marker=mark, alpha=0.75, linewidths=0, label=literal(name)
        )


def _bare(panel: Axes) -> None:
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        panel.spines[side].set_color(MUTED)
    panel.tick_params(labelsize=8, labelcolor=TEXT, color=MUTED)
    panel.margins(KEPT_INSIDE + 0.02)


def _legend(figure: Figure, classes: int) -> None:
    handles, labels = figure.axes[0].get_legend_handles_labels()
    columns = 1 + (classes - 1) // 20
    figure.legend(handles, labels, loc="outside right upper", ncols=columns, frameon=False, fontsize=8)
