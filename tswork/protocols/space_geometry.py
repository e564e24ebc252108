"""What lies near what in a space: silhouettes, neighbours, centroids of classes and places, and their trees.

The alarm: where test items lie nearer to their speaker (place, session) than to their class, the space is about speakers, and a figure
that comes from a split by clips is recognition of speakers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from tswork.data.collection import Part
from tswork.metrics.knn_purity import chance_purity, knn_purity
from tswork.metrics.linkage import average_linkage, cophenetic_correlation, linkage_table
from tswork.metrics.silhouette import silhouette
from tswork.protocols.group_level import mean_by
from tswork.protocols.spaces import Distance, Space, cosines, pairwise
from tswork.protocols.variety_config import Columns

PURITY = "purity"
OTHERS = "purity.others"


@dataclass(frozen=True, eq=False)
class Centroids:
    """The mean vectors of the values of a column, in the order of their names."""

    names: tuple[str, ...]
    vectors: Float[np.ndarray, "value dim"]
    items: Int[np.ndarray, "value"]

    @staticmethod
    def of(x: Float[np.ndarray, "item dim"], test: Part, column: str) -> Centroids:
        """Of items that have a value there."""
        codes = test.codes(column).numpy()
        known = codes >= 0
        found, of = np.unique(codes[known], return_inverse=True)
        categories = test.collection.categories(column)
        counts = np.bincount(of, minlength=len(found))
        return Centroids(tuple(categories[code] for code in found), mean_by(of, x[known], len(found)), counts)


@dataclass(frozen=True, eq=False)
class Tree:
    """An average-linkage tree of the values of a column."""

    row: str
    column: str
    names: tuple[str, ...]
    joins: Float[np.ndarray, "join 4"]
    agreement: float

    @staticmethod
    def of(row: str, column: str, centroids: Centroids, distance: Distance) -> Tree:
        """From the distances of their centroids."""
        distances = pairwise(centroids.vectors, distance)
        joins = average_linkage(distances)
        return Tree(row, column, centroids.names, joins, cophenetic_correlation(joins, distances))

    def table(self) -> pd.DataFrame:
        """Columns row, column, step, one, other, height, size, agreement (the cophenetic correlation)."""
        return linkage_table(self.joins, self.names).assign(agreement=self.agreement)[
            ["step", "one", "other", "height", "size", "agreement"]
        ]


def nearness(
    space: Space, test: Part, columns: Columns, *, distance: Distance, neighbours: int
) -> Iterator[tuple[str, str, float, float]]:
    """Figures of one space: (measure, column, value, value by chance).

    `silhouette` by the label and by every identity; `purity` by the label, and `purity.others` with neighbours of other speakers
    only.
    """
    distances = pairwise(space.scaled, distance)
    for column in (columns.label, *columns.identities):
        yield "silhouette", column, silhouette(distances, test.codes(column).numpy()), 0.0
    codes = test.codes(columns.label).numpy()
    chance = chance_purity(codes)
    yield PURITY, columns.label, _mean(knn_purity(distances, codes, neighbours=neighbours)), chance
    if columns.same_voice is not None:
        groups = test.codes(columns.same_voice).numpy()
        others = knn_purity(distances, codes, neighbours=neighbours, groups=groups)
        yield OTHERS, columns.label, _mean(others), _chance_of_others(codes, groups)


def nearness_warnings(table: pd.DataFrame, columns: Columns) -> Iterator[str]:
    """A sentence for each candidate whose items lie nearer to something else than to their class."""
    of_candidates = table[(table["role"] == "candidate") & (table["measure"] == "silhouette")]
    for row, frame in of_candidates.groupby("row", sort=False):
        by = frame.set_index("column")["value"]
        for column in columns.identities:
            if by[column] > by[columns.label]:
                yield (
                    f"leak alarm: items of {row} lie nearer to their {column} than to their {columns.label} (silhouettes"
                    f" {by[column]:.2f} and {by[columns.label]:.2f}); figures from a split that shares {column} values would"
                    f" tell of these"
                )


def undefined_nearness(table: pd.DataFrame) -> Iterator[str]:
    """A sentence for the columns by which no silhouette is defined, whatever the space."""
    lines = table[table["measure"] == "silhouette"]
    without = [str(column) for column, values in lines.groupby("column", sort=False)["value"] if values.isna().all()]
    if without:
        yield (
            f"silhouettes by {', '.join(without)} are not defined and stand as NaN: the test items have one value there, or each of"
            " them has one of its own"
        )


def similarity_table(centroids: Centroids) -> pd.DataFrame:
    """Cosines of centroids about the mean of the training items: columns one, other, cosine, all ordered pairs."""
    count = len(centroids.names)
    return pd.DataFrame(
        {
            "one": np.repeat(centroids.names, count),
            "other": np.tile(centroids.names, count),
            "cosine": cosines(centroids.vectors).reshape(-1),
        }
    )


def _chance_of_others(codes: Int[np.ndarray, "item"], groups: Int[np.ndarray, "item"]) -> float:
    """The chance that two items of different groups share their class; NaN where there are no such pairs."""
    together = (groups[:, None] == groups[None, :]) & (groups[:, None] >= 0)
    np.fill_diagonal(together, True)
    pairs = int((~together).sum())
    return float(((codes[:, None] == codes[None, :]) & ~together).sum() / pairs) if pairs else float("nan")


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if not np.isnan(values).all() else float("nan")
