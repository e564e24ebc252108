"""What a model knows after each of its tasks: the accuracy matrix, averages, forgetting and transfer, and how well it writes.

A candidate has one model a task, each of which is judged on the test samples of the tasks so far. R[i, j] is its accuracy on task j
after task i. From that follow the figures of `tswork.metrics.continual`, under names that tell variants and weights apart:
`average_accuracy_by_sample`, the headline, weighs tasks as their test samples, as the authors of COCONUT do; `..._by_task` weighs
them alike. `accuracy` at `t1`, `t2`, ... is that after a task, by sample. A model that classifies chooses among the classes of the
tasks so far. One that writes text is held to nothing: its answer is the intent of what it writes
(`tswork.text.targets`), and its other figures are those of `tswork.protocols.continual_texts`.

`forward_transfer_all_classes` is GEM's, mean over j >= 1 of R[j-1, j] - b[j], where b is the untrained model: how much better a task
is done just before it is learned. Choosing among the classes so far nobody would ever hit a class to come, so for this figure
alone both choose among all classes. It is there for models that classify, of which it costs nothing.

A candidate with a single model (`joint`, or the untrained control) stands for all times. Which classes come when is what the data
block's `tasks:` says. Controls: `majority`, the most frequent of the classes seen so far, and `random`, the model that the judged
stages started from; where their encoders, what they answer, its decoder or its pooling differ, each has its own, `random.STAGE`.
(Methods that classify by means start with directions at random, others with a linear layer at random; these share one.) An
untrained decoder hardly ever ends, so controls write greedily, and at most as many tokens as the longest training text has. Each
model sees the test samples once; nothing is selected by them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
from jaxtyping import Float
from pydantic import Field

from tswork.config import Config
from tswork.context import Context
from tswork.data.collection import Collection, Part, Split
from tswork.data.faults import refuse
from tswork.errors import ModelUnfit
from tswork.figures.accuracy_matrix import accuracy_map
from tswork.methods.embedding import classify_part, transcribe_part
from tswork.methods.model import Model
from tswork.metrics.continual import forward_transfer
from tswork.protocols.base import Protocol, Result, make_rows, not_beaten, role_of, starts_of
from tswork.protocols.continual_rows import FIGURES, FORWARD, Judged, by_task
from tswork.protocols.continual_samples import Samples
from tswork.protocols.continual_texts import REPORTED, Texts
from tswork.protocols.kept_arrays import kept_numbers, kept_texts
from tswork.protocols.labelled import label_problems
from tswork.registry import register
from tswork.text.collection_text import text_of, tokens_of
from tswork.text.writing import tokenizer_of
from tswork.wording import counted, worded

ClassScores = Float[np.ndarray, "item class"]


class ContinualProtocolConfig(Config):
    beams: int = Field(
        default=5, ge=1, description="hypotheses of models that write text; 1: the likeliest token at every step"
    )


@register("protocol", "continual", version=3, config=ContinualProtocolConfig)
class Continual(Protocol[ContinualProtocolConfig]):
    """Accuracy after every task on all tasks so far, forgetting and transfer, beside majority class and untrained encoder."""

    requires = frozenset({"embed", "answer"})
    judges_answers = True
    headline = "average_accuracy_by_sample"
    metrics = (
        *FIGURES,
        FORWARD,
        "accuracy",
        *(f"{over}_{measure}" for measure in REPORTED for over in ("average", "last")),
        *REPORTED,
    )
    greater_is_better = True
    summary = (
        "average_accuracy_by_sample",
        "last_accuracy_by_sample",
        "forgetting",
        "average_slu_f1",
        "average_transcript_wer",
    )
    turned = frozenset(metric for metric in metrics if metric.startswith("forgetting") or metric.endswith("_wer"))
    unit_kind = "group"

    def check(self, split: Split) -> None:
        """Refuse data without labels or tasks, with fewer than two classes, with test classes never trained on, or bad texts."""
        _checked(split)

    def evaluate(self, candidates: Mapping[str, Sequence[Model]], split: Split, context: Context) -> Result:
        """Judge every model of each candidate; heat maps of the accuracy matrices go to the recorder.

        Units are test samples: the last accuracy, a value whose mean over samples is the average accuracy, and the same of
        word error rates. The table `accuracy_matrix` has a row for each candidate, time and task, and so has
        `understanding_matrix` of models that write text. Raises `ModelUnfit` when models are neither one nor as many as there
        are tasks, or when some say the label and others an intent that is another column.
        """
        samples = _checked(split)[_told(candidates, split.train.collection)]
        for name, models in candidates.items():
            samples.check_models(name, len(models))
        work = _Work(self.config, samples, split.train, context)
        judged = [work.majority(), *work.judged(candidates)]
        rows = make_rows([line for one in judged for line in one.rows()])
        tables = {"accuracy_matrix": _under_one_another([one.table() for one in judged])}
        understood = _under_one_another([one.understanding() for one in judged])
        if len(understood):
            tables["understanding_matrix"] = understood
        for one in judged:
            if one.role == "candidate":
                context.recorder.figure(
                    f"accuracy_matrix/{one.row}", accuracy_map(one.matrix, title=f"Accuracy of {one.row}")
                )
        return Result(
            rows=rows,
            units=_under_one_another([one.units() for one in judged]),
            predictions=_under_one_another([one.predictions() for one in judged]),
            tables=tables,
            warnings=(*_left_out(samples), *not_beaten(rows, self.headline, greater_is_better=True)),
        )


class _Work:
    """Lets models say something of the samples."""

    def __init__(self, config: ContinualProtocolConfig, samples: Samples, train: Part, context: Context) -> None:
        self._config, self._samples, self._train, self._context = config, samples, train, context

    def majority(self) -> Judged:
        """The most frequent of the classes seen so far."""
        shares = np.tile(self._samples.shares, (len(self._samples), 1))
        return self._chosen("majority", "control", [shares])

    def judged(self, candidates: Mapping[str, Sequence[Model]]) -> Iterator[Judged]:
        """One row a candidate, in their order."""
        scores = {name: self._scores(name, models) for name, models in candidates.items() if not _writes(models)}
        for name, models in candidates.items():
            if name not in scores:
                yield self._written(name, models)
                continue
            role = role_of(name)
            start = next((scores[control][0] for control in starts_of(name) if control in scores), None)
            yield self._chosen(name, role, scores[name], start=start if role == "candidate" else None)

    def _scores(self, row: str, models: Sequence[Model]) -> list[ClassScores]:
        says = [partial(_scores, model, self._samples.part) for model in models]
        return [kept_numbers(self._context, {"scores": row, "time": time}, say) for time, say in enumerate(says)]

    def _chosen(
        self, row: str, role: str, scores: Sequence[ClassScores], *, start: ClassScores | None = None
    ) -> Judged:
        """A row of models that choose among the classes so far."""
        samples = self._samples
        times = [scores[min(time, len(scores) - 1)] for time in range(samples.tasks)]
        predicted = [np.where(samples.first <= time, one, -np.inf).argmax(axis=1) for time, one in enumerate(times)]
        forward = None
        if start is not None and len(scores) == samples.tasks:
            free = [(one.argmax(axis=1) == samples.truth).astype(float) for one in (*times, start)]
            matrix = by_task(np.stack(free), samples)
            forward = forward_transfer(matrix[:-1], untrained=matrix[-1])
        names = samples.names
        return Judged(row, role, samples, names[np.stack(predicted)], names[samples.truth], forward=forward)

    def _written(self, row: str, models: Sequence[Model]) -> Judged:
        """A row of models that write text."""
        samples, role = self._samples, role_of(row)
        beams = self._config.beams if role == "candidate" else 1
        written = np.full((samples.tasks, len(samples)), "", dtype=object)
        for time, model in enumerate(models):
            asked = np.flatnonzero(samples.seen[time if len(models) > 1 else -1])
            part = Part(samples.part.collection, samples.part.spans[asked])
            write = partial(transcribe_part, model, part, beams=beams, longest=self._longest(model, role))
            written[time, asked] = kept_texts(self._context, {"written": row, "time": time}, write)
        texts = Texts(samples, written if len(models) > 1 else written[np.zeros(samples.tasks, dtype=int)])
        truth = np.array([target.intent for target in texts.truth], dtype=object)
        return Judged(row, role, samples, texts.intents, truth, texts=texts)

    def _longest(self, model: Model, role: str) -> int:
        """Tokens that a model may write of a sample."""
        if role == "control":
            return int(tokens_of(self._train, tokenizer_of(model)).offsets.diff().max())
        return text_of(self._train.collection)[0].longest


def _scores(model: Model, part: Part, context: Context) -> ClassScores:
    return classify_part(model, part, context).double().numpy()


def _checked(split: Split) -> Mapping[str, Samples]:
    """The samples by the column of what may be told: the label, and the intent of texts. Raises `DataInvalid`."""
    refuse(label_problems(split))
    train = split.train
    intents = [text_of(train.collection)[1]] if train.collection.text is not None else []
    return Samples.by_column(split, sorted({train.label, *intents}))


def _told(candidates: Mapping[str, Sequence[Model]], collection: Collection) -> str:
    """The column of what the candidates tell, which is one for all of them."""
    label = collection.label
    assert label is not None
    if not any(map(_writes, candidates.values())):
        return label
    _, intent = text_of(collection)
    for name, models in candidates.items():
        if intent != label and not _writes(models):
            reason = f"it tells the label {label!r}, and others write the intent {intent!r}"
            raise ModelUnfit(name, reason, "Judge them in stages of their own.")
    return intent


def _writes(models: Sequence[Model]) -> bool:
    return "transcribe" in models[0].provides


def _left_out(samples: Samples) -> tuple[str, ...]:
    count = samples.left_out
    return (
        (f"{counted(count, 'item')} without a class or a task {worded(count, 'was', 'were')} left out",)
        if count
        else ()
    )


def _under_one_another(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat([frame for frame in frames if len(frame)] or frames, ignore_index=True)
