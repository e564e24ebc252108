"""Regional Italian as rules on phonemes: which sound becomes which other one, between which neighbours.

Phonemes are written as eSpeak NG writes those of its voice `it`, sounds apart by dots and words by spaces: `l.a k.'a.z.a`. A stress
mark stands before its vowel, `:` after a long consonant; other long ones are two sounds (`n.n`) or one sign of two letters (`ss`).
The engine speaks s between vowels as [z], as the north does, and doubles nothing between words.

| variety | what it does | described in |
| --- | --- | --- |
| standard | nothing: what the engine says | - |
| north | long consonants short; s between vowels voiced, where the engine has not done so | [1, 2] |
| tuscany | k, t, tS and dZ between vowels without closure, also between words (gorgia) | [1, 3] |
| south | s between vowels voiceless; stops voiced and s affricated after nasals; b and dZ between vowels long | [1, 4] |

1: Bertinetto and Loporcaro, The sound pattern of Standard Italian, JIPA 35, 2005. 2: Dian, Hajek and Fletcher, Cross-regional patterns
of obstruent voicing and gemination, Languages 9, 2024. 3: Marotta, Lenition in Tuscan Italian, in Lenition and Fortition, 2008.
4: Rohlfs, Grammatica storica della lingua italiana, 1966. Of 1 to 3 only the abstracts were at hand and 4 not at all: that a rule is
found there is from memory. A variety here is a caricature of many; no one speaks like this always, and `strength` says how often.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np

Variety = Literal["standard", "north", "tuscany", "south"]

VOWELS = frozenset(("a", "e", "E", "i", "I", "o", "O", "u", "U"))
GLIDES = frozenset(("j", "w", "w2", ";"))
ANYTHING: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Rule:
    """Sounds that become others after one of `after` and before one of `before`; an empty set takes anything."""

    sounds: tuple[str, ...]
    become: tuple[str, ...]
    source: int
    """In the header's list."""
    after: frozenset[str] = ANYTHING
    before: frozenset[str] = ANYTHING
    across: bool = False
    """Whether the neighbours, or the sounds themselves, may belong to two words."""


def _rule(
    change: str, source: int, *, between: bool = False, before: frozenset[str] = ANYTHING, across: bool = False
) -> Rule:
    """From `n t > n d`; `between` stands for after a vowel and before a vowel or glide."""
    sounds, become = (tuple(side.split()) for side in change.split(">"))
    if between:
        return Rule(sounds, become, source, after=VOWELS, before=VOWELS | GLIDES, across=across)
    return Rule(sounds, become, source, before=before, across=across)


_SHORTER = (
    *("b: > b", "d: > d", "dz: > dz", "dZ: > dZ", "g: > g", "k: > k", "p: > p", "t: > t", "tS: > tS", "ts2: > ts"),
    *("ss > s", "f f > f", "l l > l", "m m > m", "n n > n", "n^ n^ > n^", "R * > R", "v v > v"),
)

RULES: Mapping[Variety, tuple[Rule, ...]] = MappingProxyType({
    "standard": (),
    "north": (
        *(_rule(change, 2) for change in _SHORTER),
        _rule("s > z", 1, between=True),
    ),
    "tuscany": (
        _rule("k > h", 3, between=True, across=True),
        _rule("t > T", 3, between=True, across=True),
        _rule("tS > S", 1, between=True, across=True),
        _rule("dZ > Z", 1, between=True, across=True),
    ),
    "south": (
        _rule("z > s", 1, between=True),
        _rule("n t > n d", 4, across=True),
        _rule("m p > m b", 4, across=True),
        _rule("n k > n g", 4, across=True),
        _rule("n s > n ts", 1, before=VOWELS | GLIDES),
        _rule("b > b:", 1, between=True, across=True),
        _rule("dZ > dZ:", 1, between=True, across=True),
    ),
})  # fmt: skip


@dataclass(frozen=True)
class Spoken:
    """Phonemes as a variety has them: at how many places a rule applies, and at how many it was applied."""

    phonemes: str
    places: int
    changed: int


def speak(phonemes: str, rules: Sequence[Rule], *, strength: float, draw: np.random.Generator) -> Spoken:
    """Apply rules at a share of their places; each place is drawn by itself, and what changes at a strength does at any higher one.

    All rules see the phonemes as they were, so no rule makes or takes a place of another; where two apply the first does.

    >>> draw = np.random.default_rng(0)
    >>> speak("l.a k.'a.z.a", RULES["tuscany"], strength=1.0, draw=draw).phonemes
    "l.a h.'a.z.a"
    >>> speak("l.a k.'a.z.a", RULES["south"], strength=1.0, draw=draw).phonemes
    "l.a k.'a.s.a"
    """
    words = [word.split(".") for word in phonemes.split(" ")]
    sounds = [sound for word in words for sound in word]
    starts = set(np.cumsum([len(word) for word in words]).tolist()[:-1])
    spoken: list[tuple[str, ...]] = [(sound,) for sound in sounds]
    found = list(_places(sounds, starts, rules))
    chosen = [place for place, chance in zip(found, draw.random(len(found)).tolist(), strict=True) if chance < strength]
    for first, rule in chosen:
        # What is missing at the end of a rule is a sound that falls.
        filled = [*((sound,) for sound in rule.become), *[()] * (len(rule.sounds) - len(rule.become))]
        spoken[first : first + len(rule.sounds)] = filled
    return Spoken(_joined(spoken, starts), len(found), len(chosen))


def _places(sounds: Sequence[str], starts: set[int], rules: Sequence[Rule]) -> Iterator[tuple[int, Rule]]:
    """Where rules apply, from left to right; places do not overlap."""
    first = 0
    while first < len(sounds):
        rule = next((rule for rule in rules if _applies(rule, sounds, starts, first)), None)
        if rule is not None:
            yield first, rule
        first += len(rule.sounds) if rule is not None else 1


def _applies(rule: Rule, sounds: Sequence[str], starts: set[int], first: int) -> bool:
    end = first + len(rule.sounds)
    if tuple(sounds[first:end]) != rule.sounds:
        return False
    for place, wanted in ((first - 1, rule.after), (end, rule.before)):
        if wanted and not (0 <= place < len(sounds) and _plain(sounds[place]) in wanted):
            return False
    reach = range(first + (not rule.after), end + bool(rule.before))
    return rule.across or not starts.intersection(reach)


def _plain(sound: str) -> str:
    """A sound without its stress and length."""
    return sound.lstrip("',").rstrip(":")


def _joined(spoken: Sequence[tuple[str, ...]], starts: set[int]) -> str:
    words: list[list[str]] = [[]]
    for number, sounds in enumerate(spoken):
        if number in starts:
            words.append([])
        words[-1] += sounds
    return " ".join(".".join(word) for word in words)
