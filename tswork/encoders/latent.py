"""The first layer of encoders that hide steps in latent space: projected rows, with hidden and missing ones zero."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tswork.encoders.base import valid_steps, with_steps_before


def project_visible(
    project: nn.Linear,
    x: Float[Tensor, "batch time channel"],
    lengths: Int[Tensor, "batch"] | None,
    keep: Bool[Tensor, "batch time *hidden"] | None,
) -> Float[Tensor, "batch time hidden"]:
    """The projection of each step; a step past its length, not kept, or with a missing value is the zero vector.

    Zeroing comes after the bias, so a hidden step carries nothing at all. `keep` may also say it of single channels of the
    projection. x is not modified.
    """
    missing = torch.isnan(x)
    shown = ~missing.any(dim=-1)
    if lengths is not None:
        shown = shown & valid_steps(lengths, x.shape[1])
    shown = shown[..., None]
    if keep is not None:
        shown = shown & (keep[..., None] if keep.ndim == 2 else keep)
    projected: Tensor = project(torch.where(missing, 0.0, x))
    return torch.where(shown, projected, 0.0)


def project_series(
    project: nn.Linear, series: Float[Tensor, "time channel"], *, before: int
) -> Float[Tensor, "more hidden"]:
    """Each step of a series projected once, behind so many steps that are not there.

    A missing step is the zero vector, and so is a step before the series: windows that are cut from the result are those
    that the projection of windows would give.
    """
    return with_steps_before(project_visible(project, series[None], None, None)[0], before, 0.0)
