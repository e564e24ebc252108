"""From items to those they come from: a patient is judged by the mean of the scores of its segments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from tswork.data.collection import Part

COLUMNS = ("row", "at", "truth", "predicted", "items", "accuracy", "score")
"""Of the table of groups, with those that tell whose it is."""


@dataclass(frozen=True, eq=False)
class GroupLevel:
    """The groups of the first group column (`name`: patient, speaker, ...), where each of them has one class.

    `of` is the group of each item, `truth` the class of each group, `names` the groups as the table writes them.
    """

    name: str
    names: tuple[str, ...]
    of: Int[np.ndarray, "item"]
    truth: Int[np.ndarray, "group"]

    @staticmethod
    def of_part(part: Part, truth: Int[np.ndarray, "item"]) -> GroupLevel | None:
        """The groups of a part; None without a group column, with items that belong to none, or with groups of two classes."""
        if not part.collection.groups or not len(part):
            return None
        name = part.collection.groups[0]
        codes = part.codes(name).numpy()
        found, of, first = _numbered(codes)
        if found[0] < 0 or bool((truth != truth[first][of]).any()):
            return None
        categories = part.collection.categories(name)
        return GroupLevel(name, tuple(categories[code] for code in found), of, truth[first])

    def scores(self, scores: Float[np.ndarray, "item class"]) -> Float[np.ndarray, "group class"]:
        """The mean score of each group's items in every class."""
        return mean_by(self.of, scores, len(self.names))

    def table(
        self,
        predicted: Int[np.ndarray, "item"],
        scores: Float[np.ndarray, "item class"],
        classes: tuple[str, ...],
    ) -> pd.DataFrame:
        """Each group, the worst first: its truth, what it is taken for, its items, and the share of them that is right.

        The first column is called as the groups are, with `_` behind where a table of results has a column of that name.
        """
        names, mean = np.array(classes, dtype=object), self.scores(scores)
        right = (predicted == self.truth[self.of]).astype(float)
        frame = pd.DataFrame(
            {
                f"{self.name}_" if self.name in COLUMNS else self.name: self.names,
                "truth": names[self.truth],
                "predicted": names[mean.argmax(axis=1)],
                "items": np.bincount(self.of, minlength=len(self.names)),
                "accuracy": mean_by(self.of, right[:, None], len(self.names))[:, 0],
                "score": mean[np.arange(len(mean)), self.truth],
            }
        )
        return frame.sort_values(["accuracy", "score"], kind="stable", ignore_index=True)


def mean_by(
    of: Int[np.ndarray, "item"], values: Float[np.ndarray, "item column"], groups: int
) -> Float[np.ndarray, "group column"]:
    """The mean of each column over the items of each group."""
    sums = np.zeros((groups, values.shape[1]))
    np.add.at(sums, of, values)
    return sums / np.bincount(of, minlength=groups)[:, None]


def _numbered(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    found, first, of = np.unique(codes, return_index=True, return_inverse=True)
    return found, of, first
