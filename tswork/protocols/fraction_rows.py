"""The rows of one share of the labels: every candidate and control that has to be trained on it, tested."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from tswork.context import Context
from tswork.data.collection import DataInfo, Part
from tswork.encoders.pooling import pooled_dim
from tswork.methods.model import Model
from tswork.methods.weights import load_weights, weights_of
from tswork.metrics import probes
from tswork.protocols.base import SCRATCH, role_of
from tswork.protocols.class_table import ClassTable
from tswork.protocols.fine_tuning import Embedded, Recipe, Scored, Tuned, embedded_part, tuned_model
from tswork.protocols.finetune_config import FinetuneFractionConfig
from tswork.protocols.kept_tuning import Tuning
from tswork.protocols.labelled import group_codes, majority
from tswork.protocols.plain_features import defined, plain_features


class FractionRows:
    """Trains what one share after another asks for, and puts what it says of the test part into a table.

    `heads` holds the weights of the candidates' networks, by `row@share`.
    """

    def __init__(
        self,
        config: FinetuneFractionConfig,
        candidates: Mapping[str, Sequence[Model]],
        table: ClassTable,
        context: Context,
        *,
        info: DataInfo,
        validation: Part,
        test: Part,
    ) -> None:
        self.heads: dict[str, dict[str, np.ndarray]] = {}
        self._config = config
        self._sources = {name: models[-1] for name, models in candidates.items()}
        self._table = table
        self._info = info
        self._context = context
        self._validation, self._test = validation, test
        self._held_out: dict[str, tuple[Model, Part, Scored]] = {}
        self._labels: list[dict[str, object]] = []
        self._training: list[dict[str, object]] = []

    def add(self, part: Part, at: str, position: int) -> None:
        """Everything that learns from these items."""
        truth = part.codes(part.label).numpy()
        self._labels.append(self._drawn(part, truth, at))
        shares = majority(truth, len(self._test), len(self._table.classes))
        self._table.add("majority", "control", "network", *shares, at=at)
        for name in self._sources:
            self._add_network(name, part, at, position)
        if self._config.features != "none":
            x, x_test = defined(plain_features(self._config.features, part), self._test_features)
            arrays = probes.fit_logistic(x, truth, groups=group_codes(part))
            decided = probes.decide("logistic", arrays, x_test, len(self._table.classes))
            self._table.add(self._config.features, "control", "network", *decided, at=at)

    def add_missing(self, at: str) -> None:
        """All rows of a share that could not be drawn, as NaN."""
        for row, role in self._rows():
            self._table.add_missing(row, role, at=at)

    def labels(self) -> pd.DataFrame:
        """What was drawn of each share: at, by, items, groups, and the number of items of each class."""
        return pd.DataFrame(self._labels)

    def training(self) -> pd.DataFrame:
        """What was chosen for each network: row, at, learning_rate, epochs, steps, stopped, validation_macro_f1."""
        columns = ["row", "at", "learning_rate", "epochs", "steps", "stopped", "validation_macro_f1"]
        return pd.DataFrame(self._training, columns=columns)

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield "majority", "control"
        for name in self._sources:
            yield name, role_of(name)
            if (scratch := self._from_scratch(name)) is not None:
                yield scratch, role_of(scratch)
        if self._config.features != "none":
            yield self._config.features, "control"

    def _add_network(self, name: str, part: Part, at: str, position: int) -> None:
        recipes = self._config.recipes(position)
        tuned = self._tuned(name, name, part, recipes, at)
        self._judge(name, name, tuned, at)
        if role_of(name) == "candidate":
            arrays = {key: value.cpu().numpy() for key, value in weights_of(tuned.model).items()}
            self.heads[f"{name}@{at}"] = arrays
        scratch = self._from_scratch(name)
        if scratch is not None:
            own = self._config.recipes(position, scratch=True)
            # Equal recipes on the same encoder give the same network.
            self._judge(scratch, name, tuned if own == recipes else self._tuned(scratch, name, part, own, at), at)

    def _from_scratch(self, name: str) -> str | None:
        """The row of the untrained encoder with a recipe of its own, beside the row `random` that it belongs to."""
        kind, dot, of = name.partition(".")
        return f"{SCRATCH}{dot}{of}" if self._config.scratch is not None and kind == "random" else None

    def _tuned(self, row: str, name: str, part: Part, recipes: Sequence[Recipe], at: str) -> Tuned:
        """The best on the validation part of the networks that the recipes give; the first of equal ones."""
        source, validation, _ = self._judged_on(name)

        @cache
        def as_read() -> Part:
            return network_input(self._config, self._sources[name], part, self._context)[1]

        tuning = Tuning(f"{row}@{at}", source, part, as_read, validation, self._info)
        return tuning.best(recipes, self._context)

    def _judge(self, row: str, name: str, tuned: Tuned, at: str) -> None:
        probabilities = self._judged_on(name)[2].probabilities(tuned.model)
        self._table.add(row, role_of(row), "network", probabilities.argmax(axis=1), probabilities, at=at)
        self._training.append(
            {
                "row": row,
                "at": at,
                "learning_rate": tuned.recipe.learning_rate,
                "epochs": tuned.recipe.epochs,
                "steps": tuned.steps,
                "stopped": tuned.stopped,
                "validation_macro_f1": tuned.score,
            }
        )

    def _judged_on(self, name: str) -> tuple[Model, Part, Scored]:
        """What networks of one encoder start from, and the held-out parts as they read them; made once."""
        key = name if self._config.train == "head" else str(self._sources[name].encoder.padding_invariant)
        if key not in self._held_out:
            source, validation = network_input(self._config, self._sources[name], self._validation, self._context)
            _, test = network_input(self._config, self._sources[name], self._test, self._context)
            self._held_out[key] = source, validation, Scored(test, source.encoder, self._context)
        source, validation, scored = self._held_out[key]
        return (source if self._config.train == "head" else self._sources[name]), validation, scored

    @property
    def _test_features(self) -> Float[np.ndarray, "item feature"]:
        if not hasattr(self, "_features"):
            self._features = plain_features(self._config.features, self._test)
        return self._features

    def _drawn(self, part: Part, truth: np.ndarray, at: str) -> dict[str, object]:
        collection, config = part.collection, self._config
        column = config.group or (collection.groups[0] if collection.groups else None)
        codes = part.codes(column) if column is not None else None
        groups = {"groups": len(torch.unique(codes[codes >= 0]))} if codes is not None else {}
        counts = np.bincount(truth, minlength=len(self._table.classes)).tolist()
        of_class = {f"class {name}": count for name, count in zip(self._table.classes, counts, strict=True)}
        return {"at": at, "by": config.by, "items": len(part), **groups, **of_class}


def network_input(config: FinetuneFractionConfig, source: Model, part: Part, context: Context) -> tuple[Model, Part]:
    """What a network starts from, and a part as it reads it: with a frozen encoder, the embeddings it made of the items."""
    if config.train == "all":
        return source, part
    return (
        Model(Embedded(pooled_dim(source.encoder, config.pooling)), source.info, pooling="last"),
        embedded_part(source, part, context, pooling=config.pooling),
    )


def stored_probabilities(
    config: FinetuneFractionConfig, source: Model, arrays: Mapping[str, np.ndarray], data: Part, context: Context
) -> Float[np.ndarray, "item class"]:
    """What a stored network says of new items."""
    judged, part = network_input(config, source, data, context)
    model = tuned_model(judged, config.recipes(0)[0], source.info, seed=0)
    weights = {name: torch.from_numpy(array) for name, array in arrays.items()}
    load_weights(model, weights, source="the stored network")
    return Scored(part, model.encoder, context).probabilities(model.to(context.device).eval())
