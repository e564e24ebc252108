"""Fine-tuning on shares of the labels: what pre-training is worth when labels are few.

Protocol of COMET (Wang et al., NeurIPS 2023, section 5; released code at commit a769779): the pre-trained encoder and a two-layer head
are trained together on all, a tenth and a hundredth of the training labels, and the weights with the best macro-F1 on the
validation part are tested. Here every share also has, in the same result,

| control | is |
| --- | --- |
| random | the untrained encoder, fine-tuned by the same recipe: same seeds, batches and first weights of the head |
| from_scratch | the same untrained encoder with a learning rate and a number of epochs of its own |
| band_powers, beat_statistics, statistics | plain features and logistic regression on the same labelled items, cost by whole groups |
| majority | the most frequent class of these items |

Rows stand at their share (`at`: 100%, 10%, 1%), and once with the mean over the shares (`at` empty). Figures are those of items
(segments), and behind a dot those of the first group column (`macro_f1.patient`): a patient is judged by the mean of the probabilities
of its segments. The table `groups` names the groups of each row, the worst first.

Departures
| published | here |
| --- | --- |
| outputs squashed twice, dropout on them | logits; the published head is `head: published` |
| half of the latent steps hidden in training, which the paper does not say | nothing hidden; `mask: binomial` does it |
| the first int(N * share) rows of one fixed order, whatever the seed | drawn by the seed, by segments or by whole groups |
| 50 epochs on all labels, 100 on fewer | `epochs: [50, 100, 100]` is the default |

    protocol = FinetuneFraction(FinetuneFractionConfig(fractions=(1.0, 0.1)))
    result = protocol.evaluate({"comet": [model], "random": [untrained]}, split, Context())
    result.value("comet", "macro_f1", "10%")
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from tswork.context import Context
from tswork.data.collection import DataInfo, Part, Split
from tswork.data.faults import refuse
from tswork.data.fractions import labelled_fraction
from tswork.errors import DataInvalid, Problem
from tswork.figures.confusion import confusion_matrix
from tswork.methods.model import Model
from tswork.metrics.classification import METRICS
from tswork.protocols.base import Heads, Protocol, Result, not_beaten
from tswork.protocols.class_table import ClassTable, item_columns
from tswork.protocols.finetune_config import FinetuneFractionConfig, share
from tswork.protocols.fraction_rows import FractionRows, stored_probabilities
from tswork.protocols.labelled import (
    label_problems,
    labelled,
    left_out,
    one_class_in_test,
    refuse_horizon,
    without_group,
)
from tswork.protocols.plain_features import feature_problems
from tswork.registry import register
from tswork.wording import counted

NO_VALIDATION = (
    "there is no labelled validation part: every network trains all its epochs, and its last weights are tested"
)
SEEDS_TRIED = 8
"""Draws of a share that are looked at before anything trains; where none has every class, the share is refused."""


@register("protocol", "finetune_fraction", version=2, config=FinetuneFractionConfig)
class FinetuneFraction(Protocol[FinetuneFractionConfig]):
    """Fine-tuned on shares of the labels, beside the untrained encoder, training from scratch, plain features and the majority."""

    headline = "macro_f1"
    metrics = METRICS
    greater_is_better = True
    unit_kind = "group"

    def check(self, split: Split) -> None:
        """Refuse data without labels, fractions that cannot hold two classes, and options that the data cannot serve."""
        refuse(label_problems(split))
        refuse(self._problems(split))

    def evaluate(self, candidates: Mapping[str, Sequence[Model]], split: Split, context: Context) -> Result:
        """Fine-tune the last model of each candidate on every fraction, and test it.

        Units are test items as in `probe_classify`. The table `labels` tells what was drawn, `training` what was chosen, and
        heads hold the weights of the candidates' networks. A fraction whose draw lacks a class has NaN for figures.
        """
        self.check(split)
        train, validation, test = (labelled(part) for part in (split.train, split.validation, split.test))
        table = ClassTable(test, test.codes(test.label).numpy(), split.train.collection.classes, "network")
        info = DataInfo.of(split.train)
        rows = FractionRows(self.config, candidates, table, context, info=info, validation=validation, test=test)
        told = [*left_out(split), *one_class_in_test(test), *without_group(test)]
        told += [] if len(validation) else [NO_VALIDATION]
        for position, fraction in enumerate(self.config.fractions):
            try:
                rows.add(self._drawn(train, fraction, context.seed), share(fraction), position)
            except DrawnUnfit as unfit:
                rows.add_missing(share(fraction))
                told.append(f"nothing was trained on {share(fraction)} of the labels: {unfit}")
        result = table.result(rows.heads)
        assert result.predictions is not None
        for (row, place), counts in result.tables["confusion"].groupby(["row", "at"], sort=False):
            if row in candidates:
                context.recorder.figure(
                    f"confusion/{row}@{place}", confusion_matrix(counts, title=f"{row} with {place} of the labels")
                )
        return replace(
            result,
            predictions=result.predictions.drop(columns="head"),
            tables={**result.tables, "labels": rows.labels(), "training": rows.training()},
            warnings=(*told, *not_beaten(result.rows, self.headline, greater_is_better=True)),
        )

    def predict(
        self,
        candidates: Mapping[str, Sequence[Model]],
        heads: Heads,
        data: Part,
        context: Context,
        *,
        horizon: int | None = None,
    ) -> pd.DataFrame:
        """Classes of new items by every fine-tuned network that was kept, with the probability of the class.

        Columns: row, at, item (span), sequence, start, stop, predicted, probability. Raises `DataInvalid` when a horizon is
        asked for.
        """
        refuse_horizon(horizon)
        frames = []
        for key, arrays in heads.items():
            row, _, at = key.rpartition("@")
            if row not in candidates:
                continue
            source = candidates[row][-1]
            probabilities = stored_probabilities(self.config, source, arrays, data, context)
            chosen = probabilities.argmax(axis=1)
            items = item_columns(data) | {
                "predicted": np.array(source.info.classes, dtype=object)[chosen],
                "probability": probabilities.max(axis=1),
            }
            frames.append(pd.DataFrame({"row": row, "at": at, **items}))
        columns = ["row", "at", *item_columns(data), "predicted", "probability"]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)

    def _drawn(self, train: Part, fraction: float, seed: int) -> Part:
        config = self.config
        try:
            return labelled_fraction(
                train, fraction, by=config.by, seed=seed, group=config.group, stratify=config.stratify
            )
        except DataInvalid as fault:
            raise DrawnUnfit(fault.problems) from fault

    def _problems(self, split: Split) -> Iterator[Problem]:
        config, collection = self.config, split.train.collection
        yield from feature_problems(config.features, collection)
        validation = labelled(split.validation)
        if config.learning_rates is not None and len(config.learning_rates) > 1 and not len(validation):
            yield Problem(
                f"there is no labelled validation part to choose among {counted(len(config.learning_rates), 'learning rate')} on",
                "learning_rates",
                remedy="Give `split` a share for validation, or one `learning_rate`.",
            )
        for fraction in config.fractions:
            found = [self._draw_problems(labelled(split.train), fraction, seed) for seed in range(SEEDS_TRIED)]
            # A draw that fails by chance is told when it happens; one that always fails is refused.
            yield from found[0] if all(found) else ()

    def _draw_problems(self, train: Part, fraction: float, seed: int) -> list[Problem]:
        try:
            self._drawn(train, fraction, seed)
        except DrawnUnfit as unfit:
            return [replace(one, path="fractions" if one.path == "fraction" else one.path) for one in unfit.problems]
        return []


class DrawnUnfit(DataInvalid):
    """A share of the labels that cannot be learnt from."""
