"""What a learned augmentation does: how much it keeps, whether its gates are stuck, and whether they change in time.

| reading | of the mask h | of the transform g |
| --- | --- | --- |
| keep_rate | share of the mask that is open | |
| mean | | its mean |
| saturation | share of keep probabilities within 0.05 of 0 or 1 | share of g within a twentieth of its range of either end |
| variation | standard deviation in time of the keep probability | standard deviation in time of g |
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tswork.augment.parametric import ParametricAugmentation, ParametricView
from tswork.data.collection import DataInfo
from tswork.encoders.base import valid_steps

MOST = 16
"""Channels that are reported by themselves; the mean over all gated ones always is."""
STUCK = 0.05


def gate_health(
    augmenter: ParametricAugmentation, view: ParametricView, lengths: Int[Tensor, "batch"], info: DataInfo
) -> Mapping[str, Float[Tensor, ""]]:
    """Readings `h/<reading>` and `g/<reading>` over gated channels, and `.../<channel>` where there are several.

    All are means over the real steps of the batch, and stay on the device.
    """
    inside = valid_steps(lengths, view.h.shape[1])[..., None]
    readings: dict[str, Tensor] = {}
    if augmenter.factor_head is not None:
        readings["h/keep_rate"] = _mean(view.h.index_select(2, augmenter.gated), inside)
        readings["h/saturation"] = _mean(_stuck(view.keep, 0.0, 1.0), inside)
        readings["h/variation"] = _variation(view.keep, inside)
    if augmenter.transform_head is not None:
        g = view.g.index_select(2, augmenter.gated)
        readings["g/mean"] = _mean(g, inside)
        readings["g/saturation"] = _mean(_stuck(g, *augmenter.transform_range), inside)
        readings["g/variation"] = _variation(g, inside)
    found = {name: value.mean() for name, value in readings.items()}
    named = [info.channels[index] for index in augmenter.gated_channels]
    for place, channel in enumerate(named[:MOST] if len(named) > 1 else ()):
        found |= {f"{name}/{channel}": value[place] for name, value in readings.items()}
    return found


def _stuck(gates: Float[Tensor, "batch time gated"], low: float, high: float) -> Float[Tensor, "batch time gated"]:
    margin = STUCK * (high - low)
    return ((gates < low + margin) | (gates > high - margin)).float()


def _mean(values: Float[Tensor, "batch time gated"], inside: Bool[Tensor, "batch time 1"]) -> Float[Tensor, "gated"]:
    return torch.where(inside, values, 0.0).sum(dim=(0, 1)) / inside.sum().clamp(min=1)


def _variation(
    values: Float[Tensor, "batch time gated"], inside: Bool[Tensor, "batch time 1"]
) -> Float[Tensor, "gated"]:
    """The standard deviation in time of each series, mean over the series."""
    count = inside.sum(dim=1, keepdim=True).clamp(min=1)
    centred = values - torch.where(inside, values, 0.0).sum(dim=1, keepdim=True) / count
    variance = torch.where(inside, centred.square(), 0.0).sum(dim=1) / count[:, 0]
    return variance.sqrt().mean(dim=0)
