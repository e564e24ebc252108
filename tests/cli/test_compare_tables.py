"""The tables of `tswork compare` on narrow screens: nothing is cut, and every row keeps its name."""

from __future__ import annotations

import pytest
from rich.console import Console

from tests.reports.judged import judgement
from tswork.cli.compare import _all_tables
from tswork.reports.compare import compare

FIGURES = {"majority": 0.5, "a_row_with_a_long_name": 0.75, "ts2vec": 0.875}


def printed(width: int) -> list[str]:
    screen = Console(width=width, no_color=True)
    (one,) = compare([judgement(FIGURES)], candidate="ts2vec")
    with screen.capture() as captured:
        for table in _all_tables(one, width):
            screen.print(table)
    return captured.get().splitlines()


@pytest.mark.parametrize("width", [60, 80, 140])
def test_nothing_is_cut_and_all_columns_are_there(width: int) -> None:
    lines = printed(width)
    assert "…" not in "".join(lines)
    assert max(map(len, lines)) <= width
    words = " ".join(lines)
    for head in ("difference", "95 % from", "p (Holm)", "significant", "detectable", "pairs"):
        assert words.count(head) == 1


def test_where_one_table_does_not_fit_the_rows_stand_in_several() -> None:
    names = [sum(line.startswith("a_row_with_a_long_name") for line in printed(width)) for width in (60, 140)]
    assert names[0] > names[1] == 2
