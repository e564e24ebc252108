"""Which variety a recording is from, what is taken for what, and whether it was the variety that told.

For sets such as "spoken language varieties of Italy" (La Quatra, Koudounas, Baralis, Siniscalchi, "Speech Analysis of Language
Varieties in Italy", LREC-COLING 2024): macro-F1 over regions, confusion of neighbouring regions, and pictures of the embeddings.
The paper's abstract alone could be read, and its code is not published; the protocol is our own. It judges any labelled
collection, sound or series.

| in the result | is |
| --- | --- |
| rows | accuracy, macro-F1, balanced accuracy, ... of every judged stage and of the controls; of the first group column too |
| `intervals` | the 95 % intervals of these from a bootstrap over groups |
| `judged_by` | what classified each row: a model's own head, or logistic regression on embeddings |
| `confusion`, `confusion_shares`, `confusion_pairs` | counts, shares of the true class, both directions of a pair together |
| `similarity`, `linkage/COLUMN` | cosines of the centroids of classes; average-linkage trees of classes and of places |
| `nearness` | silhouettes by class, speaker, place and recording; purity of neighbours, with and without those of the same speaker |
| `leaks` | what embeddings tell of speakers and recordings, and what metadata and silence tell of the class |
| `places`, `mantel` | places with their coordinates and centroids; distance in the space against distance on the earth |
| `slices` | figures of the values of a column such as gender |

Macro figures are means over the classes of the training part: one without test items counts 0, and is named. The classifier of
embeddings is logistic regression on standardised features with classes of equal weight, in one fixed form (`cost`), so that no row is
tuned more than another. Geometry is that of test embeddings, standardised by the training part.

    protocol = VarietyAnalysis(VarietyAnalysisConfig(slices=("gender",)))
    result = protocol.evaluate({"supervised": [model], "random": [untrained]}, split, Context())
    result.value("supervised", "macro_f1"), result.tables["leaks"], result.warnings
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int

from tswork.context import Context
from tswork.data.collection import Part, Split
from tswork.data.faults import refuse
from tswork.methods.embedding import classify_part, embed_part
from tswork.methods.model import Model
from tswork.metrics import probes
from tswork.metrics.classification import METRICS
from tswork.metrics.probes import ProbeName
from tswork.protocols import variety_pictures as pictures
from tswork.protocols.base import Heads, Protocol, Result, not_beaten, role_of
from tswork.protocols.class_table import ClassTable, embedding_frame, item_columns
from tswork.protocols.kept_arrays import kept_embeddings, kept_features
from tswork.protocols.labelled import (
    capped,
    label_problems,
    labelled,
    left_out,
    majority,
    one_class_in_test,
    refuse_horizon,
)
from tswork.protocols.plain_features import defined, feature_problems
from tswork.protocols.space_tables import SpaceTables
from tswork.protocols.spaces import Space
from tswork.protocols.variety_config import Columns, VarietyAnalysisConfig, column_problems
from tswork.protocols.variety_tables import confusion_tables, intervals, slices, unsupported
from tswork.registry import register

OWN = "own"
PROBE: ProbeName = "logistic"
GEOMETRY = ("silhouette", "purity")
Decided = tuple[Int[np.ndarray, "item"], Float[np.ndarray, "item class"]]


@register("protocol", "variety_analysis", version=2, config=VarietyAnalysisConfig)
class VarietyAnalysis(Protocol[VarietyAnalysisConfig]):
    """Classes beside majority, MFCC statistics and untrained encoders; confusion, trees, maps, and what leaks."""

    headline = "macro_f1"
    metrics = (*METRICS, *GEOMETRY)
    greater_is_better = True
    unit_kind = "group"

    def check(self, split: Split) -> None:
        """Refuse data without labels, options that the data cannot serve, and columns that are not there."""
        collection = split.train.collection
        features = feature_problems(self.config.features, collection)
        refuse([*label_problems(split), *column_problems(self.config, collection), *features])

    def evaluate(self, candidates: Mapping[str, Sequence[Model]], split: Split, context: Context) -> Result:
        """Judge the last model of each candidate; figures, and the page where one is asked for, go to the recorder.

        Units are test items as in `probe_classify`. The tables `embeddings/NAME` hold the embeddings of the test items.
        """
        self.check(split)
        columns = Columns.of(self.config, split.train.collection)
        train, test = labelled(split.train), labelled(split.test)
        train = capped(train, columns.label, self.config.max_train, context.seed)
        spaces = list(self._spaces(candidates, train, test, context))
        result = self._classified(candidates, spaces, train, test, columns, context)
        seen = SpaceTables(self.config, columns, train, test, context)
        for space in spaces:
            seen.look_at(space)
        extra, told = seen.finish(list(candidates))
        beaten = not_beaten(result.rows, self.headline, greater_is_better=True)
        result = replace(
            result,
            rows=pd.concat([result.rows, seen.rows()], ignore_index=True),
            tables={**result.tables, **extra},
            warnings=(*left_out(split), *one_class_in_test(test), *result.warnings, *told, *beaten),
        )
        pictures.draw_tables(result.tables, context)
        return result

    def predict(
        self,
        candidates: Mapping[str, Sequence[Model]],
        heads: Heads,
        data: Part,
        context: Context,
        *,
        horizon: int | None = None,
    ) -> pd.DataFrame:
        """Classes of new items by every judged stage, by what judged it, with the probability of the class.

        Columns: row, head, item (span), sequence, start, stop, predicted, probability. Raises `DataInvalid` when a horizon is
        asked for.
        """
        refuse_horizon(horizon)
        frames = []
        for name, models in candidates.items():
            arrays = heads.get(f"{name}@{PROBE}")
            predicted, scores = self._decide(models[-1], arrays, data, context)
            items = item_columns(data) | {
                "predicted": np.array(models[-1].info.classes, dtype=object)[predicted],
                "probability": scores.max(axis=1) if len(data) else np.zeros(0),
            }
            frames.append(pd.DataFrame({"row": name, "head": OWN if arrays is None else PROBE, **items}))
        columns = ["row", "head", *item_columns(data), "predicted", "probability"]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)

    def _spaces(
        self, candidates: Mapping[str, Sequence[Model]], train: Part, test: Part, context: Context
    ) -> Iterator[Space]:
        parts = {"train": train, "test": test}
        if self.config.features != "none":
            found = defined(*kept_features(context, self.config.features, parts))
            yield Space(self.config.features, "control", *found)
        for name, models in candidates.items():
            embedded = kept_embeddings(context, name, models, parts, pooling=self.config.pooling)
            yield Space(name, role_of(name), *embedded)

    def _classified(
        self,
        candidates: Mapping[str, Sequence[Model]],
        spaces: Sequence[Space],
        train: Part,
        test: Part,
        columns: Columns,
        context: Context,
    ) -> Result:
        """The table of a classifier: rows, units, predictions, confusion, intervals, slices."""
        truth_train, truth = (part.codes(columns.label).numpy() for part in (train, test))
        known = np.unique(truth_train)
        table = ClassTable(test, truth, train.collection.classes, PROBE, averaged=len(known))
        table.add("majority", "control", PROBE, *majority(truth_train, len(truth), len(table.classes)))
        heads: dict[str, dict[str, np.ndarray]] = {}
        judged_by = {"majority": "the most frequent class"}
        for space in spaces:
            model = candidates[space.row][-1] if space.row in candidates else None
            if model is not None and self._own(model, space.role):
                judged_by[space.row] = OWN
                decided = self._decide(model, None, test, context)
            else:
                judged_by[space.row] = PROBE
                arrays = probes.fit_balanced(space.train, truth_train, cost=self.config.cost)
                decided = probes.decide(PROBE, arrays, space.test, len(table.classes))
                if space.row in candidates:
                    heads[f"{space.row}@{PROBE}"] = arrays
            table.add(space.row, space.role, PROBE, *decided)
        result = table.result(heads)
        assert result.units is not None
        assert result.predictions is not None
        by = pd.DataFrame({"row": list(judged_by), "head": list(judged_by.values())})
        tables = {
            **result.tables,
            **confusion_tables(result.tables["confusion"]),
            "judged_by": by,
            "intervals": intervals(result.units, seed=context.seed),
            **{f"embeddings/{space.row}": embedding_frame(test, space.test) for space in _of_candidates(spaces)},
        }
        if self.config.slices:
            tables["slices"] = slices(result.units, test, self.config.slices, len(known))
        predictions = result.predictions.assign(head=result.predictions["row"].map(judged_by))
        told = tuple(unsupported(known, truth, table.classes))
        return replace(result, predictions=predictions, tables=tables, warnings=told)

    def _own(self, model: Model, role: str) -> bool:
        """Whether a model's own head classifies; that of an untrained or foreign encoder says nothing."""
        return self.config.head == "own" and role == "candidate" and "classify" in model.provides

    def _decide(self, model: Model, arrays: Mapping[str, np.ndarray] | None, part: Part, context: Context) -> Decided:
        """Classes and probabilities by the arrays of a regression, or by the model's own head without them."""
        if arrays is None:
            logits = classify_part(model, part, context)
            return logits.argmax(dim=1).numpy(), torch.softmax(logits.double(), dim=1).numpy()
        embedded = embed_part(model, part, context, pooling=self.config.pooling).double().numpy()
        return probes.decide(PROBE, arrays, embedded, len(model.info.classes))


def _of_candidates(spaces: Sequence[Space]) -> Iterator[Space]:
    return (space for space in spaces if space.role == "candidate")
