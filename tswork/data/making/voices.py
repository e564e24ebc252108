"""The speakers of synthetic speech, each with a voice, a way to speak, and a recorder of their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Voice:
    """One speaker and the recording made of them."""

    pitch: float
    """Mean of the fundamental frequency, Hz."""
    span: float
    """Height of an accent, semitones."""
    tract: float
    """Factor of all formants: above 1 for a shorter vocal tract."""
    softness: float
    """Above this frequency (Hz) the voice falls by 6 dB an octave."""
    breath: float
    """Amplitude of noise in the voice."""
    jitter: float
    """Relative deviation of the fundamental frequency from one hundredth of a second to the next."""
    pace: float
    """Factor of the speed."""
    level: float
    """Root mean square of the recording; full scale is 1."""
    hiss: float
    """Root mean square of the recorder's noise."""
    colour: float
    """Of the microphone: below 0 dull, above 0 sharp."""

    @staticmethod
    def drawn(draw: np.random.Generator, *, female: bool, strength: float) -> Voice:
        """A speaker at random; at strength 0 all are one and the same."""
        z = strength * draw.standard_normal(10)
        sex = strength if female else -strength
        return Voice(
            pitch=150 * float(np.exp(0.26 * sex + 0.12 * z[0])),
            span=3 * float(np.exp(0.3 * z[1])),
            tract=1.08 * float(np.exp(np.clip(0.07 * sex + 0.03 * z[2], -0.13, 0.13))),
            softness=700 * float(np.exp(0.35 * z[3])),
            breath=0.04 * float(np.exp(0.6 * z[4])),
            jitter=0.01 * float(np.exp(0.4 * z[5])),
            pace=float(np.exp(0.12 * z[6])),
            level=0.06 * float(np.exp(np.clip(0.35 * z[7], -1, 1))),
            hiss=0.0008 * float(np.exp(np.clip(0.6 * z[8], -2, 2))),
            colour=float(np.tanh(0.3 * z[9])),
        )
