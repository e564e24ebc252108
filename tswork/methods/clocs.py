"""CLOCS: neighbouring segments of a recording are views of each other, and all recordings of a patient belong together.

Paper: Kiyasseh et al., "CLOCS: Contrastive Learning of Cardiac Signals Across Space, Time, and Patients", ICML 2021. This is its
contrastive multi-segment coding (CMSC): what is read of a sequence is cut into two halves, which follow one another in time; a
half is to be told from those of other patients by the other half and by those of the same patient (`objectives/clocs.py`).
Vectors are compared as the encoder gives them, without a projection head. The temperature of 0.1 is the published one; batch size, learning
rate (Adam, as AdamW without weight decay) and budget are choices of ours. It is written from the formula; the published code may
not be used commercially.

| option | `variant: paper` | `variant: reference` |
| --- | --- | --- |
| pairs | all: every pair of one patient | later: those whose anchor comes earlier in the batch |

Departures
| published | here |
| --- | --- |
| early stopping | `epochs: 100` |
| leads of one recording as views (CMLC, CMSMLC) | not built |

| data | what happens |
| --- | --- |
| no column of patients, or fewer than two patients in training | refused |
| a sequence whose patient is not known | its other half alone is drawn to it |
| a sequence of one step | refused: it has no halves |
| sequences of unequal length | each is cut at its own middle; an odd last step is left out |
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Int
from pydantic import Field
from torch import Tensor

from tswork.augment.base import View
from tswork.config import PERSONS, VariantConfig
from tswork.context import Context
from tswork.data.batches import Batch
from tswork.data.collection import DataInfo, Part
from tswork.data.faults import refuse
from tswork.encoders.pooling import pooled
from tswork.errors import Problem, did_you_mean
from tswork.methods.base import Update, build_encoder
from tswork.methods.model import Model
from tswork.methods.sequence_contrast import SequenceContrast, SequenceContrastConfig
from tswork.methods.values import value_faults
from tswork.objectives.clocs import Pairs, patient_contrast
from tswork.registry import register
from tswork.training.distributed import gather_with_gradient
from tswork.wording import counted, worded

REFERENCE: dict[str, Any] = {"pairs": "later"}
"""Defaults of `variant: reference` that differ from the paper's."""


class ClocsConfig(SequenceContrastConfig, VariantConfig):
    reference = REFERENCE

    batch_size: int = Field(default=256, ge=1, description="sequences a batch; reduced to the number there are")
    epochs: int | None = Field(default=100, ge=1, description="passes over the training part")
    learning_rate: float = Field(default=1e-4, gt=0, description="learning rate of AdamW")
    weight_decay: float = Field(default=0.0, ge=0, description="decoupled weight decay of AdamW")
    patient: str = Field(
        default="patient",
        description="column of the table that says whose recording a sequence is",
        json_schema_extra=PERSONS,
    )
    window: int | None = Field(
        default=None, ge=1, description="steps of a segment, at a random place; none: the halves of a whole sequence"
    )
    temperature: float = Field(default=0.1, gt=0, description="divides cosines")
    pairs: Pairs = Field(default="all", description="pairs of one patient: all, or with the earlier one as anchor")


@register("method", "clocs", version=1, config=ClocsConfig)
class Clocs(SequenceContrast[ClocsConfig]):
    """Contrast of patients over neighbouring segments (CLOCS, ICML 2021)."""

    def build(self, info: DataInfo, *, generator: torch.Generator) -> Model:
        encoder = build_encoder(self.config.encoder, info, generator=generator)
        return Model(encoder, info, pooling=self.config.pooling)

    @property
    def read_steps(self) -> int | None:
        return None if self.config.window is None else 2 * self.config.window

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.config.patient,)

    def check(self, part: Part) -> None:
        refuse([*_patient_faults(part, self.config.patient), *_length_faults(part), *value_faults(part)])

    def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
        first, second = map(gather_with_gradient, self.views(model, batch, context))
        patient = gather_with_gradient(batch.codes[self.config.patient])
        options = self.config
        loss = patient_contrast(first, second, patient, temperature=options.temperature, pairs=options.pairs)
        yield Update("model", {"loss": loss})

    def views(self, model: Model, batch: Batch, context: Context) -> tuple[Tensor, Tensor]:
        padded = batch.unequal_lengths is not None
        first, second = (
            pooled(model.encoder, half.x, half.lengths if padded else None, pooling=model.pooling)
            for half in halves(batch.x, batch.lengths, padded=padded)
        )
        return first, second


def halves(x: Tensor, lengths: Int[Tensor, "batch"], *, padded: bool) -> tuple[View, View]:
    """The first and the second half of each sequence `(batch, time, channel)`, one behind the other."""
    time, half = x.shape[1] // 2, lengths // 2
    if not padded:
        return View(x[:, :time], half), View(x[:, time : 2 * time], half)
    steps = half[:, None] + torch.arange(time, device=x.device)
    behind = x.gather(1, steps.clamp(max=x.shape[1] - 1)[..., None].expand(-1, -1, x.shape[2]))
    first, second = (View(one, half).changed(one) for one in (x[:, :time], behind))
    return first, second


def _patient_faults(part: Part, column: str) -> Iterator[Problem]:
    table = part.collection.table
    if column not in table.columns:
        known = [str(name) for name in table.columns]
        yield Problem(f"the table has no column {column!r}", path="patient", remedy=did_you_mean(column, known))
        return
    codes = part.codes(column)
    found = torch.unique(codes[codes >= 0]).tolist()
    if len(found) >= 2:
        return
    whose = f"is of one patient ({part.collection.categories(column)[found[0]]})" if found else "has no known patient"
    message = f"every sequence {whose} in the column {column!r}, so that there is nothing to contrast a patient with"
    yield Problem(message, path="train", remedy="Train on at least two patients, or name another column.")


def _length_faults(part: Part) -> Iterator[Problem]:
    short = int((part.lengths < 2).sum())
    if short:
        message = f"{short} of {counted(len(part), 'sequence')} {worded(short, 'has', 'have')} fewer than two steps"
        message = f"{message}, and a sequence is cut into two segments"
        yield Problem(message, path="train", remedy="Leave them out, or cut the data with the preparation `segment`.")
