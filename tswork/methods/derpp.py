"""DER++: replay, and the logits of old samples stay what they were when they came into the memory.

Buzzega et al., "Dark Experience for General Continual Learning: a Strong, Simple Baseline", NeurIPS 2020. From the second task on the
loss is `CE(new) + alpha * MSE(logits of the memory, kept logits) + beta * CE(memory)`, with alpha `logits_weight` and beta
`memory_weight`; `memory_weight: none` is one cross entropy over the batch, as `er` has it. With that and `logits_weight: 0` it is `er`,
to the last bit.

| | paper and released code (`aimagelab/mammoth`) | here |
| --- | --- | --- |
| memory's terms | of two draws of the memory, beside new samples: three passes | of the old samples of the one batch: one pass |
| old samples in a step | as many as new ones, twice | in proportion, or `from_memory` |
| memory | a reservoir, filled in every step | filled after each task: a reservoir, or another `selection` |
| kept logits | of the step in which a sample came in, at any time of its task | of the model after the task that brought it |
| of which view | of the changed sample, in training mode | of the sample as it is, in evaluation mode |
| logits of a text | none | told the truth; the `top` largest of a token, over which the error is the mean |
| alpha, beta | searched; released for CIFAR-100 with 500 samples: 0.3, 0.5 | these, unverified for sound and text |

Kept logits are of exactly the samples in the memory and go with them when they leave it. They are in the checkpoints. With
`merge_dropout`, which cuts texts anew in every epoch, they would stand at other tokens: that is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor

from tswork.augment.base import View
from tswork.context import Context
from tswork.data.batches import Batch
from tswork.data.collection import Part
from tswork.data.rehearsal import MEMORY_ROW
from tswork.methods.answers import Heard
from tswork.methods.er import ErConfig, Rehearsal
from tswork.methods.kept_logits import KeptLogits
from tswork.methods.model import Model, label_column
from tswork.methods.teacher import in_batches
from tswork.registry import register


class DerppConfig(ErConfig):
    selection: Literal["random", "nearest_to_mean", "herding", "icarl_original", "reservoir"] = Field(
        default="reservoir", description="which samples of a class are kept; reservoir: of all samples alike"
    )
    logits_weight: float = Field(default=0.3, ge=0, description="alpha: weight of the error of old logits; 0: none")
    memory_weight: float | None = Field(
        default=0.5,
        ge=0,
        description="beta: weight of the memory's cross entropy beside that of new samples; none: one over the batch",
    )
    top: int = Field(default=32, ge=1, description="answer text: the largest logits of a token that are kept")

    @model_validator(mode="after")
    def _cuts_once(self) -> DerppConfig:
        if self.answer == "text" and self.merge_dropout and self.logits_weight:
            raise ValueError(
                "kept logits stand at the tokens of a text, and `merge_dropout` cuts it anew in every epoch: set"
                " `merge_dropout: 0`, or `logits_weight: 0`"
            )
        return self


@register("method", "derpp", version=1, config=DerppConfig)
class DarkExperienceReplay(Rehearsal[DerppConfig]):
    """Replay with kept logits (DER++, NeurIPS 2020)."""

    _kept: KeptLogits
    """Of the memory's samples, in its order."""

    def begin(self, model: Model, task: int, part: Part, context: Context) -> None:
        super().begin(model, task, part, context)
        if task == 0:
            self._kept = KeptLogits.none()

    def prepare(self, model: Model, rehearsed: Part, context: Context) -> None:
        super().prepare(model, rehearsed, context)
        self._kept = self._kept.to(context.device)

    def terms(self, model: Model, batch: Batch, context: Context) -> Mapping[str, Float[Tensor, ""]]:
        heard, config = self.heard(model, batch, context), self.config
        row = batch.codes[MEMORY_ROW]
        if not len(self.memory) or config.memory_weight is None:
            losses = {"loss": self.answer.loss(heard)}
        else:
            losses = {"loss": self.answer.loss(heard, among=row < 0)}
            losses["memory"] = config.memory_weight * self.answer.loss(heard, among=row >= 0)
        if len(self._kept):
            losses["logits"] = config.logits_weight * self._kept.error(_by_token(heard)[0], row)
        return losses

    def finish(self, model: Model, task: int, part: Part, context: Context) -> None:
        before = self.memory.spans
        super().finish(model, task, part, context)
        if self.config.logits_weight:
            place = _places(self.memory.spans, among=before)
            fresh = self._logits(model, Part(part.collection, self.memory.spans[place < 0]), context)
            together = KeptLogits.joined([self._kept.to(context.device), fresh])
            place[place < 0] = len(before) + torch.arange(len(fresh))
            self._kept = together.at(place.to(context.device))

    def costs(self, model: Model, task: int, part: Part) -> Mapping[str, int]:
        found = super().costs(model, task, part)
        return {**found, "kept_bytes": found["kept_bytes"] + self._kept.bytes}

    def _logits(self, model: Model, part: Part, context: Context) -> KeptLogits:
        """The logits of samples as they are."""
        top = None if self.config.answer == "class" else self.config.top

        def kept(batch: Batch) -> KeptLogits:
            heard = self.answer.heard(model, batch, View(batch.x, batch.lengths))
            return KeptLogits.of(*_by_token(heard), top=top)

        if not len(part):
            return KeptLogits.none()
        found, place = in_batches(model, part, context, kept, columns=(label_column(model),))
        return KeptLogits.joined(found).at(place.to(context.device))

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "logits": self._kept.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._kept = KeptLogits(**state["logits"])


def _by_token(heard: Heard) -> tuple[Float[Tensor, "batch token choice"], Int[Tensor, "batch"]]:
    """Logits of each token and how many tokens are real; a class is one token."""
    if heard.targets is None:
        return heard.logits[:, None], torch.ones_like(heard.labels)
    return heard.logits, heard.targets.lengths


def _places(spans: Int[Tensor, "some 3"], *, among: Int[Tensor, "known 3"]) -> Int[Tensor, "some"]:
    """Where each span stands among known ones; -1: nowhere."""
    known = {tuple(span): place for place, span in enumerate(among.tolist())}
    return torch.tensor([known.get(tuple(span), -1) for span in spans.tolist()], dtype=torch.int64)
