"""Wide tables in several that fit: the first column is repeated, the others are shared out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

GAP = 2


def column_blocks(heads: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[list[int]]:
    """The columns after the first, shared out so that each block fits into `width` beside the first one."""
    widths = [max(map(len, column)) + GAP for column in zip(heads, *rows, strict=True)]
    blocks: list[list[int]] = [[]]
    for column in range(1, len(heads)):
        if blocks[-1] and widths[0] + sum(widths[one] for one in blocks[-1]) + widths[column] > width:
            blocks.append([])
        blocks[-1].append(column)
    return blocks


def block_table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], block: Sequence[int], styles: Sequence[str] = ()
) -> Table:
    """A table of the first column and those of a block."""
    from rich.table import Table

    chosen = [0, *block]
    table = Table(*(heads[column] for column in chosen), box=None, header_style="bold", pad_edge=False)
    for number, row in enumerate(rows):
        table.add_row(*(row[column] for column in chosen), style=styles[number] if styles else "")
    return table
