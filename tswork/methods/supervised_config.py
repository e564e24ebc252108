"""The options of the method `supervised`, and which stages each of its modes goes through."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tswork.augment.base import ViewSpec
from tswork.config import ADDED_LATER, Configured, Many, Uses, configure
from tswork.encoders.pooling import Pooling
from tswork.methods.base import MethodConfig
from tswork.methods.contrastive import HeadConfig
from tswork.training.schedules import Schedule

Mode = Literal["ce", "ce_plus_contrast", "contrast_then_probe", "contrast_then_ce"]
Stage = Literal["ce", "joint", "contrast", "probe"]
SamplerName = Literal["uniform", "classes", "lengths"]

STAGES: dict[Mode, tuple[Stage, ...]] = {
    "ce": ("ce",),
    "ce_plus_contrast": ("joint",),
    "contrast_then_probe": ("contrast", "probe"),
    "contrast_then_ce": ("contrast", "ce"),
}


class SupervisedConfig(MethodConfig):
    encoder: Annotated[Configured, Uses("encoder")] = Field(
        default_factory=lambda: configure("encoder", "dilated_conv"), description="what is trained"
    )
    mode: Mode = Field(
        default="ce",
        description="cross entropy; both at once; a stage of contrast and then a linear probe; or that stage and then cross entropy",
    )
    epochs: int | None = Field(default=50, ge=1, description="passes over the training part")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="dropout before the head in training")
    balanced: bool = Field(default=False, description="weigh classes by the inverse of their number")
    pooling: Pooling = Field(default="max", description="from frames to one vector a sequence")
    # What is contrasted
    objective: Annotated[Configured, Uses("labelled_objective")] | None = Field(
        default=None, description="the contrastive loss; none: supervised_contrast", json_schema_extra=ADDED_LATER
    )
    weight: float = Field(
        default=0.5, ge=0, description="ce_plus_contrast: weight of the contrast", json_schema_extra=ADDED_LATER
    )
    ramp: float = Field(
        default=0.0, ge=0, description="epochs in which that weight rises from 0", json_schema_extra=ADDED_LATER
    )
    head: HeadConfig | None = Field(
        default=HeadConfig(hidden=128, dim=128),
        description="projection of what is contrasted; none: embeddings themselves are",
        json_schema_extra=ADDED_LATER,
    )
    contrast_epochs: int | None = Field(
        default=None, ge=1, description="passes of a stage of contrast; none: `epochs`", json_schema_extra=ADDED_LATER
    )
    # What is seen of a sequence
    views: Many[ViewSpec] = Field(
        default=(), description="changes of a sequence in training, in order", json_schema_extra=ADDED_LATER
    )
    views_per_item: Literal[1, 2] = Field(
        default=1, description="how often a sequence is changed and seen in a batch", json_schema_extra=ADDED_LATER
    )
    crop_steps: int | None = Field(
        default=None, ge=1, description="steps of a random crop of longer sequences", json_schema_extra=ADDED_LATER
    )
    crop_seconds: float | None = Field(
        default=None, gt=0, description="the same in seconds", json_schema_extra=ADDED_LATER
    )
    # What makes a batch
    sampler: SamplerName | None = Field(
        default=None,
        description="batches of any sequences, of classes with equally many each, or of similar length;"
        " none: uniform in mode ce, classes in the others",
        json_schema_extra=ADDED_LATER,
    )
    classes_per_batch: int = Field(
        default=8, ge=2, description="classes: how many, reduced to those there are", json_schema_extra=ADDED_LATER
    )
    items_per_class: int = Field(
        default=4, ge=1, description="classes: sequences of each of them", json_schema_extra=ADDED_LATER
    )
    group: str | None = Field(
        default=None,
        description="classes: column from whose different values the sequences of a class come; none: the first of `groups`",
        json_schema_extra=ADDED_LATER,
    )
    groups_per_class: int | None = Field(
        default=None,
        ge=1,
        description="classes: groups that the sequences of a class in a batch come from; none: as many as there are",
        json_schema_extra=ADDED_LATER,
    )
    seconds: float | None = Field(
        default=None,
        gt=0,
        description="lengths: seconds of a batch, padding included; `batch_size` bounds it too",
        json_schema_extra=ADDED_LATER,
    )
    # How it is optimised
    encoder_learning_rate: float | None = Field(
        default=None,
        ge=0,
        description="learning rate of the encoder; 0: it stays as it is, without dropout; none: `learning_rate`",
        json_schema_extra=ADDED_LATER,
    )
    schedule: Schedule = Field(
        default="constant", description="how learning rates fall in a stage", json_schema_extra=ADDED_LATER
    )
    warm_up: float = Field(
        default=0.0, ge=0, lt=1, description="share of a stage in which they rise", json_schema_extra=ADDED_LATER
    )

    @model_validator(mode="after")
    def _fits_together(self) -> SupervisedConfig:
        if self.crop_steps is not None and self.crop_seconds is not None:
            raise ValueError("give `crop_steps` or `crop_seconds`, not both")
        if (self.sampler == "lengths") != (self.seconds is not None):
            raise ValueError("`sampler: lengths` and `seconds` belong together")
        if self.sampler == "lengths" and self.mode != "ce":
            raise ValueError(
                "`sampler: lengths` is for `mode: ce`: sequences of similar length are often of one class, which leaves a"
                " contrast no fair negatives. Use `sampler: classes` with `crop_seconds`."
            )
        if self.drawn == "classes" and self.contrasts and self.items_per_class * self.views_per_item < 2:
            raise ValueError(
                "one sequence of each class seen once leaves nothing to draw together: raise `items_per_class`"
            )
        return self

    @property
    def stages(self) -> tuple[Stage, ...]:
        """What training goes through, one after another."""
        return STAGES[self.mode]

    @property
    def contrasts(self) -> bool:
        """Whether some stage contrasts."""
        return self.mode != "ce"

    @property
    def drawn(self) -> SamplerName:
        """The sampler, where it is not named the one that suits the mode."""
        return self.sampler or ("classes" if self.contrasts else "uniform")
