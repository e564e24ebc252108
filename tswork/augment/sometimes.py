"""Another view, for some sequences only: each sequence is changed with a probability of its own draw, or left as it is."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field, field_validator

from tswork.augment.base import Augmentation, View, ViewSpec
from tswork.config import Config, Configured
from tswork.registry import register


class SometimesConfig(Config):
    view: ViewSpec = Field(description="the change; it must keep the length of a sequence")
    probability: float = Field(default=0.5, ge=0, le=1, description="share of sequences that are changed")

    @field_validator("view")
    @classmethod
    def _keeps_length(cls, view: Configured) -> Configured:
        if not view.build().keeps_length:
            raise ValueError(
                f"{view.name!r} changes the length of a sequence, so it cannot be applied to some of a batch"
            )
        return view


@register("view", "sometimes", version=1, config=SometimesConfig)
class Sometimes(Augmentation[SometimesConfig]):
    """Changes each sequence by another view with a given probability."""

    def __init__(self, config: SometimesConfig) -> None:
        super().__init__(config)
        self._change: Augmentation[Any] = config.view.build()
        self.aligned = self._change.aligned

    def __call__(self, view: View, *, generator: torch.Generator) -> View:
        x = view.x
        draw = torch.rand(len(x), generator=generator, device=x.device)
        chosen = draw < self.config.probability
        changed = self._change(view, generator=generator)
        keep = changed.keep
        if keep is not None:
            before = torch.ones_like(keep) if view.keep is None else view.keep
            keep = torch.where(chosen[:, None], keep, before)
        return View(torch.where(chosen[:, None, None], changed.x, x), view.lengths, keep)
