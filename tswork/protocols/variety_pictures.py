"""The pictures of an analysis of varieties: confusion, trees, similarity, spaces, places, and the page to look into."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float

from tswork.context import Context
from tswork.data.collection import Part
from tswork.figures.confusion import confusion_matrix
from tswork.figures.dendrogram import dendrogram
from tswork.figures.point_page import point_page, sound_address
from tswork.figures.points import embedding_picture, place_map
from tswork.figures.similarity import similarity_map
from tswork.protocols.geography import principal_components
from tswork.protocols.plain_features import may_be_sound
from tswork.protocols.space_geometry import Tree
from tswork.protocols.spaces import Space
from tswork.protocols.variety_config import Columns, Picture, VarietyAnalysisConfig
from tswork.random import derive
from tswork.wording import counted

SPACE = "Embeddings of test items"
MEGABYTE = 1_000_000
FEWEST = 5
"""Different items below which neighbours say nothing, and pictures of neighbours are not drawn."""
SHOWN_IN_PAGE = ("id", "text", "transcript", "item", "gender", "age")
"""Columns that a page shows beside label, speaker and place, where they are there."""


def draw_tables(tables: Mapping[str, pd.DataFrame], context: Context) -> None:
    """Confusion of every row but the majority, and similarity of every space."""
    for kind, what, draw in (
        ("confusion", "Confusion", confusion_matrix),
        ("similarity", "Similarity of classes", similarity_map),
    ):
        for row, frame in tables[kind].groupby("row", sort=False):
            if row != "majority":
                context.recorder.figure(f"{kind}/{row}", draw(frame, title=f"{what}, {row}"))


def draw_tree(tree: Tree, classes: Mapping[str, str] | None, context: Context) -> None:
    """A dendrogram; the names of places are coloured by their class."""
    figure = dendrogram(tree.joins, tree.names, title=f"Tree of {tree.column}, {tree.row}", classes=classes)
    context.recorder.figure(f"tree/{tree.column}/{tree.row}", figure)


def draw_space(space: Space, test: Part, config: VarietyAnalysisConfig, columns: Columns, context: Context) -> None:
    """The pictures of one space, and its page where one is asked for."""
    classes = _texts(test, columns.label)
    for picture in config.pictures:
        points, axes = plane(space.scaled, picture, seed=context.seed)
        figure = embedding_picture(points, classes, title=f"{SPACE}, {space.row} ({picture})", axes=axes)
        context.recorder.figure(f"space/{picture}/{space.row}", figure)
    if config.page != "none":
        drawn: Picture = config.pictures[-1] if config.pictures else "pca"
        points, _ = plane(space.scaled, drawn, seed=context.seed)
        title = f"{SPACE}, {space.row} ({drawn})"
        context.recorder.page(f"space/{space.row}", _page(title, points, classes, test, config, columns))


def draw_places(space: Space, places: pd.DataFrame, context: Context) -> None:
    """A map, where at least two places have coordinates."""
    known = places.dropna(subset=["latitude", "longitude"])
    if len(known) > 1:
        degrees = known[["latitude", "longitude"]].to_numpy(dtype=float)
        component = known["first_component"].to_numpy(dtype=float)
        labels, names = ([str(one) for one in known[column]] for column in ("label", "place"))
        figure = place_map(degrees, labels, component, title=f"Places, {space.row}", names=names)
        context.recorder.figure(f"places/{space.row}", figure)


def plane(
    x: Float[np.ndarray, "item dim"], picture: Picture, *, seed: int
) -> tuple[Float[np.ndarray, "item 2"], tuple[str, str]]:
    """Points for a picture and the names of its axes. Distances in `tsne` and `umap` pictures are no measure of anything.

    Seeded; t-SNE (van der Maaten and Hinton 2008) and UMAP (McInnes et al. 2018) need items that lie apart: with fewer than
    `FEWEST` different ones, or on a line, they fall back to principal components. (t-SNE of points that are all alike, as a
    collapsed encoder gives them, brings down the whole process in its library.)
    """
    if picture == "pca" or x.shape[1] < 2 or len(np.unique(x, axis=0)) < FEWEST:
        variance = float(((x - x.mean(axis=0)) ** 2).sum())
        points = principal_components(x)
        shares = (points**2).sum(axis=0) / variance if variance else np.zeros(2)
        first, second = (
            f"{'first' if n == 0 else 'second'} component, {100 * share:.0f} % of the variance"
            for n, share in enumerate(shares)
        )
        return points, (first, second)
    state = derive(seed, picture) % 2**31
    if picture == "tsne":
        from sklearn.manifold import TSNE

        perplexity = min(30.0, (len(x) - 1) / 3)
        found = TSNE(perplexity=perplexity, init="pca", random_state=state, n_jobs=1).fit_transform(x)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of numba and of graphs that fall apart
            from umap import UMAP

            neighbours = min(15, len(x) - 1)
            found = UMAP(n_neighbors=neighbours, random_state=state, n_jobs=1).fit_transform(x)
    return np.asarray(found, dtype=float), ("", "")


def _page(
    title: str, points: np.ndarray, classes: list[str], test: Part, config: VarietyAnalysisConfig, columns: Columns
) -> str:
    table = test.table
    known = [name for name in (columns.speaker, columns.place, *SHOWN_IN_PAGE) if name is not None and name in table]
    shown = dict.fromkeys([columns.label, *known])
    rows = table[list(shown)].astype(str).to_dict("records")
    about = [{str(name): str(value) for name, value in row.items()} for row in rows]
    sounds = _sounds(test, config) if config.page == "sounds" and may_be_sound(test.collection) else None
    note = (
        ""
        if sounds is None
        else f"{sum(one is not None for one in sounds)} of {counted(len(sounds), 'item')} can be heard."
    )
    return point_page(points, classes, about, title=title, note=note, sounds=sounds)


def _sounds(test: Part, config: VarietyAnalysisConfig) -> list[str | None]:
    """The first seconds of each item's first channel, as the encoder gets them, until the page is full."""
    collection = test.collection
    assert collection.rate is not None
    longest, room = round(config.page_seconds * collection.rate), config.page_megabytes * MEGABYTE
    found: list[str | None] = []
    for sequence, start, stop in test.spans.tolist():
        if room <= 0:
            found.append(None)
            continue
        values = collection.sequence(sequence)[start : min(stop, start + longest), 0].cpu().numpy()
        found.append(sound_address(values, collection.rate))
        room -= len(found[-1] or "")
    return found


def _texts(part: Part, column: str) -> list[str]:
    categories = part.collection.categories(column)
    return [categories[code] for code in part.codes(column).tolist()]
