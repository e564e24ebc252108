"""Elastic weight consolidation: weights that earlier answers depend on are held near where they were.

Kirkpatrick et al., "Overcoming catastrophic forgetting in neural networks", PNAS 2017. There is no memory. After task t the diagonal
Fisher information F_t of the weights is taken on the task's own samples (`tswork.methods.fisher`), with the weights w_t themselves;
in later tasks the loss has the term

    weight / 2 * sum over tasks t and weights i of F_t,i (w_i - w_t,i)^2

`form: online` is that of Schwarz et al., "Progress & Compress", ICML 2018: one term, around the latest weights, with
F <- decay * F + F_t, so that its size does not grow with the tasks.

| | here | paper |
| --- | --- | --- |
| classes | all heads are there from the start, and so are weights of classes that have not come | a task has its own outputs |
| answers in F | drawn from the model (`fisher: answers`), or the true ones (`labels`) | the model's distribution |
| samples in F | `samples` of the task at most, each with its own gradient | all |
| F of a text | of its tokens, each drawn after the true ones | texts are not treated |
| optimiser | AdamW, so that the term is scaled as the loss is | SGD |

With `weight: 0` it is `finetune`, to the last bit. F and w_t are state of the method: they are in every checkpoint, and as large as
the model each. `averaging` and the choice of the best weights are those that are held.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from tswork.context import Context
from tswork.data.batches import Batch
from tswork.data.collection import Part
from tswork.methods.continual import ContinualConfig, ContinualMethod
from tswork.methods.fisher import Truth, fisher_information
from tswork.methods.model import Model
from tswork.registry import register


class EwcConfig(ContinualConfig):
    weight: float = Field(default=10_000.0, ge=0, description="weight of the term that holds; 0: none")
    fisher: Truth = Field(
        default="answers", description="Fisher information of answers that the model draws, or of the true ones"
    )
    samples: int = Field(
        default=512, ge=1, description="samples of a task that its Fisher information is taken on, at most"
    )
    form: Literal["separate", "online"] = Field(
        default="separate", description="a term for each earlier task, or one for all around the latest weights"
    )
    decay: float = Field(
        default=1.0, ge=0, le=1, description="online: what is left of earlier information after a task"
    )


@register("method", "ewc", version=1, config=EwcConfig)
class Ewc(ContinualMethod[EwcConfig]):
    """Weights are held where earlier answers depend on them (EWC, PNAS 2017), without any memory."""

    def __init__(self, config: EwcConfig) -> None:
        super().__init__(config)
        self._held: list[_Held] = []

    def begin(self, model: Model, task: int, part: Part, context: Context) -> None:
        if task == 0:
            self._held = []

    def prepare(self, model: Model, rehearsed: Part, context: Context) -> None:
        super().prepare(model, rehearsed, context)
        self._held = [one.to(context.device) for one in self._held]

    def terms(self, model: Model, batch: Batch, context: Context) -> Mapping[str, Float[Tensor, ""]]:
        terms = super().terms(model, batch, context)
        if not self._held:
            return terms
        weights = dict(model.named_parameters())
        away = torch.stack([one.distance(weights) for one in self._held]).sum()
        return {**terms, "held": self.config.weight / 2 * away}

    def finish(self, model: Model, task: int, part: Part, context: Context) -> None:
        config = self.config
        if not config.weight:
            return
        information = fisher_information(model, self.answer, part, context, samples=config.samples, of=config.fisher)
        weights = dict(model.named_parameters())
        latest = _Held(information, {name: weights[name].detach().clone() for name in information})
        if config.form == "online" and self._held:
            latest = latest.after(self._held.pop(), decay=config.decay)
        self._held.append(latest)

    def costs(self, model: Model, task: int, part: Part) -> Mapping[str, int]:
        return {**super().costs(model, task, part), "kept_bytes": sum(one.bytes for one in self._held)}

    def state_dict(self) -> dict[str, Any]:
        return {"held": [one.state_dict() for one in self._held]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._held = [_Held(**one) for one in state["held"]]


class _Held:
    """Weights after a task, and how much depends on each."""

    def __init__(self, information: dict[str, Tensor], weights: dict[str, Tensor]) -> None:
        self.information = information
        self.weights = weights

    def distance(self, weights: Mapping[str, Tensor]) -> Float[Tensor, ""]:
        """The sum of squared differences, each times its information."""
        pieces = [
            (information * (weights[name] - self.weights[name]).square()).sum()
            for name, information in self.information.items()
        ]
        return torch.stack(pieces).sum()

    @property
    def bytes(self) -> int:
        """Its size."""
        kept = [*self.information.values(), *self.weights.values()]
        return sum(one.numel() * one.element_size() for one in kept)

    def after(self, earlier: _Held, *, decay: float) -> _Held:
        """The same weights, with what is left of earlier information."""
        left = {name: one.add(earlier.information[name], alpha=decay) for name, one in self.information.items()}
        return _Held(left, self.weights)

    def to(self, device: torch.device) -> _Held:
        """The same on a device."""
        moved = [{name: one.to(device) for name, one in of.items()} for of in (self.information, self.weights)]
        return _Held(*moved)

    def state_dict(self) -> dict[str, dict[str, Tensor]]:
        return {"information": self.information, "weights": self.weights}
