"""The diagonal Fisher information of a model's weights: how sharply its answers depend on each of them.

With p(y | x) the model's distribution over answers, weight i has the mean over samples x of

    (d log p(y | x) / d weight_i)^2

where y is drawn from the model (`answers`: the Fisher information, with one draw a sample) or is the truth (`labels`: the empirical
one, which is nearly 0 wherever the training samples are learned well). An answer is a class, or the tokens of a text, each drawn
after the true ones before it; the logarithm of a text's probability is the sum over its tokens.

The square is of a single sample's gradient, so every sample has a backward pass of its own: any encoder allows that, batches
through `torch.func` would ask a rule of each of its layers. It also spares all padding. The model is in evaluation mode.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tswork import random
from tswork.augment.base import View
from tswork.context import Context
from tswork.data.batches import Batches
from tswork.data.collection import Part
from tswork.data.samplers import Uniform
from tswork.methods.answers import Answer, Heard
from tswork.methods.model import Model, evaluating, label_column
from tswork.text.tokens import Tokens

Truth = Literal["answers", "labels"]


def fisher_information(
    model: Model, answer: Answer, part: Part, context: Context, *, samples: int, of: Truth
) -> dict[str, Tensor]:
    """The diagonal by the names of the weights that are trained, from at most so many samples of a part.

    Which samples, and what is drawn, depends on the context's seed alone. Texts are those that are written, with all merges.
    """
    answer.begin(model, part)
    sampler = Uniform(len(part), batch_size=1, seed=random.derive(context.seed, "fisher"))
    batches = Batches(part, sampler=sampler, device=context.device, columns=(label_column(model),))
    weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    total = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    count = min(samples, batches.steps(0))
    with evaluating(model), torch.enable_grad(), _differentiable(model):
        for step in range(count):
            batch = batches.at(0, step)
            heard = answer.heard(model, batch, View(batch.x, batch.lengths))
            if of == "answers":
                heard = drawn(heard, context.at(0, step).generator("answers"))
            gradients = torch.autograd.grad(log_probability(answer, heard), [*weights.values()], materialize_grads=True)
            torch._foreach_addcmul_([*total.values()], gradients, gradients, 1 / count)
    return total


def log_probability(answer: Answer, heard: Heard) -> Float[Tensor, ""]:
    """Of what should be said of a single sample."""
    mean = -answer.loss(heard)
    return mean if heard.targets is None else mean * heard.targets.lengths.sum()


def drawn(heard: Heard, generator: torch.Generator) -> Heard:
    """The same with answers that the model gives itself."""
    chances = heard.logits.detach().flatten(end_dim=-2).softmax(dim=1)
    said = torch.multinomial(chances, 1, generator=generator).view(heard.logits.shape[:-1])
    if heard.targets is None:
        return heard._replace(labels=said)
    return heard._replace(targets=Tokens(said, heard.targets.lengths))


def _differentiable(model: Model) -> AbstractContextManager[None]:
    """cuDNN has no backward pass of recurrent layers in evaluation mode; torch's own has."""
    recurrent = any(isinstance(module, nn.RNNBase) for module in model.modules())
    return torch.backends.cudnn.flags(enabled=False) if recurrent else nullcontext()
