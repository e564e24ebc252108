"""The interface of views: a batch in, a changed batch out, on its device and without a loop over sequences."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Generic, TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tswork.config import Config, Configured, Uses

ViewSpec = Annotated[Configured, Uses("view")]
"""A view in a config: a name, or a block with `uses:` and its options."""

C = TypeVar("C", bound=Config)


@dataclass(frozen=True, eq=False)
class View:
    """One view of a batch: values, lengths, and which steps the encoder may see (None: all)."""

    x: Float[Tensor, "batch time channel"]
    lengths: Int[Tensor, "batch"]
    keep: Bool[Tensor, "batch time"] | None = None

    def changed(self, x: Float[Tensor, "batch time channel"]) -> View:
        """The same view with other values; padding stays zero."""
        inside = torch.arange(x.shape[1], device=x.device) < self.lengths[:, None]
        return replace(self, x=torch.where(inside[..., None], x, 0.0))


class Augmentation(ABC, Generic[C]):
    """Changes a view; everything random comes from the generator, which is on the batch's device.

    Equal generators give equal views. Missing values stay missing.
    """

    aligned: bool = True
    """Whether every step stays in its place, so that frames of two views can be compared step by step."""
    keeps_length: bool = True
    """Whether every sequence keeps its length."""

    def __init__(self, config: C) -> None:
        self.config = config

    @abstractmethod
    def __call__(self, view: View, *, generator: torch.Generator) -> View:
        """The changed view; the given one is not modified."""


def changed_by(changes: Iterable[Augmentation[Any]], view: View, *, generator: torch.Generator) -> View:
    """A view after several changes, one after another."""
    for change in changes:
        view = change(view, generator=generator)
    return view
