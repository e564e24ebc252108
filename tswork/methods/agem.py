"""Averaged gradient episodic memory: no step may raise the loss on what is remembered, to first order.

Chaudhry et al., "Efficient Lifelong Learning with A-GEM", ICLR 2019. At every step a batch is drawn from the memory and the
gradient r of its loss taken. The gradient g of the new samples stays as it is where g . r >= 0; else it loses its part along r:

    g - (g . r / r . r) r

which is orthogonal to r. The memory itself is not trained on: it only holds back. g is what the loop has before it clips, r has
no clipping and no weight decay; in several processes both are means over all.

| | here | paper |
| --- | --- | --- |
| passes over the data | `epochs`, as of every continual method here | one |
| task identity | not known, neither in training nor in the test | its heads are told the task |
| optimiser | AdamW on the projected gradient: a step is not quite orthogonal to r | SGD |
| views, dropout | the remembered batch has its own draws of both | |
| memory | exemplars of each class (`selection`), or a reservoir | of each task's stream, as a ring or a reservoir |

The paper's column is from memory and not verified. Without a memory it is `finetune`, to the last bit. In 16-bit floats r is
computed without the scaling of the loss that g has, so that small parts of it may be lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from tswork.context import Context
from tswork.data.batches import Batch, Batches
from tswork.data.collection import Part
from tswork.data.rehearsal import Drawn, RehearsalPart
from tswork.methods.base import Update, shared_batch_size
from tswork.methods.model import Model
from tswork.methods.remembering import MemoryConfig, Remembering
from tswork.methods.sequence_contrast import changed_view
from tswork.precision import wide
from tswork.registry import register
from tswork.training.distributed import average


class AgemConfig(MemoryConfig):
    from_memory: int = Field(
        default=32, ge=1, description="samples of the memory, drawn anew at every step, whose loss must not rise"
    )


@register("method", "agem", version=1, config=AgemConfig)
class Agem(Remembering[AgemConfig]):
    """New samples, whose gradient is projected where it would raise the loss on the memory (A-GEM, ICLR 2019)."""

    _remembered: Batches | None = None

    def answered(self, rehearsed: Part) -> Part:
        return RehearsalPart.joined(rehearsed, self.memory)

    def batches(self, model: Model, part: Part, context: Context) -> Batches:
        batches = super().batches(model, part, context)
        self._remembered = self._beside(batches, model, context) if len(self.memory) else None
        return batches

    def _beside(self, batches: Batches, model: Model, context: Context) -> Batches:
        """A batch of the memory for every one of the task's."""
        part = self.memory.part
        sampler = Drawn(
            len(part),
            beside=batches.sampler,
            batch_size=shared_batch_size(self.config.from_memory, len(part), context),
            seed=context.seed,
            lengths=None if model.encoder.padding_invariant else part.lengths,
        )
        return Batches(
            part,
            sampler=sampler,
            device=context.device,
            columns=self.columns(part),
            rank=context.rank,
            world_size=context.world_size,
        )

    def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
        if self._remembered is None:
            yield from super().updates(model, batch, context)
            return
        remembered = self._remembered.at(context.epoch, context.step)
        self.answer.step(context)
        view = changed_view(remembered, self._views, context.own_generator("views of the memory"))
        loss = self.answer.loss(self.answer.heard(model, remembered, view))
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        reference = torch.autograd.grad(loss, trained, allow_unused=True)
        yield Update(
            "model",
            self.terms(model, batch, context),
            observed={"memory_loss": loss},
            change=partial(held_back, trained, reference),
        )


def held_back(parameters: Sequence[Tensor], reference: Sequence[Tensor | None]) -> Mapping[str, Float[Tensor, ""]]:
    """Project the parameters' gradients in place; tells whether they were in conflict (1 or 0) with the reference.

    The reference, this process's own, becomes the mean over all. Parameters that it has none for keep their gradient.
    """
    known = [(parameter, one) for parameter, one in zip(parameters, reference, strict=True) if one is not None]
    references = [one.contiguous() for _, one in known]
    average(references)
    for parameter, _ in known:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    gradients = [parameter.grad for parameter, _ in known if parameter.grad is not None]
    return {"conflict": project_(gradients, references)}


@torch.no_grad()
def project_(gradients: Sequence[Tensor], references: Sequence[Tensor]) -> Float[Tensor, ""]:
    """Take from gradients, all as one vector, what points against the references; 1 where there was any, else 0.

    Nobody looks at the result on the way: where nothing points against them, 0 times the references is taken.

    >>> gradient = torch.tensor([1.0, -2.0])
    >>> project_([gradient], [torch.tensor([0.0, 1.0])]).item(), gradient.tolist()
    (1.0, [1.0, 0.0])
    """
    along = sum_of_products(gradients, references)
    share = torch.where(along < 0, along / sum_of_products(references, references), 0.0)
    for gradient, reference in zip(gradients, references, strict=True):
        gradient.sub_(share.to(gradient.dtype) * reference)
    return (along < 0).to(along.dtype)


def sum_of_products(a: Sequence[Tensor], b: Sequence[Tensor]) -> Float[Tensor, ""]:
    """The dot product of two vectors that lie in pieces."""
    pieces = [(wide(one) * wide(other)).sum() for one, other in zip(a, b, strict=True)]
    return torch.stack(pieces).sum()
