"""Byte-pair encoding with merges dropped at random, so that a word comes in other pieces every time.

Provilkov et al., "BPE-Dropout: Simple and Effective Subword Regularization", ACL 2020. The package `tokenizers` draws from a
generator that cannot be seeded; here a draw follows from the generator given, so that a resumed training sees the same pieces.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch


class Merges:
    """Pairs of pieces that become one, the first ones first."""

    def __init__(
        self,
        merges: Sequence[Sequence[str]],
        vocabulary: Mapping[str, int],
        *,
        marks: Collection[str],
        beginning: str,
        unknown: int,
    ) -> None:
        self._rank = {(first, second): rank for rank, (first, second) in enumerate(merges)}
        self._vocabulary = vocabulary
        self._marks = marks
        self._beginning = beginning
        self._unknown = unknown

    def encode(self, texts: Sequence[Sequence[str]], *, dropout: float, generator: torch.Generator) -> list[list[int]]:
        """The numbers of the pieces of each text, which is a list of words; marks are not cut."""
        draws = _Draws(dropout, generator)
        return [[number for word in words for number in self._word(word, draws)] for words in texts]

    def _word(self, word: str, draws: _Draws) -> list[int]:
        """At every turn each merge that could be made is left out with the probability; the first of the others is made."""
        pieces = [word] if word in self._marks else [self._beginning, *word]
        while len(pieces) > 1:
            possible = [
                (rank, place)
                for place in range(len(pieces) - 1)
                if (rank := self._rank.get((pieces[place], pieces[place + 1]))) is not None and not draws.drop()
            ]
            if not possible:
                break
            _, place = min(possible)
            pieces[place : place + 2] = [pieces[place] + pieces[place + 1]]
        return [self._vocabulary.get(piece, self._unknown) for piece in pieces]


class _Draws:
    """Draws one after another, made many at once."""

    MANY = 4096

    def __init__(self, probability: float, generator: torch.Generator) -> None:
        self._probability = probability
        self._generator = generator
        self._ready: list[bool] = []

    def drop(self) -> bool:
        if not self._ready:
            self._ready = (torch.rand(self.MANY, generator=self._generator) < self._probability).tolist()
        return self._ready.pop()
