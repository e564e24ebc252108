"""What is known of a part's items, as pieces of a protocol that outlive its interruption: embeddings, features, scores, texts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from tswork.context import Context
from tswork.data.collection import Part
from tswork.encoders.pooling import Pooling
from tswork.methods.embedding import embed_part
from tswork.methods.model import Model
from tswork.protocols.plain_features import Features, plain_features

NUMBERS = "numbers.npy"
TEXTS = "texts.json"


def kept_embeddings(
    context: Context, row: str, models: Sequence[Model], parts: Mapping[str, Part], *, pooling: Pooling | None
) -> Iterator[Float[np.ndarray, "item dim"]]:
    """The embeddings of each part by the last model of a row, in double precision."""
    for name, part in parts.items():
        embed = partial(_embedded, models[-1], part, pooling)
        yield kept_numbers(context, {"embedded": row, "part": name}, embed).astype(np.float64)


def kept_features(
    context: Context, features: Features, parts: Mapping[str, Part]
) -> Iterator[Float[np.ndarray, "item feature"]]:
    """The plain features of each part."""
    for name, part in parts.items():
        yield kept_numbers(context, {"features": features, "part": name}, partial(_features, features, part))


def kept_numbers(context: Context, key: dict[str, Any], make: Callable[[Context], np.ndarray]) -> np.ndarray:
    """An array that `make` gives, or that an interrupted run of the stage kept under this key."""

    def write(folder: Path, numbers: np.ndarray) -> None:
        np.save(folder / NUMBERS, numbers, allow_pickle=False)

    return context.kept(key, make, write=write, read=lambda folder: np.load(folder / NUMBERS, allow_pickle=False))


def kept_texts(context: Context, key: dict[str, Any], make: Callable[[Context], Sequence[str]]) -> Sequence[str]:
    """The same of texts."""

    def write(folder: Path, texts: Sequence[str]) -> None:
        (folder / TEXTS).write_text(json.dumps(list(texts)), encoding="utf-8")

    def read(folder: Path) -> Sequence[str]:
        texts: list[str] = json.loads((folder / TEXTS).read_text(encoding="utf-8"))
        return texts

    return context.kept(key, make, write=write, read=read)


def _embedded(model: Model, part: Part, pooling: Pooling | None, context: Context) -> Float[np.ndarray, "item dim"]:
    found: np.ndarray = embed_part(model, part, context, pooling=pooling).numpy()
    return found


def _features(features: Features, part: Part, _: Context) -> Float[np.ndarray, "item feature"]:
    return plain_features(features, part)
