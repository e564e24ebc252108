"""Training, validation and test parts by position in each class's list of groups, as several published splits of medical sets are made.

The groups of each class (patients of each diagnosis) in the order of their ids: the first train, the next validate, the last test. The
parts stand in the column `split`, which `split: {by: official}` takes. Ids are often given in the order of admission, so such a split
also divides by time and place; random splits by groups are the better question, this one is for comparison with tables that used it.

    prepare: [{uses: parts_in_order, group: patient, last: {healthy: [7, 7], ill: [21, 21]}}]     # COMET, PTB
    prepare: [{uses: parts_in_order, group: patient, fractions: [.6, .2, .2]}]                    # Medformer, LEAD
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Int
from pydantic import Field, model_validator
from torch import Tensor

from tswork.config import Config, Many
from tswork.data.collection import Collection
from tswork.data.faults import refuse, some
from tswork.data.part_words import PARTS, SPLIT
from tswork.data.prepare.base import Preparation
from tswork.errors import Problem, did_you_mean
from tswork.registry import register
from tswork.wording import counted, worded


class PartsInOrderConfig(Config):
    group: str = Field(min_length=1, description="table column whose values are divided, in order")
    fractions: Many[float] | None = Field(
        default=None,
        description="shares of training, validation and test in each class, summing to 1; borders round down",
    )
    last: dict[str, Many[int]] | None = Field(
        default=None, description="class: numbers of the last groups that validate and, after them, test"
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> PartsInOrderConfig:
        if (self.fractions is None) == (self.last is None):
            raise ValueError("give `fractions` or `last`")
        given = self.fractions
        if given is not None and (len(given) != 3 or min(given) < 0 or abs(sum(given) - 1) > 1e-9):
            raise ValueError("`fractions` should be three shares of at least 0 that sum to 1")
        if any(len(numbers) != 2 or min(numbers) < 0 for numbers in (self.last or {}).values()):
            raise ValueError("`last` should give two numbers for each class: of validation and of test")
        return self


@register("preparation", "parts_in_order", version=1, config=PartsInOrderConfig)
class PartsInOrder(Preparation[PartsInOrderConfig]):
    """Writes an official split: the first groups of each class train, the next validate, the last test."""

    def apply(self, collection: Collection) -> Collection:
        refuse(self._problems(collection))
        label = collection.label
        assert label is not None
        codes, labels = collection.codes(self.config.group), collection.codes(label)
        part = np.zeros(len(collection), np.int64)
        for code, name in enumerate(collection.categories(label)):
            groups = torch.unique(codes[labels == code])  # in the order of their values
            bounds = torch.tensor(self._bounds(name, len(groups)))
            place = torch.searchsorted(groups, codes[labels == code])
            part[(labels == code).numpy()] = torch.searchsorted(bounds, place, right=True).numpy()
        return collection.replaced(table=collection.table.assign(**{SPLIT: np.array(PARTS, dtype=object)[part]}))

    def _bounds(self, name: str, count: int) -> tuple[int, int]:
        """Where validation and test begin among the groups of a class."""
        if self.config.last is not None:
            validation, test = self.config.last[name]
            return count - test - validation, count - test
        assert self.config.fractions is not None
        first, second, _ = self.config.fractions
        return int(count * first + 1e-9), int(count * (first + second) + 1e-9)

    def _problems(self, collection: Collection) -> list[Problem]:
        group, label = self.config.group, collection.label
        if group not in collection.table.columns:
            hint = did_you_mean(group, map(str, collection.table.columns))
            return [Problem(f"there is no column {group!r}", "data.prepare", remedy=hint)]
        if label is None:
            return [Problem("'parts_in_order' needs classes", "data.label", remedy="Name their column with `label:`.")]
        codes, labels = collection.codes(group), collection.codes(label)
        problems = []
        if bool((codes < 0).any()):
            without = counted(int((codes < 0).sum()), "sequence has", "sequences have")
            problems.append(Problem(f"{without} no {group!r}", "data.prepare"))
        both = _of_several_classes(codes, labels)
        if both:
            names = some([collection.categories(group)[code] for code in both])
            text = f"{counted(len(both), 'value')} of {group!r} {worded(len(both), 'is', 'are')} in several classes: {names}"
            problems.append(Problem(text, "data.prepare"))
        return [*problems, *self._number_problems(collection, codes, labels)]

    def _number_problems(
        self, collection: Collection, codes: Int[Tensor, "sequence"], labels: Int[Tensor, "sequence"]
    ) -> list[Problem]:
        """Classes that `last` does not name or that are not there, and such with too few groups."""
        last, problems = self.config.last, []
        for name in last or {}:
            if name not in collection.classes:
                hint = did_you_mean(name, collection.classes)
                problems.append(Problem(f"there is no class {name!r}", "data.prepare", remedy=hint))
        for code, name in enumerate(collection.classes):
            count = len(torch.unique(codes[labels == code]))
            if last is not None and name not in last:
                problems.append(Problem(f"`last` names no numbers for the class {name!r}", "data.prepare"))
            elif any(one < 0 for one in _sizes(self._bounds(name, count), count)):
                text = f"the class {name!r} has {counted(count, 'value')} of {self.config.group!r}, fewer than `last` asks for"
                problems.append(Problem(text, "data.prepare"))
        return problems


def _sizes(bounds: tuple[int, int], count: int) -> list[int]:
    return [after - before for before, after in pairwise((0, *bounds, count))]


def _of_several_classes(codes: Int[Tensor, "sequence"], labels: Int[Tensor, "sequence"]) -> list[int]:
    pairs = torch.unique(torch.stack([codes, labels], dim=1), dim=0)
    groups, count = torch.unique(pairs[:, 0], return_counts=True)
    found: list[int] = groups[(count > 1) & (groups >= 0)].tolist()
    return found
