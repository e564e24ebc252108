"""The losses of CoST: of trend features against a queue, and of the amplitudes and phases of seasonal features.

Paper: Woo et al., "CoST: Contrastive Learning of Disentangled Seasonal-Trend Representations for Time Series Forecasting",
ICLR 2022, section 3. The time-domain loss picks the other view of a window, embedded by a slowly following encoder, among a
queue of earlier ones (MoCo). The frequency-domain loss transforms the seasonal features of both views along time and
contrasts, at each frequency, the amplitudes of a window with those of the other windows of the batch, and in the same way its
phases. The whole loss is `trend + alpha / 2 * (amplitude + phase)` with alpha = 5e-4.

Departures
| published | here |
| --- | --- |
| negatives of a window: the others in its own view (equation), in both views (code); anchors: both views (code) | as the code |
| 1e-6 is added to both parts of a coefficient | a coefficient smaller than 1e-6 has phase 0 and no gradient of it |
"""

from __future__ import annotations

import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn import functional

from tswork.objectives.ts2vec import instance_contrast
from tswork.precision import wide

SMALLEST = 1e-6
"""Coefficients (of frames of length one) below this amplitude have no direction."""


def trend_contrast(
    anchors: Float[Tensor, "batch dim"],
    twins: Float[Tensor, "batch dim"],
    negatives: Float[Tensor, "queue dim"],
    *,
    temperature: float = 0.07,
) -> Float[Tensor, ""]:
    """Mean cross entropy of each anchor's twin among itself and the queue, by cosines, in float32 or wider.

    Other windows of the batch are no candidates. An empty queue gives 0.

    >>> z = torch.eye(4)
    >>> round(trend_contrast(z[:1], z[:1], z[1:], temperature=1.0).item(), 6)  # log(1 + 3 / e)
    0.743668
    """
    with torch.autocast(anchors.device.type, enabled=False):
        first, second = (functional.normalize(wide(z), dim=-1) for z in (anchors, twins))
        further = functional.normalize(negatives.to(first.dtype), dim=-1)
        positive = (first * second).sum(dim=1, keepdim=True)
        logits = torch.cat([positive, first @ further.T], dim=1) / temperature
        return functional.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.int64, device=logits.device))


def seasonal_contrast(
    z1: Float[Tensor, "batch time dim"], z2: Float[Tensor, "batch time dim"]
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """The amplitude and the phase loss of two views' seasonal frames, in float32 or wider; both 0 for a batch of one.

    Frames are brought to length one first; at each frequency a window's row is picked among the `2 * batch - 1` other rows
    of both views by plain dot products.
    """
    with torch.autocast(z1.device.type, enabled=False):
        first, second = (torch.fft.rfft(functional.normalize(wide(z), dim=-1), dim=1) for z in (z1, z2))
        return instance_contrast(first.abs(), second.abs()), instance_contrast(phase(first), phase(second))


def phase(spectrum: Complex[Tensor, "*place"]) -> Float[Tensor, "*place"]:
    """Angles in (-pi, pi]; a coefficient that is (nearly) zero has angle 0, and no gradient."""
    # Where a coefficient is real, the sign of its zero would decide between pi and -pi: + 0.0 makes it positive.
    upper = torch.complex(spectrum.real, spectrum.imag + 0.0)
    vanishes = spectrum.detach().abs() < SMALLEST
    return torch.where(vanishes, 0.0, torch.where(vanishes, 1.0, upper).angle())
