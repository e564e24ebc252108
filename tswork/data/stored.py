"""A collection as files: `values.npy` that can be mapped, the table as Parquet, and the rest as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import torch
from torch import Tensor

from tswork.data.backends import open_mapped
from tswork.data.collection import Affine, Collection

FORMAT = 1
SHARE = 0.5
"""Share of the free memory up to which values are loaded; larger ones stay on disk and are mapped."""


def save_collection(folder: Path, collection: Collection) -> None:
    """Write a collection into a folder that exists."""
    arrays = {"values": collection.values, "offsets": collection.offsets, "times": collection.times}
    if collection.affine is not None:
        arrays |= {"scale": collection.affine.scale, "offset": collection.affine.offset}
    for name, tensor in arrays.items():
        if tensor is not None:
            np.save(folder / f"{name}.npy", tensor.cpu().numpy())
    _plain(collection.table).to_parquet(folder / "table.parquet", index=False)
    about = {
        "channels": collection.channels,
        "rate": collection.rate,
        "label": collection.label,
        "groups": collection.groups,
        "targets": collection.targets,
        "digest": collection.digest,
        "notes": collection.notes,
    }
    (folder / "collection.json").write_text(json.dumps(about))


def load_collection(folder: Path, *, budget: int | None = None) -> Collection:
    """The collection of a folder; values of more than `budget` bytes (default: half of the free memory) are mapped."""
    about: dict[str, Any] = json.loads((folder / "collection.json").read_text())
    room = budget if budget is not None else int(psutil.virtual_memory().available * SHARE)
    large = (folder / "values.npy").stat().st_size > room
    scale, offset = _array(folder / "scale.npy"), _array(folder / "offset.npy")
    values, offsets = _array(folder / "values.npy", mapped=large), _array(folder / "offsets.npy")
    assert values is not None
    assert offsets is not None
    collection = Collection(
        values=values,
        offsets=offsets,
        table=pd.read_parquet(folder / "table.parquet"),
        times=_array(folder / "times.npy"),
        affine=Affine(scale, offset) if scale is not None and offset is not None else None,
        channels=tuple(about["channels"]),
        rate=about["rate"],
        label=about["label"],
        groups=tuple(about["groups"]),
        targets=tuple(about["targets"]),
        notes=tuple(about.get("notes", ())),
    )
    collection.__dict__["digest"] = about["digest"]  # known, so it need not be computed over all values again
    return collection


def _array(path: Path, *, mapped: bool = False) -> Tensor | None:
    if not path.exists():
        return None
    return open_mapped(path) if mapped else torch.from_numpy(np.load(path))


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """Columns of mixed types become text, which Parquet can hold; missing entries stay missing."""
    mixed = {
        name: table[name].map(str, na_action="ignore")
        for name in table.columns
        if table[name].dtype == object and len(set(map(type, table[name].dropna()))) > 1
    }
    return table.assign(**mixed)
