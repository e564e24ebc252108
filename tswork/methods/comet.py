"""COMET: medical series contrasted at four levels at once: observations, samples, trials and patients.

Paper: Wang et al., "Contrast Everything: A Hierarchical Contrastive Framework for Medical Time-Series", NeurIPS 2023. Reference
code: github.com/DL4mHealth/COMET at a769779 (MIT), read for its behaviour, written anew.

A sample is a window of a trial (one recording), and a trial is of a patient. Two views of each sample differ by dropout on the
encoder's frames and, for the levels of steps, by spans that are hidden from it. Patients and trials attract their samples,
samples and observations their twins (`tswork.objectives.comet`); the loss is the weighted sum of the levels. There is no projection
head, no queue and no second encoder. AdamW at 1e-4, batches of 256 made of whole trials (`tswork.data.trial_blocks`), 100 epochs.
Names of trials may begin anew with every patient: a trial is a pair of both. A patient or trial without a name is nobody's
positive. The published encoder is `dilated_conv` as it is (638,208 parameters for 16 channels, 8,189 steps wide); a small one for a
look at data is `encoder: {uses: dilated_conv, dim: 64, hidden: 32, depth: 5}` (52,256, and 253 steps).

Levels with equal masks share their two views, and a view that hides nothing costs one pass for all: three passes of the encoder a
step in place of eight. A level of weight 0 costs nothing. `dropout` stands in for the one that an encoder ends with.

Defaults follow the paper, with the repairs below; `variant: reference` has the defaults of the released code, which gave the
published tables. Each line is an option of its own, and one that is written down overrides its default.
| option | `variant: paper` | `variant: reference` |
| --- | --- | --- |
| `weigh_groups` | true: weights of patient and trial level weigh | false: they only switch a level on or off |
| `similarity` | `flattened`: cosine of whole representations | `time`: each latent channel normalised over time before |
| `pairs` | `all`: order of the batch does not matter | `later`: a positive comes later in the batch than its anchor |
| `epochs` | 100 | 99: its counter begins at 1 |
| `average_from` | 0.25: the mean of weights leaves out the first quarter of the steps | 0: it has all, the initial ones too |
| `fixed_batches` | false: batches are drawn anew every epoch | true: drawn once |
| `whole_trials` | true: a batch ends where a trial does | false: at 256, mostly inside a trial |
| `share_views` | true | false: every level draws views of its own |

In several processes trial, patient and sample levels compare the samples of all; observations are of one sample each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Int
from pydantic import Field, model_validator
from torch import Tensor

from tswork.augment.mask import CHANNEL_MASKS, ChannelMask, Mask
from tswork.config import PERSONS, Configured, Uses, VariantConfig, configure
from tswork.context import Context
from tswork.data.batches import Batch, Batches
from tswork.data.collection import DataInfo, Part
from tswork.data.faults import refuse
from tswork.data.trial_blocks import Shuffle, TrialBlocks
from tswork.encoders.pooling import Pooling, pool
from tswork.errors import DataInvalid, ModelUnfit, Problem
from tswork.methods.base import (
    Averaging,
    Method,
    MethodConfig,
    Update,
    build_encoder,
    has_company,
    sequence_batches,
    shared_batch_size,
    steps_by_size,
)
from tswork.methods.model import Model
from tswork.methods.patients_and_trials import Groups, check_batches, group_faults, groups_of, pair_codes
from tswork.methods.values import value_faults
from tswork.methods.view_pairs import Pair, Views
from tswork.objectives.comet import (
    Similarity,
    contrast_groups,
    mean_over_scales,
    observation_contrast,
    sample_contrast,
)
from tswork.registry import register
from tswork.training.distributed import gather_with_gradient
from tswork.wording import counted

GROUP_LEVELS = ("patient", "trial")
STEP_LEVELS = ("sample", "observation")

REFERENCE: dict[str, Any] = {
    "weigh_groups": False,
    "similarity": "time",
    "pairs": "later",
    "epochs": 99,
    "average_from": 0.0,
    "fixed_batches": True,
    "whole_trials": False,
    "share_views": False,
}
"""Defaults of `variant: reference` that differ from the paper's."""


class COMETConfig(MethodConfig, VariantConfig):
    reference = REFERENCE

    encoder: Annotated[Configured, Uses("encoder")] = Field(
        default_factory=lambda: configure("encoder", "dilated_conv"), description="what is trained"
    )
    batch_size: int = Field(default=256, ge=1, description="samples a batch; reduced to the number there are")
    epochs: int | None = Field(default=100, ge=1, description="passes over the training part")
    learning_rate: float = Field(default=1e-4, gt=0, description="learning rate of AdamW")
    averaging: Averaging = Field(default="mean", description="weights that are judged: the last, or a mean of all")
    average_from: float = Field(
        default=0.25, ge=0, lt=1, description="share of the steps whose weights the mean leaves out"
    )
    patient: str = Field(
        default="patient", description="column of the table that names the patient", json_schema_extra=PERSONS
    )
    trial: str = Field(default="trial", description="column that names the trial; unique within its patient is enough")
    patient_weight: float = Field(default=0.25, ge=0, description="weight of the patient level; 0: none")
    trial_weight: float = Field(default=0.25, ge=0, description="weight of the trial level; 0: none")
    sample_weight: float = Field(default=0.25, ge=0, description="weight of the sample level; 0: none")
    observation_weight: float = Field(default=0.25, ge=0, description="weight of the observation level; 0: none")
    weigh_groups: bool = Field(
        default=True, description="whether weights of patient and trial level weigh; false: they count as 1 unless 0"
    )
    temperature: float = Field(default=0.1, gt=0, description="divides cosines at patient and trial level")
    similarity: Similarity = Field(
        default="flattened",
        description="patient and trial level: cosine of whole representations, of maxima over time, or of channels over time",
    )
    pairs: Literal["all", "later"] = Field(
        default="all", description="positives of an anchor: all of its group, or those later in the batch"
    )
    group_mask: Mask | ChannelMask = Field(
        default="all_true", description="what is hidden from views of patient and trial level"
    )
    step_mask: Mask | ChannelMask = Field(
        default="continuous", description="what is hidden from views of sample and observation level"
    )
    share_views: bool = Field(default=True, description="whether levels with equal masks share their two views")
    dropout: float = Field(
        default=0.1, ge=0, lt=1, description="dropout on the frames of a view, in place of the encoder's last"
    )
    shuffle: Shuffle = Field(default="trial", description="how samples are ordered before batches are cut")
    whole_trials: bool = Field(default=True, description="`shuffle: trial`: batches end where a trial does")
    fixed_batches: bool = Field(default=False, description="batches hold the same samples in every epoch")
    group_size: int = Field(default=2, ge=1, description="`shuffle: group`: samples of a patient that stay together")
    pooling: Pooling = Field(default="max", description="from frames to one vector a sample")

    @model_validator(mode="after")
    def _some_level(self) -> COMETConfig:
        if not any(self.weight(level) for level in (*GROUP_LEVELS, *STEP_LEVELS)):
            raise ValueError("give one of the four levels a weight above 0")
        return self

    def weight(self, level: str) -> float:
        """The weight of a level as it is written."""
        return float(getattr(self, f"{level}_weight"))

    def mask(self, level: str) -> Mask | ChannelMask:
        """What is hidden from the views of a level."""
        return self.group_mask if level in GROUP_LEVELS else self.step_mask


@register("method", "comet", version=1, config=COMETConfig)
class COMET(Method[COMETConfig]):
    """Contrast over observations, samples, trials and patients of medical series (COMET, NeurIPS 2023)."""

    def __init__(self, config: COMETConfig) -> None:
        super().__init__(config)
        self._groups = [level for level in GROUP_LEVELS if config.weight(level)]
        self._steps = [level for level in STEP_LEVELS if config.weight(level)]
        self._levels = self._groups + self._steps

    def build(self, info: DataInfo, *, generator: torch.Generator) -> Model:
        encoder = build_encoder(self.config.encoder, info, generator=generator)
        masks = [self.config.mask(level) for level in self._levels]
        single = [mask for mask in masks if mask in CHANNEL_MASKS]
        if single and encoder.latent_dim is None:
            reason = f"it cannot hide single channels of what it projects, as the mask {single[0]!r} would"
            raise ModelUnfit(self.config.encoder.name, reason, "Use `dilated_conv`, or a mask of whole steps.")
        return Model(encoder, info, pooling=self.config.pooling)

    def average_after(self, steps: int) -> int:
        return int(self.config.average_from * steps)

    # Batches

    def check(self, part: Part) -> None:
        refuse([*group_faults(self._known(part, self._groups)), *value_faults(part)])

    def _known(self, part: Part, levels: Sequence[str]) -> dict[str, Int[Tensor, "sample"]]:
        """The codes of a part's samples at some levels of groups. Raises `DataInvalid` without their columns."""
        columns = self._columns()
        groups = groups_of(part, patient=columns.get("patient"), trial=columns.get("trial"))
        return {level: codes for level, codes in groups._asdict().items() if level in levels}

    def batches(self, model: Model, part: Part, context: Context) -> Batches:
        config, columns = self.config, self._columns()
        groups = Groups(**self._known(part, GROUP_LEVELS))
        self._check_lengths(model, part, context)
        sampler = TrialBlocks(
            groups.trial,
            groups.patient,
            batch_size=shared_batch_size(config.batch_size, len(part), context),
            seed=context.seed,
            shuffle=config.shuffle,
            whole_trials=config.whole_trials,
            fixed=config.fixed_batches,
            group_size=config.group_size,
            multiple=context.world_size,
        )
        batches = sequence_batches(
            part,
            encoder=model.encoder,
            context=context,
            batch_size=config.batch_size,
            sampler=sampler,
            columns=tuple(columns[level] for level in columns if self._groups),
        )
        if self._steps != ["observation"] and not has_company(batches):
            message = "no batch has two samples, so that there is nothing to contrast one with"
            raise DataInvalid([Problem(message, path="train", remedy="Raise `batch_size`, or train on more data.")])
        check_batches(batches, {level: codes for level, codes in groups._asdict().items() if level in self._groups})
        return batches

    def _columns(self) -> dict[str, str]:
        """The columns that levels or batches need."""
        of_trials = "trial" in self._groups or self.config.shuffle in ("trial", "batch")
        of_patients = of_trials or bool(self._groups) or self.config.shuffle == "group"
        patient = {"patient": self.config.patient} if of_patients else {}
        return {**patient, "trial": self.config.trial} if of_trials else patient

    def _check_lengths(self, model: Model, part: Part, context: Context) -> None:
        """Refuse samples whose lengths leave nothing to contrast."""
        faults = []
        longest, shortest = (int(one) if len(part) else 0 for one in (part.lengths.max(), part.lengths.min()))
        if "observation" in self._steps and longest <= model.encoder.stride:
            message = f"the longest sample has {counted(longest, 'step')}, one frame"
            message = f"{message}, and observations of a sample are contrasted with each other"
            faults.append(Problem(message, path="train", remedy="Use longer samples, or set `observation_weight: 0`."))
        if context.world_size > 1 and longest != shortest:
            message = f"samples of {shortest} to {longest} steps cannot be compared over {context.world_size} processes"
            remedy = "Cut the data with the preparation `segment`, or train in one process."
            faults.append(Problem(message, path="train", remedy=remedy))
        refuse(faults)

    def default_steps(self, part: Part, batches: Batches) -> int:
        return steps_by_size(part)

    # Steps

    def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
        config, pairs = self.config, self._pairs(model, batch, context, self._levels, purpose="views")
        losses: dict[str, Tensor] = {}
        for level, codes in self._codes(batch).items():
            losses[level] = contrast_groups(
                pairs[level].cosines(config.similarity),
                gather_with_gradient(codes),
                temperature=config.temperature,
                variant="paper" if config.pairs == "all" else "reference",
            )
        if "sample" in self._steps:
            losses["sample"] = mean_over_scales(sample_contrast, pairs["sample"].scales_of_all)
        if "observation" in self._steps:
            losses["observation"] = mean_over_scales(observation_contrast, pairs["observation"].scales)
        yield Update("model", {level: self._weight(level) * loss for level, loss in losses.items()})

    def _weight(self, level: str) -> float:
        weighs = self.config.weigh_groups or level in STEP_LEVELS
        return self.config.weight(level) if weighs else 1.0

    def _codes(self, batch: Batch) -> dict[str, Int[Tensor, "batch"]]:
        """The groups of a batch's samples at each of the levels of groups."""
        if not self._groups:
            return {}
        patient = batch.codes[self.config.patient]
        trial = pair_codes(patient, batch.codes[self.config.trial]) if "trial" in self._groups else patient
        return {level: codes for level, codes in Groups(patient, trial)._asdict().items() if level in self._groups}

    def _pairs(
        self, model: Model, batch: Batch, context: Context, levels: Sequence[str], *, purpose: str
    ) -> dict[str, Pair]:
        """The two views of each level; levels share them where they may."""
        views = Views(model, batch, dropout=self.config.dropout)
        shared: dict[str, Pair] = {}
        pairs: dict[str, Pair] = {}
        for level in levels:
            mask = self.config.mask(level)
            name = mask if self.config.share_views else level
            if name not in shared:
                shared[name] = views.pair(mask, generator=context.own_generator(f"{purpose}/{name}"))
            pairs[level] = shared[name]
        return pairs

    def views(self, model: Model, batch: Batch, context: Context) -> tuple[Tensor, Tensor]:
        level = self._levels[-1]
        pair = self._pairs(model, batch, context, [level], purpose="panel")[level]
        return pool(pair.first, "max"), pool(pair.second, "max")

    def health(self, model: Model, batch: Batch, context: Context) -> Mapping[str, Tensor]:
        """The share of a batch's samples that have a positive at each of the levels of groups."""
        alike = {level: (codes[:, None] == codes) & (codes >= 0) for level, codes in self._codes(batch).items()}
        return {f"{level}_anchors": (found.sum(dim=1) > 1).float().mean() for level, found in alike.items()}
