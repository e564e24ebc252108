"""What differs between synthetic varieties, and how it changes over the map.

A variety is 21 traits: shifts of the first two formants of the seven vowels, the lengths of stressed vowels, other vowels and
consonants, how much longer a geminate is, and the melody. Each trait is a smooth random function of the place (a sum of random
cosines, close to a Gaussian process whose correlation falls with the squared distance), so neighbouring varieties are alike: a
dialect continuum with a known truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64

from tswork.data.making.maps import Place
from tswork.data.making.phones import VOWELS
from tswork.random import derive

Differing = Literal["vowels", "lengths", "geminates", "melody"]

TRAITS = (
    *(f"F{formant} of {vowel}" for vowel in VOWELS for formant in (1, 2)),
    "length of stressed vowels", "length of other vowels", "length of consonants",
    "length of geminates",
    "rise at the end", "height of the accent", "place of the accent",
)  # fmt: skip
SIZES = np.array([0.15, 0.10] * len(VOWELS) + [0.22, 0.22, 0.18] + [0.45] + [3.5, 2.0, 0.25])
"""One standard deviation of each trait at strength 1: logarithms of factors, then semitones (twice) and a share of the vowel."""
KINDS = np.array(["vowels"] * 2 * len(VOWELS) + ["lengths"] * 3 + ["geminates"] + ["melody"] * 3)
COSINES = 64
KILOMETRES_PER_DEGREE = 111.2


@dataclass(frozen=True)
class Accent:
    """How a place speaks: factors of formants (vowel, formant) and lengths, and a melody in semitones."""

    formants: Float64[np.ndarray, "vowel 2"]
    stressed: float
    unstressed: float
    consonants: float
    geminates: float
    rise: float
    height: float
    peak: float

    @staticmethod
    def of(traits: Float64[np.ndarray, "trait"]) -> Accent:
        """From traits in their own units (already multiplied by their sizes and the strength)."""
        vowels, lengths, melody = np.split(traits, [2 * len(VOWELS), 2 * len(VOWELS) + 4])
        stressed, unstressed, consonants, geminates = np.exp(lengths).tolist()
        rise, height, peak = melody.tolist()
        formants = np.exp(vowels.reshape(len(VOWELS), 2))
        return Accent(formants, stressed, unstressed, consonants, geminates, rise, height, peak)


def traits_at(
    places: Sequence[Place], *, reach: float, seed: int, differ: Sequence[Differing]
) -> Float64[np.ndarray, "place trait"]:
    """Standardised traits (mean 0, variance 1 over maps) of places; at `reach` kilometres their correlation is 0.61."""
    draw = np.random.default_rng(derive(seed, "traits"))
    waves = draw.standard_normal((len(TRAITS), COSINES, 2)) / reach
    phases = draw.uniform(0, 2 * np.pi, (len(TRAITS), COSINES))
    # On a map so small a flat sheet is near enough: kilometres to the north and to the east.
    degrees = np.array([(place.latitude, place.longitude) for place in places])
    east = np.cos(np.radians(degrees[:, 0])) * degrees[:, 1]
    sheet = KILOMETRES_PER_DEGREE * np.stack([degrees[:, 0], east], axis=1)
    angles = (sheet[:, None, None, :] * waves).sum(axis=-1) + phases
    return np.asarray(np.sqrt(2 / COSINES) * np.cos(angles).sum(axis=-1) * np.isin(KINDS, list(differ)))
