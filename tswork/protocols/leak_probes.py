"""What gives the class away beside the speech itself, and what else than the class an embedding tells.

Every probe is logistic regression on standardised features with classes of equal weight, judged by balanced accuracy beside chance
(1 / number of values) and by accuracy beside the most frequent value.

| probe | from | asks | learns on, judged on |
| --- | --- | --- | --- |
| identity | embeddings | which speaker (place, group) of its class an item is from | half of the clips of each, the other half |
| recording | embeddings | how an item was recorded (sample rate, format, ...) | training part, test part |
| length | embeddings | in which third of the training part's lengths an item lies | training part, test part |
| metadata | length, peak, level, recording columns | the class | training part, test part |
| bandwidth | how far the spectrum reaches | the class | training part, test part |
| beginning | MFCC statistics of the silence in the first 200 ms | the class | training part, test part |
| silence | MFCC statistics of the silence before and after the sound, and how long they last | the class | training part, test part |

A probe that finds the class where nothing was said is an alarm: the class goes with the way its recordings were made. It rings
where balanced accuracy is above chance by more than a tenth and by more than two standard errors of a guess, counted over
independent groups; with few groups it cannot ring, and one group is no evidence of anything. Who speaks can be heard in nearly
every embedding, and that is no fault of it by itself: identity is told where it is more than half of the way from chance to 1.
Length is heard in speech itself, and rings no alarm.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int

from tswork import random
from tswork.data.collection import Part
from tswork.data.grouping import group_units
from tswork.metrics import classification, probes
from tswork.protocols import recording_features
from tswork.protocols.plain_features import defined, may_be_sound
from tswork.protocols.spaces import Space
from tswork.protocols.variety_config import Columns, VarietyAnalysisConfig

Truths = tuple[Int[np.ndarray, "train"], Int[np.ndarray, "test"]]

CLIPS = 4
"""A speaker with fewer clips takes no part in the probe of identities."""
MARGIN = 0.1
ERRORS = 2.0

LEAK_COLUMNS = [
    "probe",
    "row",
    "asks",
    "part",
    "within",
    "items",
    "groups",
    "values",
    "accuracy",
    "majority",
    "balanced_accuracy",
    "chance",
    "alarm",
]


@dataclass(frozen=True)
class Leak:
    """What one probe found; `row` is the space it looked at, `within` the class it stayed in (empty: the mean over classes)."""

    probe: str
    row: str
    asks: str
    part: str
    items: int
    groups: int
    values: int
    accuracy: float
    majority: float
    balanced_accuracy: float
    chance: float
    within: str = ""

    @property
    def alarm(self) -> bool:
        """Whether it says more than it should."""
        if math.isnan(self.balanced_accuracy) or self.within or self.probe == "length":
            return False
        if self.probe == "identity":
            return self.balanced_accuracy > (1 + self.chance) / 2
        if self.groups < 2:
            return False
        error = math.sqrt(self.chance * (1 - self.chance) / self.groups)
        return self.balanced_accuracy > self.chance + max(MARGIN, ERRORS * error)


class LeakProbes:
    """Asks all questions that the data allow; spaces are added one after another."""

    def __init__(self, config: VarietyAnalysisConfig, columns: Columns, train: Part, test: Part, *, seed: int) -> None:
        self._config, self._columns = config, columns
        self._train, self._test = train, test
        self._seed = seed
        self._found: list[Leak] = []

    def of_space(self, space: Space) -> None:
        """Identities and recording conditions from the embeddings of one row."""
        parts = {"train": (self._train, space.train), "test": (self._test, space.test)}
        self._guess("length", space.row, "length", self._thirds(), space.train, space.test)
        for column in self._columns.identities:
            if column in self._columns.recording:
                self._guess("recording", space.row, column, self._values(column), space.train, space.test)
                continue
            for name, (part, x) in parts.items():
                self._found += list(self._identities(space.row, column, name, part, x))

    def of_recordings(self) -> None:
        """The class from everything that is not speech."""
        columns, seconds = self._columns, self._config.silence_seconds
        asked: dict[str, Callable[[Part], np.ndarray]] = {
            "metadata": lambda part: recording_features.metadata(part, columns.recording)
        }
        if may_be_sound(self._train.collection):
            asked |= {
                "bandwidth": recording_features.bandwidth,
                "beginning": lambda part: recording_features.beginning(part, seconds),
                "silence": recording_features.silence,
            }
        for name, describe in asked.items():
            x_train, x_test = describe(self._train), describe(self._test)
            truths = self._values(columns.label)
            # Items without any silence have nothing to be judged by.
            shown = [
                np.where(np.isnan(x).all(axis=1), -1, truth) for x, truth in zip((x_train, x_test), truths, strict=True)
            ]
            self._guess(name, name, columns.label, (shown[0], shown[1]), *defined(x_train, x_test))

    def table(self) -> pd.DataFrame:
        """Everything that was found, alarms first."""
        lines = [[getattr(leak, name) for name in LEAK_COLUMNS] for leak in self._found]
        return pd.DataFrame(lines, columns=LEAK_COLUMNS).sort_values("alarm", ascending=False, kind="stable")

    def warnings(self, candidates: Sequence[str]) -> Iterator[str]:
        """A sentence for every alarm about the data or about a candidate; of identities by the test part where it can tell."""
        by_test = {(leak.row, leak.asks) for leak in self._found if leak.part == "test" and leak.probe == "identity"}
        for leak in self._found:
            if not leak.alarm or (leak.probe in ("identity", "recording") and leak.row not in candidates):
                continue
            if leak.part == "train" and (leak.row, leak.asks) in by_test:
                continue
            figures = f"balanced accuracy {leak.balanced_accuracy:.2f}, by chance {leak.chance:.2f}"
            if leak.probe == "identity":
                yield (
                    f"embeddings of {leak.row} tell the {leak.asks} of clips within one {self._columns.label}"
                    f" ({figures}): only a split by {leak.asks} says what they know of the {self._columns.label}"
                )
            elif leak.probe == "recording":
                yield f"embeddings of {leak.row} tell {leak.asks} ({figures}): they know how items were recorded"
            else:
                yield f"leak alarm: {leak.asks} can be told from {_what(leak.probe, self._config)} alone ({figures})"

    def _values(self, column: str) -> Truths:
        return self._train.codes(column).numpy(), self._test.codes(column).numpy()

    def _thirds(self) -> Truths:
        """Short, middle and long items, by the lengths of the training part."""
        train, test = self._train.lengths.numpy(), self._test.lengths.numpy()
        borders = np.quantile(train, [1 / 3, 2 / 3])
        return np.searchsorted(borders, train), np.searchsorted(borders, test)

    def _guess(self, probe: str, row: str, asks: str, truths: Truths, x_train: np.ndarray, x_test: np.ndarray) -> None:
        """Values from features of the training part, judged on the test part; of values that can be learnt there."""
        truth_train, truth = truths
        learnt, judged = truth_train >= 0, (truth >= 0) & np.isin(truth, truth_train)
        values = np.unique(truth_train[learnt])
        if len(values) < 2 or not judged.any() or not x_train.shape[1]:
            return
        predicted = _decided(x_train[learnt], truth_train[learnt], x_test[judged], self._config.cost)
        groups = len(np.unique(group_units(self._test.collection)[self._test.spans[:, 0]].numpy()[judged]))
        majority = np.bincount(truth_train[learnt]).argmax()
        self._found.append(
            Leak(probe, row, asks, "test", int(judged.sum()), groups, len(values),
                 *_figures(truth[judged], predicted, int(majority)), chance=1 / len(values))
        )  # fmt: skip

    def _identities(self, row: str, column: str, name: str, part: Part, x: np.ndarray) -> Iterator[Leak]:
        """Within every class that has two values of the column with enough clips, and the mean over these classes."""
        codes, classes = part.codes(column).numpy(), part.codes(self._columns.label).numpy()
        generator = random.generator(self._seed, "identities", column, name)
        shuffled = torch.randperm(len(part), generator=generator).numpy()
        found = []
        for number in np.unique(classes[classes >= 0]):
            inside = shuffled[(classes[shuffled] == number) & (codes[shuffled] >= 0)]
            learnt, judged = _halves(codes[inside])
            values = len(np.unique(codes[inside][learnt]))
            if values < 2:
                continue
            truth = codes[inside][judged]
            predicted = _decided(x[inside][learnt], codes[inside][learnt], x[inside][judged], self._config.cost)
            figures = _figures(truth, predicted, int(np.bincount(codes[inside][learnt]).argmax()))
            within = part.collection.classes[number]
            found.append(
                Leak(
                    "identity",
                    row,
                    column,
                    name,
                    len(truth),
                    values,
                    values,
                    *figures,
                    chance=1 / values,
                    within=within,
                )
            )
        if found:
            yield _mean_of(found)
            yield from found


def _what(probe: str, config: VarietyAnalysisConfig) -> str:
    return {
        "metadata": "length, level and recording columns",
        "bandwidth": "the reach of the spectrum (sample rate or coding)",
        "beginning": f"the silence of the first {config.silence_seconds * 1000:g} ms",
        "silence": "the silence before and after the sound",
    }[probe]


def _mean_of(found: Sequence[Leak]) -> Leak:
    """The mean over classes; items, groups and values are summed."""
    first = found[0]
    items, groups, values = (sum(getattr(leak, name) for leak in found) for name in ("items", "groups", "values"))
    names = ("accuracy", "majority", "balanced_accuracy", "chance")
    means: dict[str, Any] = {name: float(np.mean([getattr(leak, name) for leak in found])) for name in names}
    return Leak(first.probe, first.row, first.asks, first.part, items, groups, values, **means)


def _halves(codes: Int[np.ndarray, "item"]) -> tuple[Bool[np.ndarray, "item"], Bool[np.ndarray, "item"]]:
    """Every other item of each value with enough of them, and those between."""
    order = np.argsort(codes, kind="stable")
    counts = np.unique(codes, return_counts=True)[1]
    rank = np.empty(len(codes), np.int64)
    rank[order] = np.arange(len(codes)) - np.repeat(counts.cumsum() - counts, counts)
    size = np.empty(len(codes), np.int64)
    size[order] = np.repeat(counts, counts)
    enough = size >= CLIPS
    return enough & (rank % 2 == 0), enough & (rank % 2 == 1)


def _decided(
    x: Float[np.ndarray, "train dim"], truth: Int[np.ndarray, "train"], new: Float[np.ndarray, "new dim"], cost: float
) -> Int[np.ndarray, "new"]:
    arrays = probes.fit_balanced(x, truth, cost=cost)
    predicted, _ = probes.decide("logistic", arrays, new, int(truth.max()) + 1)
    return predicted


def _figures(
    truth: Int[np.ndarray, "item"], predicted: Int[np.ndarray, "item"], majority: int
) -> tuple[float, float, float]:
    """Accuracy, that of the most frequent value, and balanced accuracy."""
    counts = classification.confusion(truth, predicted, int(max(truth.max(), predicted.max())) + 1)
    return (
        classification.accuracy(counts),
        float((truth == majority).mean()),
        classification.balanced_accuracy(counts),
    )
