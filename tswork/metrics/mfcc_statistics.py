"""What the sound of a recording is like on the whole: mean and deviation over time of its cepstral coefficients.

20 mel-frequency cepstral coefficients (Davis and Mermelstein 1980) of every frame and their slope over nine frames, each by its mean and
its deviation over the frames of the recording: 80 numbers a channel. This was the usual description of voices and languages before
networks, and takes a linear model far: what does not beat it has learned little. By librosa, with windows that are the same time at
every rate (librosa's own are 2,048 samples, a quarter of a second at 8 kHz).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

COEFFICIENTS = 20
FEATURES = 4 * COEFFICIENTS
"""Numbers a channel."""
MELS = 40
WINDOW_SECONDS = 0.032
HOP_SECONDS = 0.01
SLOPE_FRAMES = 9
LEAST_RATE = 4000.0
"""Samples a second below which 40 mel bands are no description of a sound."""


def mfcc_statistics(x: Float[np.ndarray, "item time channel"], *, rate: float) -> Float[np.ndarray, "item feature"]:
    """Means of the coefficients, means of their slopes, deviations of both; channels in the slowest order. No missing values.

    Items shorter than a window are filled up with silence. The slope at the ends takes the first and last frame on and on.
    """
    from librosa.feature import delta, mfcc

    window = round(WINDOW_SECONDS * rate)
    short = max(0, window - x.shape[1])
    sound = np.pad(x, ((0, 0), (0, short), (0, 0))).transpose(0, 2, 1)
    found = mfcc(
        y=sound,
        sr=rate,
        n_mfcc=COEFFICIENTS,
        n_fft=2 ** (window - 1).bit_length(),
        win_length=window,
        hop_length=round(HOP_SECONDS * rate),
        n_mels=MELS,
    )
    frames = np.concatenate([found, delta(found, width=SLOPE_FRAMES, mode="nearest")], axis=2)
    statistics = np.concatenate([frames.mean(axis=3), frames.std(axis=3)], axis=2)
    features: np.ndarray = statistics.reshape(len(x), -1).astype(np.float64)
    return features
