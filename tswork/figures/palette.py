"""The colours, axes and names of all figures: readable in print, on screens and by the colour-blind."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5195", "#8C6D31")
"""Okabe and Ito's colours, darkest first, and two more."""
TEXT = "#222222"
MUTED = "#8A8A8A"


def literal(name: str) -> str:
    """A name of the data as it is written: matplotlib takes what stands between two dollar signs for a formula."""
    return name.replace("$", r"\$")


def plain_axes(axes: Axes) -> None:
    """Left and bottom spines and a faint horizontal grid."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(MUTED)
    axes.tick_params(colors=TEXT, labelsize=8, color=MUTED)
    axes.grid(axis="y", color="#E6E6E6", linewidth=0.6)
    axes.set_axisbelow(True)


def heat_map_legend(axes: Axes, image: AxesImage, *, label: str, title: str) -> None:
    """What the shades of a heat map mean, in a bar beside it, and its title, if it has one."""
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.8, pad=0.03)
    bar.set_label(label, color=TEXT, fontsize=8)
    bar.ax.tick_params(labelsize=8, length=0, labelcolor=TEXT)
    bar.outline.set_visible(False)
    if title:
        axes.set_title(title, fontsize=10, color=TEXT, loc="left")
