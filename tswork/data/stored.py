"""A collection as files: `values.npy` that can be mapped, the table as Parquet, and the rest as JSON.

Values that lie in other entries of the store (decoded sound) are told by their places there and not written again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tswork.data.backends import open_mapped
from tswork.data.collection import Affine, Collection
from tswork.data.joined import Runs, free_room, open_runs, runs_of
from tswork.store import Store

FORMAT = 1


def save_collection(folder: Path, collection: Collection, *, store: Store | None = None) -> tuple[str, ...]:
    """Write a collection into a folder that exists; gives the keys of the entries of the store that hold its values, if any do."""
    runs = runs_of(collection.values, store) if store is not None else None
    arrays = {"values": collection.values, "offsets": collection.offsets, "times": collection.times}
    if runs is not None:
        del arrays["values"]
    if collection.affine is not None:
        arrays |= {"scale": collection.affine.scale, "offset": collection.affine.offset}
    for name, tensor in arrays.items():
        if tensor is not None:
            np.save(folder / f"{name}.npy", tensor.cpu().numpy())
    plain_columns(collection.table).to_parquet(folder / "table.parquet", index=False)
    about = {
        "channels": collection.channels,
        "rate": collection.rate,
        "label": collection.label,
        "groups": collection.groups,
        "targets": collection.targets,
        "digest": collection.digest,
        "notes": collection.notes,
        "left_out": collection.left_out,
        "runs": runs.dump() if runs is not None else None,
    }
    (folder / "collection.json").write_text(json.dumps(about))
    return runs.keys if runs is not None else ()


def is_whole(folder: Path, store: Store) -> bool:
    """Whether the entries that hold the values of a stored collection are still there."""
    runs = json.loads((folder / "collection.json").read_text()).get("runs")
    return runs is None or Runs.parse(runs).there(store)


def load_collection(folder: Path, *, budget: int | None = None, store: Store | None = None) -> Collection:
    """The collection of a folder; values of more than `budget` bytes (default: half of the free memory) are mapped.

    `store` has the values that are not in the folder.
    """
    about: dict[str, Any] = json.loads((folder / "collection.json").read_text())
    room = budget if budget is not None else free_room()
    scale, offset = _array(folder / "scale.npy"), _array(folder / "offset.npy")
    offsets = _array(folder / "offsets.npy")
    if store is not None and about.get("runs") is not None:
        values: Tensor | None = open_runs(Runs.parse(about["runs"]), store, budget=room, load=True)
    else:
        values = _array(folder / "values.npy", mapped=(folder / "values.npy").stat().st_size > room)
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
        left_out=tuple((place, name, why) for place, name, why in about.get("left_out", ())),
    )
    collection.__dict__["digest"] = about["digest"]  # known, so it need not be computed over all values again
    return collection


def _array(path: Path, *, mapped: bool = False) -> Tensor | None:
    if not path.exists():
        return None
    return open_mapped(path) if mapped else torch.from_numpy(np.load(path))


def plain_columns(table: pd.DataFrame) -> pd.DataFrame:
    """Columns of mixed types become text, which Parquet can hold; missing entries stay missing."""
    mixed = {
        name: table[name].map(str, na_action="ignore")
        for name in table.columns
        if table[name].dtype == object and len(set(map(type, table[name].dropna()))) > 1
    }
    return table.assign(**mixed)
