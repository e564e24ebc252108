"""Bugs of what is said to people."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.cli.commands import tswork
from tests.cli.test_data import write_recordings
from tswork.cli.compare import _cell


def test_a_finding_that_names_a_list_keeps_its_brackets(tmp_path: Path) -> None:
    """``Give `groups: [person]` `` was printed without the list, which the terminal took for a colour."""
    write_recordings(tmp_path)
    table = pd.read_csv(tmp_path / "recordings.csv").assign(gesture=lambda one: one["person"].isin(["p0", "p1", "p2"]))
    table.to_csv(tmp_path / "recordings.csv", index=False)
    tswork(tmp_path, "data", "add", "gestures", "recordings.csv", "--label", "gesture")
    card = tmp_path / "data_cards" / "gestures.yaml"
    card.write_text(card.read_text().replace("by: groups", "by: sequences"))
    assert "`groups: [person]`" in " ".join(tswork(tmp_path, "data", "check", "gestures").out.split())


@pytest.mark.parametrize(("figure", "text"), [(-9.252e-18, "0"), (-0.02, "-0.02"), (float("nan"), "-"), (0.0, "0")])
def test_what_rounding_leaves_of_equal_figures_is_nothing(figure: float, text: str) -> None:
    """Two equal rows differed by -9.252e-18."""
    assert _cell(figure) == text
