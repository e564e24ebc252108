"""Places on a map: where they lie, where their centroids lie in a space, and whether the two go together."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tswork.data.collection import Part
from tswork.metrics.mantel import great_circle, mantel
from tswork.protocols.space_geometry import Centroids
from tswork.protocols.spaces import Distance, Space, pairwise
from tswork.protocols.variety_config import Columns

PLACES = ["place", "label", "items", "latitude", "longitude", "first_component", "second_component"]


def places_table(centroids: Centroids, test: Part, columns: Columns) -> pd.DataFrame:
    """A line a place: its most frequent class, its items, mean coordinates, and the principal components of its centroid."""
    assert columns.place is not None
    table = test.table
    known = table[table[columns.place].notna()]
    grouped = known.groupby(known[columns.place].astype(str))
    label = grouped[columns.label].agg(lambda values: values.astype(str).mode().iloc[0])
    found = pd.DataFrame({"place": centroids.names, "items": centroids.items})
    found["label"] = label.reindex(found["place"]).to_numpy()
    for name, column in zip(("latitude", "longitude"), columns.coordinates or (None, None), strict=True):
        means = grouped[column].mean() if column is not None else pd.Series(dtype=float)
        found[name] = means.reindex(found["place"]).to_numpy(dtype=float)
    components = principal_components(centroids.vectors)
    found["first_component"], found["second_component"] = components[:, 0], components[:, 1]
    return found[PLACES]


def principal_components(x: np.ndarray) -> np.ndarray:
    """Coordinates on the first two principal components, zeros where there are fewer; the largest loading of each is positive."""
    centred = x - x.mean(axis=0)
    u, scale, axes = np.linalg.svd(centred, full_matrices=False)
    sign = np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)]) if axes.size else np.ones(0)
    found = np.zeros((len(x), 2))
    kept = min(2, len(scale))
    found[:, :kept] = (u * scale * np.where(sign == 0, 1, sign))[:, :kept]
    return found


def mantel_line(
    space: Space, places: pd.DataFrame, centroids: Centroids, *, distance: Distance, permutations: int, seed: int
) -> dict[str, object]:
    """Mantel's test of the distances of places in a space and on the earth: row, places, correlation, p, orders."""
    known = places[["latitude", "longitude"]].notna().all(axis=1).to_numpy()
    degrees = places.loc[known, ["latitude", "longitude"]].to_numpy(dtype=float)
    found = mantel(
        pairwise(centroids.vectors[known], distance), great_circle(degrees), permutations=permutations, seed=seed
    )
    return {"row": space.row, **found._asdict()}
