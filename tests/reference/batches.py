"""A plain loader: one item at a time, one slice each, padded and stacked."""

from __future__ import annotations

import torch
from torch import Tensor

from tswork.data.collection import Part


def gather(part: Part, spans: Tensor) -> Tensor:
    """`(batch, longest, channel)` of windows (sequence, start, stop), zeros past each length; int16 becomes -1 .. 1."""
    pieces = [part.collection.sequence(int(row))[int(start) : int(stop)] for row, start, stop in spans]
    if pieces[0].dtype == torch.int16:
        pieces = [piece.float() / 32768 for piece in pieces]
    return torch.nn.utils.rnn.pad_sequence(pieces, batch_first=True)
