"""Training in several processes and in mixed precision, through Lightning Fabric.

Every process computes its share of each batch. Gradients are averaged over processes after the backward pass, in one
message for each dtype: methods call encoder and heads in their own ways and may make several updates a step, which the
hooks of `DistributedDataParallel` do not allow for. For a contrastive loss, `gather_with_gradient` brings the embeddings of
all processes together, so that one process with 64 sequences and two with 32 see the same negatives, loss and gradient.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any, TypeVar

import torch
from jaxtyping import Int, Shaped
from torch import Tensor, distributed, nn
from torch.optim import Optimizer

from tswork.errors import ModelUnfit
from tswork.methods.model import Model
from tswork.training.runtime import Precision, Runtime, parameters_of

TIMEOUT = timedelta(minutes=10)

T = TypeVar("T")


class _Gather(torch.autograd.Function):
    """All processes' rows; the gradient of a row is the sum of what every process sends back to it."""

    @staticmethod
    def forward(context: Any, z: Tensor) -> Tensor:
        parts = [torch.empty_like(z) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, z.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        distributed.all_reduce(total)
        return total.chunk(distributed.get_world_size())[distributed.get_rank()]


def gather_with_gradient(z: Shaped[Tensor, "batch *rest"]) -> Shaped[Tensor, "all *rest"]:
    """The rows of all processes in order of rank, with gradients to each; in a single process the tensor itself.

    Every process must bring equally many rows. Together with gradients averaged over processes, both a loss over all rows
    and the mean over processes of losses over own rows give the gradient of one process with the whole batch.
    """
    if _alone():
        return z
    gathered: Tensor = _Gather.apply(z)  # type: ignore[no-untyped-call]
    return gathered


def of_all(count: Int[Tensor, ""]) -> Tensor:
    """What this process's sum over so many samples is divided by, for a mean over the samples of all; 1 where nobody has any.

    The mean over processes, as gradients and losses are brought together, is then that of one process with the whole batch, also
    where processes hold different numbers. All must ask, in the same order.
    """
    if _alone():
        return count.clamp(min=1)
    total = count.detach().clone()
    distributed.all_reduce(total)
    return total.clamp(min=1) / distributed.get_world_size()


class FabricRuntime(Runtime):
    """One of several processes, or one process in mixed precision."""

    def __init__(self, device: torch.device, *, precision: Precision, launched: bool) -> None:
        from lightning_fabric import Fabric
        from lightning_fabric.strategies.ddp import DDPStrategy

        single = [device.index or 0] if device.type == "cuda" else 1
        count = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
        self._fabric = Fabric(
            accelerator=device.type,
            devices=count if launched else single,
            num_nodes=int(os.environ.get("WORLD_SIZE", count)) // count if launched else 1,
            strategy=DDPStrategy(timeout=TIMEOUT) if launched else "auto",
            precision=precision,
        )
        self._fabric.launch()
        super().__init__(self._fabric.device)
        self.precision = precision
        self.rank = self._fabric.global_rank
        self.world_size = self._fabric.world_size

    def prepare(self, model: Model) -> Model:
        if self.world_size > 1 and any(
            isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules()
        ):
            if self.device.type != "cuda":
                raise ModelUnfit(
                    type(model.encoder).__name__,
                    "it has batch normalisation, whose statistics several processes on CPUs cannot share",
                    "Train in one process, on GPUs, or with an encoder without batch normalisation.",
                )
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        return model.to(self.device)

    def autocast(self) -> AbstractContextManager[Any]:
        context: AbstractContextManager[Any] = self._fabric.autocast()
        return context

    def backward(self, loss: Tensor) -> None:
        self._fabric.strategy.precision.backward(loss, None)

    def gather_gradients(self, optimiser: Optimizer) -> None:
        if self.world_size > 1:
            average_gradients(parameters_of(optimiser))
        self._fabric.strategy.precision.unscale_gradients(optimiser)

    def agree(self, *flags: bool) -> tuple[bool, ...]:
        if self.world_size == 1:
            return flags
        raised = torch.tensor(flags, dtype=torch.uint8, device=self.device)
        distributed.all_reduce(raised, distributed.ReduceOp.MAX)
        return tuple(bool(flag) for flag in raised.tolist())

    def broadcast(self, value: T) -> T:
        received: T = self._fabric.broadcast(value)
        return received

    def state_dict(self) -> dict[str, Any]:
        return dict(self._fabric.strategy.precision.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._fabric.strategy.precision.load_state_dict(state)

    def close(self) -> None:
        if self.world_size > 1 and distributed.is_initialized():
            distributed.destroy_process_group()

    def _take_step(self, optimiser: Optimizer) -> None:
        self._fabric.strategy.precision.optimizer_step(optimiser)


def average_gradients(parameters: Sequence[Tensor]) -> None:
    """Set every gradient to its mean over the processes. All processes must have gradients of the same parameters."""
    average([parameter.grad for parameter in parameters if parameter.grad is not None])


def average(tensors: Sequence[Tensor]) -> None:
    """Set every tensor to its mean over the processes, in one message for each dtype; in a single process nothing."""
    if _alone():
        return
    for dtype in sorted({tensor.dtype for tensor in tensors}, key=str):
        chosen = [tensor for tensor in tensors if tensor.dtype == dtype]
        flat = torch.cat([tensor.reshape(-1) for tensor in chosen])
        distributed.all_reduce(flat)
        flat /= distributed.get_world_size()
        pieces = flat.split([tensor.numel() for tensor in chosen])
        torch._foreach_copy_(chosen, [piece.view_as(one) for piece, one in zip(pieces, chosen, strict=True)])


def _alone() -> bool:
    return not (distributed.is_available() and distributed.is_initialized()) or distributed.get_world_size() == 1
