"""How far up a recording's spectrum reaches: a trace of its original sample rate and of lossy coding.

A recording that was made at 8 kHz and resampled to 16 kHz has nothing above 4 kHz: equal rates in a table do not make recordings
alike. The frequency below which a share of the power lies ("spectral rolloff") shows it.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

SHARES = (0.85, 0.95, 0.99, 0.999)
WINDOW_SECONDS = 0.032


def rolloffs(x: Float[np.ndarray, "item time channel"], *, rate: float) -> Float[np.ndarray, "item feature"]:
    """The frequency in Hz below which each of `SHARES` of the power of a recording lies, for each channel; NaN in silence."""
    from scipy.signal import welch

    frequencies, power = welch(x, fs=rate, nperseg=max(2, min(x.shape[1], round(WINDOW_SECONDS * rate))), axis=1)
    total = power.sum(axis=1)
    reached = power.cumsum(axis=1)[..., None] >= total[:, None, :, None] * np.array(SHARES)
    found = np.where(total[..., None] > 0, frequencies[reached.argmax(axis=1)], np.nan)
    rolled: np.ndarray = found.reshape(len(x), -1)
    return rolled
