"""Figures as files."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 120


def write_figure(figure: Figure | Path, path: Path) -> None:
    """A figure, or the PNG of one, as a PNG file."""
    if isinstance(figure, Path):
        path.write_bytes(figure.read_bytes())
    else:
        with warnings.catch_warnings():
            # A class called by a sign that the font lacks (an emoji) stands as a box, which the picture itself shows.
            warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from font")
            figure.savefig(path, format="png", dpi=DPI, bbox_inches="tight", metadata={"Software": None})
