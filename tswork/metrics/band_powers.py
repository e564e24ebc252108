"""Power of signals in the frequency bands of electroencephalography, by Welch's method.

| band | Hz |
| --- | --- |
| delta | 0.5 to 4 |
| theta | 4 to 8 |
| alpha | 8 to 13 |
| beta | 13 to 30 |
| gamma | 30 to 45, below the mains |

Welch, "The use of fast Fourier transform for the estimation of power spectra", 1967: Hann windows of up to two seconds that overlap
by half, each about its own mean.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

BANDS: Mapping[str, tuple[float, float]] = {
    "delta": (0.5, 4.0),
    "theta": (4.0, 8.0),
    "alpha": (8.0, 13.0),
    "beta": (13.0, 30.0),
    "gamma": (30.0, 45.0),
}
WINDOW_SECONDS = 2.0
FLOOR = 1e-12
"""Power below this (in squared units of the data) counts as this: a silent channel has a logarithm, too."""


def log_band_powers(x: Float[np.ndarray, "item time channel"], *, rate: float) -> Float[np.ndarray, "item feature"]:
    """Natural logarithm of the power of every band in every channel, the bands of a channel side by side.

    A band holds the frequencies from its first up to its last, the last excluded; one in which a window of this length has no
    frequency, as those above half the rate, is NaN, so that features of any length stand in the same columns. No missing values.
    """
    from scipy.signal import welch

    window = min(x.shape[1], round(WINDOW_SECONDS * rate))
    frequencies, density = welch(x, fs=rate, nperseg=window, axis=1)
    inside = [(frequencies >= low) & (frequencies < high) for low, high in BANDS.values()]
    width = rate / window
    powers = [density[:, chosen].sum(axis=1) * width if chosen.any() else density[:, 0] * np.nan for chosen in inside]
    features: np.ndarray = np.log(np.maximum(np.stack(powers, axis=2), FLOOR)).reshape(len(x), -1)
    return features
