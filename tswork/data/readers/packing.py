"""Recordings, or pieces of them, one after another in one tensor; what the store keeps decoded stays there where it can."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Shaped

from tswork.data.backends import INT16_SCALE
from tswork.data.collection import Collection
from tswork.data.joined import Runs, free_room, open_runs
from tswork.data.readers.agreement import Common
from tswork.data.readers.decoders.base import Recording
from tswork.data.spec import DataOptions
from tswork.store import Store


def piece_of(recording: Recording, common: Common, start: int, stop: int) -> Recording:
    """A piece of a recording with the common channels, in their order."""
    values = recording.values[start:stop]
    if recording.channels != common.channels:
        values = values[:, [recording.channels.index(name) for name in common.channels]]
    times = recording.times[start:stop] if recording.times is not None else None
    kept = (recording.kept[0], recording.kept[1] + start) if recording.kept is not None else None
    return Recording(values, common.channels, common.rate, times, kept=kept)


def packed(
    pieces: Sequence[Recording], table: pd.DataFrame, common: Common, options: DataOptions, store: Store
) -> Collection:
    """All pieces one after another; what the store keeps stays there where it can."""
    times = [piece.times for piece in pieces if piece.times is not None]
    return Collection(
        values=_values(pieces, store),
        offsets=torch.from_numpy(np.cumsum([0, *(len(piece.values) for piece in pieces)])),
        table=table,
        channels=common.channels,
        times=torch.from_numpy(np.concatenate(times)) if times else None,
        rate=common.rate,
        targets=tuple(options.target),
        name=options.name,
    )


def _values(pieces: Sequence[Recording], store: Store) -> Shaped[torch.Tensor, "total_time channel"]:
    """The values of all pieces; sound beside other values becomes numbers between -1 and 1."""
    kept = [(*piece.kept, len(piece.values)) for piece in pieces if piece.kept is not None]
    if len(kept) == len(pieces):
        runs = Runs.of((key, start, start + length) for key, start, length in kept)
        return open_runs(runs, store, budget=free_room())
    mixed = len({piece.values.dtype for piece in pieces}) > 1
    values = [
        piece.values * np.float32(INT16_SCALE) if mixed and piece.values.dtype == np.int16 else piece.values
        for piece in pieces
    ]
    return torch.from_numpy(np.concatenate(values))
