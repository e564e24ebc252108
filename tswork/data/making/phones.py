"""The sounds that synthetic speech is made of, and the questionnaire that every speaker reads.

An item is a word of two to four syllables, each a consonant and a vowel; the last but one is stressed, and one consonant inside
the word may be long (a geminate). Frequencies are round figures of the seven Italian vowels for an average man, not those of any
recorded speaker.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from tswork.random import derive


@dataclass(frozen=True)
class Phone:
    """One sound: its length in seconds, formants in Hz, amplitudes of voice and noise, and the noise's band in Hz."""

    seconds: float
    formants: tuple[float, float, float]
    voice: float = 0.0
    noise: float = 0.0
    band: tuple[float, float] = (4000.0, 3000.0)


LABIAL, DENTAL, VELAR = (300.0, 950.0, 2250.0), (300.0, 1650.0, 2600.0), (300.0, 1950.0, 2350.0)
PHONES: dict[str, Phone] = {
    "i": Phone(0.09, (300.0, 2250.0, 2950.0), 1.0),
    "e": Phone(0.09, (400.0, 2050.0, 2700.0), 1.0),
    "ɛ": Phone(0.09, (550.0, 1850.0, 2600.0), 1.0),
    "a": Phone(0.10, (750.0, 1350.0, 2550.0), 1.0),
    "ɔ": Phone(0.09, (560.0, 980.0, 2500.0), 1.0),
    "o": Phone(0.09, (430.0, 850.0, 2450.0), 1.0),
    "u": Phone(0.09, (320.0, 750.0, 2350.0), 1.0),
    "p": Phone(0.07, LABIAL),
    "p released": Phone(0.012, LABIAL, 0.0, 0.5, (900.0, 1500.0)),
    "t": Phone(0.07, DENTAL),
    "t released": Phone(0.015, DENTAL, 0.0, 0.7, (4200.0, 2500.0)),
    "k": Phone(0.07, VELAR),
    "k released": Phone(0.025, VELAR, 0.0, 0.7, (2100.0, 900.0)),
    "b": Phone(0.06, LABIAL, 0.12),
    "d": Phone(0.06, DENTAL, 0.12),
    "s": Phone(0.10, DENTAL, 0.0, 0.6, (5800.0, 2200.0)),
    "f": Phone(0.09, LABIAL, 0.0, 0.25, (4500.0, 5000.0)),
    "m": Phone(0.07, (260.0, 1100.0, 2200.0), 0.4),
    "n": Phone(0.07, (260.0, 1550.0, 2450.0), 0.4),
    "l": Phone(0.06, (350.0, 1300.0, 2700.0), 0.6),
    "r": Phone(0.04, (450.0, 1400.0, 1950.0), 0.4),
    "pause": Phone(0.06, (500.0, 1500.0, 2500.0)),
}
NAMES = tuple(PHONES)
VOWELS = ("i", "e", "ɛ", "a", "ɔ", "o", "u")
UNSTRESSED = ("i", "e", "a", "o", "u")
CONSONANTS = ("p", "t", "k", "b", "d", "s", "f", "m", "n", "l", "r")


@dataclass(frozen=True)
class Questionnaire:
    """All items one after another, a pause before and after each; arrays have one entry a phone.

    `vowel` counts in the order of `VOWELS` (-1: no vowel). `long` marks what is lengthened in a geminate.
    """

    phone: Int64[np.ndarray, "phone"]
    vowel: Int64[np.ndarray, "phone"]
    stressed: Bool[np.ndarray, "phone"]
    long: Bool[np.ndarray, "phone"]
    item: Int64[np.ndarray, "phone"]
    words: tuple[str, ...]

    @staticmethod
    def drawn(items: int, *, seed: int) -> Questionnaire:
        """Words drawn one by one, so that a longer questionnaire begins with a shorter one."""
        rows: list[tuple[str, bool, bool, int]] = []
        words = []
        for item in range(items):
            spoken = _word(np.random.default_rng(derive(seed, "word", item)))
            rows += [(name, stressed, long, item) for name, stressed, long in spoken]
            words.append("".join(f"{name}ː" if long else name for name, _, long in spoken if name in _WRITTEN))
        names, stressed, long, item_of = zip(*rows, strict=True)
        return Questionnaire(
            phone=np.array([NAMES.index(name) for name in names], np.int64),
            vowel=np.array([VOWELS.index(name) if name in VOWELS else -1 for name in names], np.int64),
            stressed=np.array(stressed),
            long=np.array(long),
            item=np.array(item_of, np.int64),
            words=tuple(words),
        )

    def of_phones(self, field: str) -> Float64[np.ndarray, "phone value"]:
        """One field of each phone as numbers, `(phone, 1)` where it is a single one."""
        table = np.array([np.atleast_1d(getattr(phone, field)) for phone in PHONES.values()], np.float64)
        return np.asarray(table[self.phone])


_WRITTEN = frozenset((*VOWELS, *CONSONANTS))


def _word(draw: np.random.Generator) -> list[tuple[str, bool, bool]]:
    """Name, stress and length of each phone of a word."""
    syllables = int(draw.integers(2, 5))
    geminate = int(draw.integers(1, syllables)) if draw.random() < 0.6 else -1
    phones = [("pause", False, False)]
    for syllable in range(syllables):
        stressed = syllable == syllables - 2
        consonant = str(draw.choice(CONSONANTS))
        phones.append((consonant, False, syllable == geminate))
        released = f"{consonant} released"
        phones += [(released, False, False)] if released in PHONES else []
        phones.append((str(draw.choice(VOWELS if stressed else UNSTRESSED)), stressed, False))
    return [*phones, ("pause", False, False)]
