"""Every target becomes a sequence of its own: clients of one utility, stocks of one market, sensors of one kind.

The covariates go with each of them, so a sequence holds the covariates and one channel `value`. A forecast then never mixes
targets, and one model learns from all of them. `standardize` with `per: recording` scales every one by itself.

The table has a row for each sequence and target: the sequence's own columns, the target's name in `channel`, and in `recording` the
sequence it comes from, so that a split by groups keeps the channels of one recording together.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int, Shaped
from torch import Tensor

from tswork.config import NoOptions
from tswork.data.collection import Affine, Collection
from tswork.data.leaks import CHANNEL, ORIGIN
from tswork.data.prepare.base import Preparation
from tswork.data.prepare.pieces import names_and_origins
from tswork.data.prepare.requirements import positions
from tswork.errors import DataInvalid, Problem
from tswork.registry import register

VALUE = "value"
"""What the one target of every sequence is called."""


@register("preparation", "channels_to_sequences", version=1, config=NoOptions)
class ChannelsToSequences(Preparation[NoOptions]):
    """Makes a sequence of every target channel, each with all covariates."""

    def apply(self, collection: Collection) -> Collection:
        if VALUE in (collection.channels[place] for place in collection.covariate_index):
            text = f"'channels_to_sequences' calls every target {VALUE!r}, and the data have a covariate of that name"
            remedy = f"Call it otherwise with `columns: {{NAME: {VALUE}}}`."
            raise DataInvalid([Problem(text, "data.prepare", remedy=remedy)])
        targets = torch.tensor(collection.target_index)
        covariates = torch.tensor(collection.covariate_index, dtype=torch.int64)
        table = _table(collection, [collection.channels[place] for place in targets.tolist()])
        row = torch.arange(len(collection)).repeat_interleave(len(targets))
        target = targets.repeat(len(collection))
        lengths = collection.lengths[row]
        source = positions(collection.offsets[row], lengths)
        return collection.replaced(
            values=_values(collection.values, source, covariates, target.repeat_interleave(lengths)),
            offsets=torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)]),
            times=collection.times[source] if collection.times is not None else None,
            table=table,
            channels=(*(collection.channels[place] for place in covariates.tolist()), VALUE),
            targets=(VALUE,),
            affine=_affine(collection, row, covariates, target),
        )


def _values(
    values: Shaped[Tensor, "time channel"],
    source: Int[Tensor, "new"],
    covariates: Int[Tensor, "covariate"],
    target: Int[Tensor, "new"],
) -> Shaped[Tensor, "new wider"]:
    """The covariates at these steps and the one target of each, filled column by column: nothing larger than the result is built."""
    found = values.new_empty(len(source), len(covariates) + 1)
    for place, channel in enumerate(covariates.tolist()):
        found[:, place] = values[:, channel][source]
    found[:, -1] = values[source, target]
    return found


def _table(collection: Collection, names: list[str]) -> pd.DataFrame:
    """One row a sequence and target; a single sequence gives its targets' names as ids, several put their own before them."""
    table = collection.table
    if CHANNEL in table.columns:
        text = f"'channels_to_sequences' writes a column {CHANNEL!r}, and the table has one already"
        remedy = f"Call it otherwise with `columns: {{NAME: {CHANNEL}}}`."
        raise DataInvalid([Problem(text, "data.prepare", remedy=remedy)])
    own, origin = names_and_origins(table)
    repeated = table.assign(**{ORIGIN: origin}).iloc[np.repeat(np.arange(len(table)), len(names))]
    channel = pd.Series(names * len(table), dtype=str)
    prefix = own.repeat(len(names)).reset_index(drop=True) + "/" if len(table) > 1 else ""
    return repeated.reset_index(drop=True).assign(id=prefix + channel, **{CHANNEL: channel})


def _affine(
    collection: Collection,
    row: Int[Tensor, "sequence"],
    covariates: Int[Tensor, "covariate"],
    target: Int[Tensor, "sequence"],
) -> Affine | None:
    """The way back of each new sequence: that of the covariates, and that of its target."""
    affine = collection.affine
    if affine is None:
        return None
    source = row if len(affine.scale) > 1 else torch.zeros_like(row)
    scale, offset = (
        torch.cat([whole[source][:, covariates], whole[source, target][:, None]], dim=1)
        for whole in (affine.scale, affine.offset)
    )
    return Affine(scale, offset)
