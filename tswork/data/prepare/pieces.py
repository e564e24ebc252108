"""What preparations share that cut sequences into pieces or fill them up: rows of the table, names, and missing steps."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int
from torch import Tensor

from tswork.data.collection import Collection
from tswork.data.leaks import ORIGIN
from tswork.data.prepare.requirements import positions, spacing_of
from tswork.errors import DataInvalid, Problem


def names_and_origins(table: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """A name for each sequence (its id where ids are unique, else its number), and the recording that it is or comes from."""
    names = pd.Series(np.arange(len(table))).astype(str)
    if "id" in table.columns and table["id"].notna().all() and not table["id"].duplicated().any():
        names = table["id"].astype(str)
    # Recordings that were pieces themselves stay with the other pieces of theirs.
    return names, table[ORIGIN].where(table[ORIGIN].notna(), names) if ORIGIN in table.columns else names


def piece_table(
    collection: Collection, row: Int[Tensor, "piece"], number: Int[Tensor, "piece"], *, column: str | None, step: str
) -> pd.DataFrame:
    """The sequence's row for each piece, with an id of its own (`ID/0`, `ID/1`, ...) and the recording it was cut from.

    `column` also receives the id, so that pieces of a piece remember it. Raises `DataInvalid` when the table has it already.
    """
    table = collection.table
    if column is not None and column in table.columns:
        text = f"{step!r} writes a column {column!r}, and the table has one already"
        remedy = f"Name another one, or call that of the table otherwise with `columns: {{NAME: {column}}}`."
        raise DataInvalid([Problem(text, "data.prepare", remedy=remedy)])
    names, origin = names_and_origins(table)
    pieces = table.assign(**{ORIGIN: origin}).iloc[row.numpy()].reset_index(drop=True)
    ids = names.iloc[row.numpy()].reset_index(drop=True) + "/" + pd.Series(number.numpy()).astype(str)
    return pieces.assign(id=ids, **({column: ids} if column is not None else {}))


def filled_up(collection: Collection, lengths: Int[Tensor, "sequence"], *, step: str) -> Collection:
    """Every sequence filled up to a length, which is not below its own, with missing values (silence in sound); its time goes on."""
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    place = positions(offsets[:-1], collection.lengths)
    floating = collection.values.is_floating_point()
    values = collection.values.new_full((int(offsets[-1]), len(collection.channels)), torch.nan if floating else 0)
    values[place] = collection.values
    times = None
    if collection.times is not None:
        passed = positions(torch.zeros_like(lengths), lengths) * spacing_of(collection, step)
        times = collection.times[collection.offsets[:-1]].repeat_interleave(lengths) + passed
    return collection.replaced(values=values, offsets=offsets, times=times)
