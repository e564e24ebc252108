"""Sound as numbers: float samples in -1..1, their int16 form of full scale 32768, and another rate."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from jaxtyping import Float32, Int16

from tswork.errors import PackageMissing

FULL_SCALE = 32768
QUALITY = "VHQ"
"""soxr's highest: flat to 95 % of the lower Nyquist frequency, what is above it is below the steps of 24 bits."""


def resampled_length(length: int, rate: float, wanted: float) -> int:
    """Samples of a sound at another rate: `ceil(length * wanted / rate)`, without rounding on the way."""
    return -((-length * Fraction(wanted)) // Fraction(rate))


def resampled(samples: Float32[np.ndarray, "time"], rate: float, wanted: float) -> Float32[np.ndarray, "new_time"]:
    """A sound at another rate; what lies above the new Nyquist frequency is filtered out. Raises `PackageMissing`."""
    if rate == wanted or not len(samples):
        return samples
    try:
        import soxr
    except (ImportError, OSError) as error:
        raise PackageMissing("soxr", "sound at another rate", "pip install soxr", str(error)) from error
    length = resampled_length(len(samples), rate, wanted)
    # soxr rounds the number of samples to the nearest; with some silence behind the sound there are always enough.
    padded = np.concatenate([samples, np.zeros(int(rate / wanted) + 2, np.float32)])
    changed: Float32[np.ndarray, "longer"] = soxr.resample(padded, rate, wanted, quality=QUALITY)
    return changed[:length]


def as_int16(samples: Float32[np.ndarray, "time"]) -> tuple[Int16[np.ndarray, "time"], int]:
    """Samples of full scale 32768, and how many lay beyond full scale and were clipped."""
    scaled = samples * np.float32(FULL_SCALE)
    beyond = int(np.count_nonzero(np.abs(scaled) > FULL_SCALE))
    return np.clip(np.rint(scaled), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16), beyond
