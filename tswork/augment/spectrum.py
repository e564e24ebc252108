"""Changed spectra: some frequencies of a sequence vanish, others that were weak become strong.

Zhang et al., "Self-Supervised Contrastive Pre-Training For Time Series via Time-Frequency Consistency" (TF-C), NeurIPS 2022,
section 4.2: few components are changed, since each of them shapes the whole series. A removed component has amplitude 0; an added
one is taken from those below a share of the largest amplitude and raised to it.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def changed_spectrum(
    amplitudes: Float[Tensor, "batch frequency channel"],
    *,
    components: int = 1,
    share: float = 0.0,
    height: float = 0.5,
    generator: torch.Generator,
) -> Float[Tensor, "batch frequency channel"]:
    """Every channel of every spectrum with some components removed and, of the others, as many added.

    So many are `share` of all frequencies, but at least `components` and at most half of them; an added one gets `height` times
    the channel's largest amplitude. The given spectra are not modified.
    """
    count = min(max(components, round(share * amplitudes.shape[1])), amplitudes.shape[1] // 2)
    keys = torch.rand(amplitudes.shape, generator=generator, device=amplitudes.device)
    raised = height * amplitudes.amax(dim=1, keepdim=True)
    removed = _least(keys, count)
    # Weak components come first, those that were removed last.
    added = _least(keys + 1.0 * (amplitudes >= raised) + 2.0 * removed, count)
    return torch.where(removed, 0.0, torch.where(added, raised.maximum(amplitudes), amplitudes))


def _least(keys: Float[Tensor, "batch frequency channel"], count: int) -> Bool[Tensor, "batch frequency channel"]:
    """True at so many smallest keys along the frequencies."""
    chosen = torch.zeros_like(keys, dtype=torch.bool)
    return chosen.scatter(1, keys.argsort(dim=1)[:, :count], True)
