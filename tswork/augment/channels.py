"""Which channels a view changes: all of them, or the targets of a forecast and not its covariates (a calendar, say)."""

from __future__ import annotations

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from tswork.augment.base import View
from tswork.data.collection import DataInfo


def changing_channels(info: DataInfo, *, covariates: bool) -> tuple[str, ...]:
    """Names of the channels that a view changes; without targets all of them."""
    return info.targets if info.targets and not covariates else info.channels


class ChangedChannels(nn.Module):
    """Puts the channels that are not to change back to what they were. Without targets all channels change."""

    def __init__(self, info: DataInfo, *, covariates: bool) -> None:
        super().__init__()
        changing = changing_channels(info, covariates=covariates)
        mask = torch.tensor([name in changing for name in info.channels])
        self._all = bool(mask.all())
        self._mask: Bool[Tensor, "channel"]
        self.register_buffer("_mask", mask, persistent=False)

    def forward(self, changed: View, given: View) -> View:
        """The changed view with the given one's covariates; one that has other lengths is left as it is."""
        if self._all or changed.lengths is not given.lengths:
            return changed
        return View(torch.where(self._mask, changed.x, given.x), changed.lengths, changed.keep)
