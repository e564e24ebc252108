"""What is seen in the spaces of all rows: nearness, trees, places, and what leaks; with the pictures of models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd
import torch

from tswork.context import Context
from tswork.data.collection import Part
from tswork.protocols import variety_pictures as pictures
from tswork.protocols.base import make_rows, role_of
from tswork.protocols.geography import mantel_line, places_table
from tswork.protocols.labelled import capped
from tswork.protocols.leak_probes import LeakProbes
from tswork.protocols.space_geometry import (
    Centroids,
    Tree,
    nearness,
    nearness_warnings,
    similarity_table,
    undefined_nearness,
)
from tswork.protocols.spaces import Space
from tswork.protocols.variety_config import Columns, VarietyAnalysisConfig


class SpaceTables:
    """Looks at one space after another, and keeps what it saw."""

    def __init__(
        self, config: VarietyAnalysisConfig, columns: Columns, train: Part, test: Part, context: Context
    ) -> None:
        self._config, self._columns, self._context = config, columns, context
        chosen = capped(test, columns.label, config.max_items, context.seed)
        self._test = chosen
        self._rows = torch.isin(_keys(test), _keys(chosen)).numpy()
        self._leaks = LeakProbes(config, columns, train, test, seed=context.seed)
        self._nearness: list[tuple[str, str, str, str, float, float]] = []
        self._tables: dict[str, list[pd.DataFrame]] = {}
        self._mantel: list[dict[str, object]] = []

    def look_at(self, space: Space) -> None:
        """Everything that concerns one space; pictures are those of models."""
        config, columns = self._config, self._columns
        if config.leaks:
            self._leaks.of_space(space)
        space = replace(space, test=space.test[self._rows])
        found = nearness(space, self._test, columns, distance=config.distance, neighbours=config.neighbours)
        self._nearness += [(space.row, space.role, *figures) for figures in found]
        of_classes = Centroids.of(space.scaled, self._test, columns.label)
        self._keep("similarity", space, similarity_table(of_classes))
        self._tree(space, columns.label, of_classes, None)
        if columns.place is not None:
            self._places(space, columns.place)
        if space.role == "candidate":
            pictures.draw_space(space, self._test, config, columns, self._context)

    def rows(self) -> pd.DataFrame:
        """Silhouettes and purity as figures of the result: `silhouette`, `silhouette.speaker`, `purity`, `purity.others`."""
        return make_rows(
            [
                (row, role, measure if column == self._columns.label else f"{measure}.{column}", "", value)
                for row, role, measure, column, value, _ in self._nearness
            ]
        )

    def finish(self, candidates: Sequence[str]) -> tuple[dict[str, pd.DataFrame], tuple[str, ...]]:
        """The tables and what they warn of."""
        names = ["row", "role", "measure", "column", "value", "by_chance"]
        near = pd.DataFrame(self._nearness, columns=names)
        tables = {
            "nearness": near,
            **{name: pd.concat(found, ignore_index=True) for name, found in self._tables.items()},
        }
        told = [*undefined_nearness(near), *nearness_warnings(near, self._columns)]
        if self._mantel:
            tables["mantel"] = pd.DataFrame(self._mantel)
        if self._config.leaks:
            self._leaks.of_recordings()
            tables["leaks"] = self._leaks.table()
            told += list(self._leaks.warnings([name for name in candidates if role_of(name) == "candidate"]))
        return tables, tuple(told)

    def _tree(self, space: Space, column: str, centroids: Centroids, classes: Mapping[str, str] | None) -> None:
        if len(centroids.names) < 2:
            return
        tree = Tree.of(space.row, column, centroids, self._config.distance)
        self._keep(f"linkage/{column}", space, tree.table())
        if space.role == "candidate":
            pictures.draw_tree(tree, classes, self._context)

    def _places(self, space: Space, place: str) -> None:
        centroids = Centroids.of(space.scaled, self._test, place)
        if not centroids.names:
            return
        places = places_table(centroids, self._test, self._columns)
        self._keep("places", space, places)
        self._tree(space, place, centroids, dict(zip(places["place"], places["label"].astype(str), strict=True)))
        if self._columns.coordinates is None:
            return
        distance, permutations = self._config.distance, self._config.permutations
        line = mantel_line(
            space, places, centroids, distance=distance, permutations=permutations, seed=self._context.seed
        )
        self._mantel.append(line)
        if space.role == "candidate":
            pictures.draw_places(space, places, self._context)

    def _keep(self, name: str, space: Space, frame: pd.DataFrame) -> None:
        labelled_frame = pd.concat([pd.DataFrame({"row": space.row}, index=frame.index), frame], axis=1)
        self._tables.setdefault(name, []).append(labelled_frame)


def _keys(part: Part) -> torch.Tensor:
    """A number for each span of a part, equal for equal spans of one collection."""
    return part.collection.offsets[part.spans[:, 0]] + part.spans[:, 1]
