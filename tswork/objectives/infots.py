"""What makes a good augmentation for InfoTS: it is faithful (the view tells which series it is of) and varied (little else).

Luo et al., "Time Series Contrastive Learning with Information-Aware Augmentations" (InfoTS), AAAI 2023: maximise the mutual
information I(v; y) of a view and the (pseudo-)label of its series, minimise I(v; x) of the view and the series. Both are bounded on
embeddings z: a view is taken to be spread around its series on the sphere with the density exp(cos(z_v, z_x) / temperature), up to
a factor that is the same everywhere (von Mises and Fisher). This choice is ours, as is the label: the series itself among those
of its batch.

| | bound | source |
| --- | --- | --- |
| fidelity | I(v; y) >= log(batch) - cross entropy of the density's own classifier | Barber and Agakov, NIPS 2003 |
| variety | I(v; x) <= mean of log p(v given x) less the log of its mean over the other series | Poole et al., ICML 2019, leave one out |

The cross entropy is InfoNCE with views as anchors: `global_info_nce(z_v, z_x)`. The second bound is below. With labels that are the
series itself, the two pull against each other; the weight of the second decides how far a view may go.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from tswork.precision import wide


def leave_one_out(
    z_v: Float[Tensor, "batch dim"], z_x: Float[Tensor, "batch dim"], *, temperature: float = 1.0
) -> Float[Tensor, ""]:
    """Upper bound of I(v; x) in nats, from vectors of views and of their series; 0 for a batch of one.

    In float32 or wider, also under autocast. It is an estimate from a batch and can be negative.

    >>> z = torch.eye(3)
    >>> round(leave_one_out(z, z).item(), 6)
    1.0
    """
    batch = len(z_v)
    if batch < 2:
        return (z_v * 0).sum() + (z_x * 0).sum()
    with torch.autocast(z_v.device.type, enabled=False):
        first, second = (functional.normalize(wide(z), dim=-1) for z in (z_v, z_x))
        densities = first @ second.T / temperature
        own = torch.eye(batch, dtype=torch.bool, device=z_v.device)
        others = densities.masked_fill(own, -torch.inf).logsumexp(dim=1) - math.log(batch - 1)
        bound: Tensor = (densities.diagonal() - others).mean()
        return bound
