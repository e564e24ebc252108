"""Word and character error rates, pooled over a corpus: all edits over all words of the references.

Edits are counted by jiwer. Texts are compared as given but for white space; `normalise` declares whatever else is to be evened
out before. An empty reference adds its insertions to the edits and no words; a missing hypothesis deletes every word.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tswork.wording import counted


@dataclass(frozen=True)
class Edits:
    """What makes the hypotheses of the references, and how many words (or characters) these have."""

    substitutions: int
    deletions: int
    insertions: int
    words: int

    @property
    def number(self) -> int:
        """All edits."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Edits a word; may be above 1, and is infinite where something was heard in nothing."""
        return self.number / self.words if self.words else (float("inf") if self.number else 0.0)


def word_errors(
    references: Sequence[str], hypotheses: Sequence[str | None], *, normalise: Callable[[str], str] | None = None
) -> Edits:
    """Word edits over all utterances.

    >>> word_errors(["a b c d", "x"], ["a b c", "y"]).rate
    0.4
    """
    return _edits(references, hypotheses, normalise, characters=False)


def character_errors(
    references: Sequence[str], hypotheses: Sequence[str | None], *, normalise: Callable[[str], str] | None = None
) -> Edits:
    """Character edits over all utterances; the spaces between words are characters."""
    return _edits(references, hypotheses, normalise, characters=True)


def _edits(
    references: Sequence[str],
    hypotheses: Sequence[str | None],
    normalise: Callable[[str], str] | None,
    *,
    characters: bool,
) -> Edits:
    import jiwer

    if len(references) != len(hypotheses):
        raise ValueError(
            f"{counted(len(references), 'reference does', 'references do')} not fit {counted(len(hypotheses), 'hypothesis', 'hypotheses')}"
        )
    if not references:
        return Edits(0, 0, 0, 0)
    truth, heard = ([_evened(text or "", normalise) for text in side] for side in (references, hypotheses))
    found = jiwer.process_characters(truth, heard) if characters else jiwer.process_words(truth, heard)
    words = found.hits + found.substitutions + found.deletions
    return Edits(found.substitutions, found.deletions, found.insertions, words)


def _evened(text: str, normalise: Callable[[str], str] | None) -> str:
    return " ".join((normalise(text) if normalise is not None else text).split())
