"""Options of `finetune_fraction`, and the recipes that follow from them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tswork.config import Config, Many
from tswork.encoders.pooling import Pooling
from tswork.protocols.classifier_heads import HeadName
from tswork.protocols.fine_tuning import Mask, Recipe
from tswork.protocols.plain_features import Features
from tswork.wording import counted, worded

Rate = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class ScratchConfig(Config):
    """What is good for fine-tuning is not good for training from random weights."""

    learning_rate: float = Field(
        default=1e-3, gt=0, description="learning rate of AdamW; `learning_rates` overrides it"
    )
    epochs: Many[Count] | None = Field(
        default=None, min_length=1, description="passes over the labelled items, as for the candidates; none: theirs"
    )


class FinetuneFractionConfig(Config):
    """Options of `finetune_fraction`; the defaults are the paper's."""

    fractions: Many[Annotated[float, Field(gt=0, le=1)]] = Field(
        default=(1.0, 0.1, 0.01), min_length=1, description="shares of the training labels"
    )
    by: Literal["segments", "groups"] = Field(
        default="segments", description="segments: items are drawn; groups: whole groups (patients) are"
    )
    group: str | None = Field(
        default=None, description="column of the groups that are drawn; none: what all `groups` tie together"
    )
    stratify: bool = Field(default=False, description="draw the same share of every class")
    train: Literal["all", "head"] = Field(
        default="all", description="all: encoder and head; head: the encoder is frozen"
    )
    head: HeadName = Field(
        default="layers",
        description="layers: two layers and one softmax; published: squashed twice, dropout on its outputs",
    )
    hidden: int = Field(default=128, ge=1, description="width between the two layers of the head")
    pooling: Pooling = Field(default="max", description="how frames become one vector")
    mask: Mask = Field(default="none", description="steps hidden from the encoder in training; binomial: half of them")
    epochs: Many[Count] = Field(
        default=(50, 100, 100),
        min_length=1,
        description="passes over the labelled items, one a fraction, or one for all",
    )
    patience: int | None = Field(
        default=None, ge=1, description="stop after so many epochs without a better validation macro-F1; none: never"
    )
    batch_size: int = Field(default=128, ge=1, description="items a batch; reduced to the number there are")
    learning_rate: float = Field(default=1e-4, gt=0, description="learning rate of AdamW")
    learning_rates: Many[Rate] | None = Field(
        default=None,
        min_length=1,
        description="rates tried for every row and fraction, from_scratch among them; the best on the validation part is taken",
    )
    weight_decay: float = Field(default=0.01, ge=0, description="decoupled weight decay of AdamW")
    scratch: ScratchConfig | None = Field(
        default=ScratchConfig(), description="the control trained from random weights; none: left out"
    )
    features: Features = Field(
        default="statistics",
        description="control of plain features; band_powers (EEG), beat_statistics (ECG) and mfcc_statistics (sound) need"
        " the data's rate",
    )

    @model_validator(mode="after")
    def _one_for_each(self) -> FinetuneFractionConfig:
        lists = {"epochs": self.epochs, "scratch.epochs": self.scratch.epochs if self.scratch else None}
        for name, given in lists.items():
            if "epochs" not in self.model_fields_set and name == "epochs":
                continue  # the default serves any number of fractions
            if given is not None and len(given) not in (1, len(self.fractions)):
                has = f"{name} has {counted(len(given), 'entry', 'entries')}"
                count = len(self.fractions)
                raise ValueError(f"{has}, and there {worded(count, 'is', 'are')} {counted(count, 'fraction')}")
        if len(set(map(share, self.fractions))) < len(self.fractions):
            raise ValueError("a fraction is named twice")
        if self.train == "head" and self.mask != "none":
            raise ValueError("a frozen encoder embeds every item once, so no mask can be drawn: give `train: all`")
        return self

    def recipes(self, position: int, *, scratch: bool = False) -> tuple[Recipe, ...]:
        """How networks of the fraction at this position are trained: one recipe for each learning rate that is tried."""
        own = self.scratch if scratch else None
        rate = self.learning_rate if own is None else own.learning_rate
        epochs = self.epochs if own is None or own.epochs is None else own.epochs
        return tuple(
            Recipe(
                learning_rate=one,
                epochs=epochs[min(position, len(epochs) - 1)],
                batch_size=self.batch_size,
                weight_decay=self.weight_decay,
                patience=self.patience,
                head=self.head,
                hidden=self.hidden,
                pooling=self.pooling,
                mask=self.mask,
            )
            for one in self.learning_rates or (rate,)
        )


def share(fraction: float) -> str:
    """A fraction as rows name it: `100%`, `10%`, `0.5%`."""
    return f"{100 * fraction:.6g}%"
