"""Token sequences in batches: packed like a collection, padded when a batch is gathered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd
import torch
from jaxtyping import Int
from torch import Tensor

from tswork.data.faults import each
from tswork.errors import DataInvalid, Problem
from tswork.text.targets import row_name
from tswork.text.tokenizer import END, PAD, START, Tokenizer
from tswork.wording import counted


class Tokens(NamedTuple):
    """Token numbers with padding behind, and how many of each row are real."""

    ids: Int[Tensor, "batch token"]
    lengths: Int[Tensor, "batch"]

    def inputs(self) -> Int[Tensor, "batch longer"]:
        """What a decoder is told: the start, then the tokens."""
        return torch.cat([torch.full_like(self.lengths, START)[:, None], self.ids], dim=1)

    def targets(self) -> Tokens:
        """What it is to say to `inputs`: the tokens, then the end."""
        longer = torch.cat([self.ids, torch.full_like(self.lengths, PAD)[:, None]], dim=1)
        return Tokens(longer.scatter(1, self.lengths[:, None], END), self.lengths + 1)


@dataclass(frozen=True, eq=False)
class TokenTable:
    """The token sequences of a collection's rows; `at` gives some of them as a batch, by one gather."""

    packed: Int[Tensor, "total"]
    offsets: Int[Tensor, "row_plus_one"]

    @staticmethod
    def of(sequences: Sequence[Sequence[int]]) -> TokenTable:
        """A table of token sequences."""
        lengths = torch.tensor([0, *map(len, sequences)], dtype=torch.int64)
        flat = torch.tensor([number for sequence in sequences for number in sequence], dtype=torch.int64)
        return TokenTable(flat, lengths.cumsum(0))

    @staticmethod
    def encoded(
        tokenizer: Tokenizer, texts: Sequence[str], *, table: pd.DataFrame, longest: int | None = None
    ) -> TokenTable:
        """The tokens of one text a table row.

        Raises `DataInvalid` with every row whose text cannot be encoded, or has more than `longest` tokens.
        """
        names = [row_name(table, row) for row in range(len(table))]
        sequences = tokenizer.encode(texts, names=names)
        long = [row for row, sequence in enumerate(sequences) if longest is not None and len(sequence) > longest]
        if long:
            remedy = "Leave it out, or raise the limit."

            def too_long(row: int) -> Problem:
                message = f"its text has {counted(len(sequences[row]), 'token')}, and at most {longest} are written"
                return Problem(message, path=names[row], remedy=remedy)

            raise DataInvalid(list(each(long, too_long, rest="rows with longer texts")))
        return TokenTable.of(sequences)

    def spread(self, rows_of_mine: Sequence[int], *, rows: int) -> TokenTable:
        """A table of so many rows that has these at the given ones, in rising order, and nothing at the others."""
        lengths = torch.zeros(rows, dtype=torch.int64)
        lengths[torch.tensor([*rows_of_mine], dtype=torch.int64)] = self.offsets.diff()
        return TokenTable(self.packed, torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)]))

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.offsets) - 1

    def to(self, device: torch.device | str) -> TokenTable:
        """The same with its tokens on a device; offsets stay on the host, so that nobody waits for the device to know a length."""
        return TokenTable(self.packed.to(device), self.offsets)

    def at(self, rows: Int[Tensor, "batch"]) -> Tokens:
        """Some rows, numbered on the host, as a batch."""
        device = self.packed.device
        first, lengths = self.offsets[rows], self.offsets[rows + 1] - self.offsets[rows]
        place = torch.arange(int(lengths.max()) if len(rows) else 0)
        real = place < lengths[:, None]
        index = torch.where(real, first[:, None] + place, 0).to(device, non_blocking=True)
        ids = self.packed[index].masked_fill(~real.to(device, non_blocking=True), PAD) if len(self.packed) else index
        return Tokens(ids, lengths.to(device, non_blocking=True))
