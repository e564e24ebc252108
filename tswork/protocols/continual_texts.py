"""What a model wrote of the test samples after each of its tasks: word error rates, entities and scenarios beside the intent.

A figure after a task is that of all samples of the tasks so far together: word errors and entities are pooled over them, not
averaged over utterances (`tswork.metrics.understanding`). `average_...` is its mean over times, as that of the accuracy.

| measure | there where |
| --- | --- |
| `transcript_wer`: of what stands behind the last separator | the data have transcripts |
| `string_wer`: of the whole string, intent and entities too, as the authors of COCONUT count | always |
| `slu_f1`, `word_f1`, `character_f1`, `span_f1`: entities; an utterance of which none was written misses all of its | the data have slots |
| `scenario_accuracy`: of what stands before an intent's first underscore | every intent has one |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int, Shaped

from tswork.data.text_spec import TextSpec
from tswork.metrics.edit_distance import edit_distance
from tswork.metrics.understanding import understanding_measures
from tswork.protocols.continual_samples import Samples
from tswork.text.targets import Target, parse_target

RATES: dict[str, Callable[[str], str]] = {
    "transcript_wer": lambda text: parse_target(text).transcript,
    "string_wer": lambda text: text,
}
"""Word error rates, and of which piece of a text they are."""
ENTITIES = ("slu_f1", "word_f1", "character_f1", "span_f1")
REPORTED = ("scenario_accuracy", "slu_f1", "transcript_wer", "string_wer")
"""Measures that are figures of the result; the others stand in the table alone."""


class Texts:
    """Texts of one row, for each time one a sample; those of samples not yet seen do not matter."""

    def __init__(self, samples: Samples, written: Shaped[np.ndarray, "time item"]) -> None:
        spec = samples.part.collection.text
        assert samples.targets is not None
        assert spec is not None
        self.truth: Sequence[Target] = samples.targets
        self.written = written
        self._samples = samples
        self._measured = measured(spec, samples.targets)
        self._after = [self._measures(time, seen) for time, seen in enumerate(samples.seen)]

    @property
    def intents(self) -> Shaped[np.ndarray, "time item"]:
        """What is meant by what was written."""
        found = [parse_target(text).intent for text in self.written.flat]
        return np.array(found, dtype=object).reshape(self.written.shape)

    def figures(self) -> Iterator[tuple[str, str, float]]:
        """Metric, place and value: averages and last values, and those after each task."""
        names = [name for name in REPORTED if name in self._measured]
        for name in names:
            after = [found[name] for found in self._after]
            yield f"average_{name}", "", float(np.mean(after))
            yield f"last_{name}", "", after[-1]
        for name in names:
            yield from ((name, f"t{time + 1}", found[name]) for time, found in enumerate(self._after))

    def units(self) -> dict[str, Float[np.ndarray, "item"]]:
        """Word error rates as means over samples: the edits of each over the mean number of words of those seen."""
        columns: dict[str, np.ndarray] = {}
        for name in RATES:
            if name not in self._measured:
                continue
            edits, words = self._edits(RATES[name])
            seen = self._samples.seen
            shares = np.where(seen, edits, 0) / (seen * words).sum(axis=1, keepdims=True) * len(words)
            columns |= {f"average_{name}": shares.mean(axis=0), f"last_{name}": shares[-1]}
        return columns

    def table(self) -> pd.DataFrame:
        """All measures of each task after each time from its own on."""
        samples, lines = self._samples, []
        for time in range(samples.tasks):
            for task in range(time + 1):
                found = self._measures(time, samples.task == task)
                place = {"after": time + 1, "task": task + 1, "items": int(samples.counts[task])}
                lines.append(place | {name: found[name] for name in self._measured})
        return pd.DataFrame(lines)

    def _measures(self, time: int, chosen: Bool[np.ndarray, "item"]) -> dict[str, float]:
        places = np.flatnonzero(chosen)
        return understanding_measures(
            [self.truth[place] for place in places], [str(text) for text in self.written[time, places]]
        )

    def _edits(self, piece: Callable[[str], str]) -> tuple[Int[np.ndarray, "time item"], Int[np.ndarray, "item"]]:
        """Word edits of each text, and words of each target."""
        expected = [piece(target.text).split() for target in self.truth]
        edits = [
            [edit_distance(words, piece(text).split()) for words, text in zip(expected, line, strict=True)]
            for line in self.written
        ]
        return np.array(edits), np.array([len(words) for words in expected])


def measured(spec: TextSpec, targets: Sequence[Target]) -> tuple[str, ...]:
    """The measures that say something of such data."""
    names = ["scenario_accuracy"] if all("_" in target.intent for target in targets) else []
    names += ENTITIES if spec.slots else ()
    names += ["transcript_wer"] if spec.transcript else []
    return (*names, "string_wer")
