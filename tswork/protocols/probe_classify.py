"""Classification of frozen embeddings by simple probes, beside the majority class and the untrained encoder.

Protocol of TS2Vec (AAAI 2022; `eval_protocols` of its code), as used by most later work on the UEA and UCR archives:
the representation of every step is pooled by its maximum over time, and an RBF support vector machine is fitted on the
training part (gamma 1 / (dim * variance), cost chosen in 5 folds; no cost limit with fewer than 5 items a class or 50 in
all), with at most 10,000 training items, drawn by class. Added here: logistic regression and the nearest neighbour, both
on standardised features, metrics beyond accuracy, and controls in the same table.

Where the data have groups, those of the first group column are judged too, by the mean of their items' scores; their metrics have its
name behind a dot (`accuracy.patient`, `accuracy.logistic.patient`). The folds that choose a cost keep each group, and each recording
that was cut into segments, whole; with `folds: items`, as published, a cost may be chosen for telling persons apart.

The validation part, where there is one, is not used. A probe is fitted on each model's own embeddings of the training
part; test items are seen once. Metrics of the first probe carry plain names (`accuracy`), those of further ones the
probe's name behind a dot (`accuracy.logistic`).

    protocol = ProbeClassify(ProbeClassifyConfig(heads=("svm", "knn")))
    result = protocol.evaluate({"ts2vec": [model]}, split, Context())
    result.value("ts2vec", "accuracy")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float
from pydantic import Field, field_validator

from tswork.config import Config, Many
from tswork.context import Context
from tswork.data.collection import Part, Split
from tswork.data.faults import refuse
from tswork.encoders.pooling import Pooling
from tswork.figures.confusion import confusion_matrix
from tswork.methods.embedding import embed_part
from tswork.methods.model import Model
from tswork.metrics import probes
from tswork.metrics.classification import METRICS
from tswork.metrics.probes import PROBES, ProbeName
from tswork.protocols.base import Heads, Protocol, Result, not_beaten, role_of
from tswork.protocols.class_table import ClassTable, embedding_frame, item_columns
from tswork.protocols.kept_arrays import kept_embeddings, kept_features
from tswork.protocols.labelled import (
    capped,
    group_codes,
    label_problems,
    labelled,
    left_out,
    majority,
    one_class_in_test,
    refuse_horizon,
    without_group,
)
from tswork.protocols.plain_features import Features, defined, feature_problems
from tswork.registry import register


class ProbeClassifyConfig(Config):
    """Options of `probe_classify`; the defaults are the published protocol with two further probes."""

    heads: Many[ProbeName] = Field(
        default=PROBES, min_length=1, description="probes to fit; the first gives the headline figure"
    )
    pooling: Pooling | None = Field(
        default="max", description="how frames become one vector; none: the model's own way"
    )
    max_train: int = Field(default=10_000, ge=2, description="training items above this number are drawn by class")
    folds: Literal["items", "groups"] = Field(
        default="groups",
        description="what the folds that choose a probe's cost divide: whole groups (patients) and recordings where the data have"
        " them, so that a cost is chosen by persons who were not fitted; or items (published)",
    )
    features: Features = Field(
        default="none",
        description="control of plain features under the same probes; band_powers (EEG), beat_statistics (ECG) and"
        " mfcc_statistics (sound) need the data's rate",
    )

    @field_validator("heads")
    @classmethod
    def _each_once(cls, heads: tuple[ProbeName, ...]) -> tuple[ProbeName, ...]:
        if len(set(heads)) < len(heads):
            raise ValueError("a probe is named twice")
        return heads


@register("protocol", "probe_classify", version=3, config=ProbeClassifyConfig)
class ProbeClassify(Protocol[ProbeClassifyConfig]):
    """SVM, logistic regression and nearest neighbour on frozen embeddings, beside majority class and untrained encoder."""

    headline = "accuracy"
    metrics = METRICS
    greater_is_better = True
    unit_kind = "group"

    def check(self, split: Split) -> None:
        """Refuse data without labels, with fewer than two classes, or with test classes never trained on."""
        refuse(label_problems(split))
        refuse(feature_problems(self.config.features, split.train.collection))

    def evaluate(self, candidates: Mapping[str, Sequence[Model]], split: Split, context: Context) -> Result:
        """Judge the last model of each candidate; figures of the confusion matrices go to the recorder.

        Units are test items (`unit`: their position in the part), grouped by the first group column where there is one.
        The tables `embeddings/NAME` hold the embeddings of the test items with their ids.
        """
        self.check(split)
        train, test = labelled(split.train), labelled(split.test)
        label = train.label
        train = capped(train, label, self.config.max_train, context.seed)
        groups = group_codes(train) if self.config.folds == "groups" else None
        truth_train, truth = train.codes(label).numpy(), test.codes(label).numpy()
        first = self.config.heads[0]
        table = ClassTable(test, truth, split.train.collection.classes, first)
        table.add("majority", "control", first, *majority(truth_train, len(truth), len(table.classes)))
        parts = {"train": train, "test": test}
        if self.config.features != "none":
            found = defined(*kept_features(context, self.config.features, parts))
            for head in self.config.heads:
                arrays = probes.fit(head, found[0], truth_train, groups=groups)
                table.add(
                    self.config.features, "control", head, *probes.decide(head, arrays, found[1], len(table.classes))
                )
        heads: dict[str, dict[str, np.ndarray]] = {}
        embeddings: dict[str, pd.DataFrame] = {}
        for name, models in candidates.items():
            x_train, x_test = kept_embeddings(context, name, models, parts, pooling=self.config.pooling)
            for head in self.config.heads:
                arrays = probes.fit(head, x_train, truth_train, groups=groups)
                heads[f"{name}@{head}"] = arrays
                table.add(name, role_of(name), head, *probes.decide(head, arrays, x_test, len(table.classes)))
            if role_of(name) == "candidate":
                embeddings[f"embeddings/{name}"] = embedding_frame(test, x_test)
        result = table.result(heads)
        result = replace(result, tables={**result.tables, **embeddings})
        for row, counts in result.tables["confusion"].groupby("row", sort=False):
            if row != "majority":
                context.recorder.figure(f"confusion/{row}", confusion_matrix(counts, title=str(row)))
        told = (*left_out(split), *one_class_in_test(test), *without_group(test))
        beaten = not_beaten(result.rows, self.headline, greater_is_better=self.greater_is_better)
        return replace(result, warnings=(*told, *beaten))

    def predict(
        self,
        candidates: Mapping[str, Sequence[Model]],
        heads: Heads,
        data: Part,
        context: Context,
        *,
        horizon: int | None = None,
    ) -> pd.DataFrame:
        """Classes of new items by every fitted probe.

        Columns: row, head, item (span), sequence, start, stop, predicted. Raises `DataInvalid` when a horizon is asked
        for.
        """
        refuse_horizon(horizon)
        frames = [pd.DataFrame(columns=["row", "head", *item_columns(data), "predicted"])]
        for name, models in candidates.items():
            fitted = [head for head in PROBES if f"{name}@{head}" in heads]
            embedded = self._embedded(models[-1], data, context)
            classes = np.array(models[-1].info.classes, dtype=object)
            for head in fitted:
                chosen, _ = probes.decide(head, heads[f"{name}@{head}"], embedded, len(classes))
                items = item_columns(data) | {"predicted": classes[chosen]}
                frames.append(pd.DataFrame({"row": name, "head": head, **items}))
        return pd.concat(frames[1:] or frames, ignore_index=True)

    def _embedded(self, model: Model, part: Part, context: Context) -> Float[np.ndarray, "item dim"]:
        return embed_part(model, part, context, pooling=self.config.pooling).double().numpy()
