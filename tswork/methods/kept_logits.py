"""Logits that a model gave to samples when they came into a memory, the largest of every token, as tensors of bounded size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from tswork.objectives.distillation import frame_distillation
from tswork.precision import wide
from tswork.training.distributed import of_all


@dataclass(frozen=True, eq=False)
class KeptLogits:
    """The `top` largest logits of each token of some samples; a class is one token. Immutable."""

    values: Float[Tensor, "kept token top"]
    choices: Int[Tensor, "kept token top"]
    """Which token or class each of them is of."""
    lengths: Int[Tensor, "kept"]
    """Tokens of each sample."""

    @staticmethod
    def none() -> KeptLogits:
        """Of no samples."""
        whole = torch.zeros(0, dtype=torch.int64)
        return KeptLogits(torch.zeros(0, 0, 0), whole.view(0, 0, 0), whole)

    @staticmethod
    def of(
        logits: Float[Tensor, "batch token choice"], lengths: Int[Tensor, "batch"], *, top: int | None
    ) -> KeptLogits:
        """The largest of a batch's logits; `top` None: all."""
        most = logits.shape[2] if top is None else min(top, logits.shape[2])
        values, choices = wide(logits.detach()).topk(most, dim=2)
        return KeptLogits(values, choices, lengths)

    @staticmethod
    def joined(pieces: Sequence[KeptLogits]) -> KeptLogits:
        """Those of several batches, one after another."""
        some = [piece for piece in pieces if len(piece)]
        if not some:
            return KeptLogits.none()
        longest = max(piece.values.shape[1] for piece in some)

        def filled(steps: Tensor) -> Tensor:
            return functional.pad(steps, (0, 0, 0, longest - steps.shape[1]))

        return KeptLogits(
            torch.cat([filled(piece.values) for piece in some]),
            torch.cat([filled(piece.choices) for piece in some]),
            torch.cat([piece.lengths for piece in some]),
        )

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.lengths)

    @property
    def bytes(self) -> int:
        """Size of what is kept."""
        return sum(kept.numel() * kept.element_size() for kept in (self.values, self.choices, self.lengths))

    def at(self, rows: Int[Tensor, "some"]) -> KeptLogits:
        """Those of some samples."""
        return KeptLogits(self.values[rows], self.choices[rows], self.lengths[rows])

    def to(self, device: torch.device | str) -> KeptLogits:
        """The same on a device."""
        return KeptLogits(self.values.to(device), self.choices.to(device), self.lengths.to(device))

    def error(self, logits: Float[Tensor, "batch token choice"], rows: Int[Tensor, "batch"]) -> Float[Tensor, ""]:
        """Mean squared difference of a batch's logits from the kept ones of these rows; -1: none are kept of a sample.

        The mean is over what is kept of the real tokens, in several processes of all; 0 without any.
        """
        kept = self.at(rows.clamp(min=0))
        both = min(logits.shape[1], kept.values.shape[1])
        found = logits[:, :both].gather(2, kept.choices[:, :both])
        return frame_distillation(found, kept.values[:, :both], rows >= 0, lengths=kept.lengths, divisor=of_all)

    def state_dict(self) -> dict[str, Any]:
        """Everything, on the host, as a checkpoint takes it."""
        return {"values": self.values.cpu(), "choices": self.choices.cpu(), "lengths": self.lengths.cpu()}
