"""Arrays of equal or padded cases in `.npz` or `.npy` files, with the table in the same or in another file.

Training and test halves (`X_train`, `y_train`, `len_train`, ...) become the table's `split` column; a single array
(`values: X`) is taken whole, also with two axes (case, time). Integer codes become values as `code * scale + offset`. Every
other one-dimensional array with one entry a case is a column of the table.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from tswork.config import Config, FilePath, Many
from tswork.data.cells import typed
from tswork.data.collection import Collection
from tswork.data.faults import fault, refuse
from tswork.data.places import Places
from tswork.data.readers.base import Reader
from tswork.data.readers.halves import LABEL, SPLIT, pack_cases
from tswork.data.readers.numpy_files import check_numbers, numpy_file
from tswork.data.spec import DataSpec
from tswork.data.tables import Form, read_table
from tswork.errors import DataInvalid, Location, Problem, did_you_mean
from tswork.registry import register


class ArraysConfig(Config):
    path: FilePath | None = Field(default=None, description="the .npz or .npy file; may hold `{set}`")
    set: str | None = Field(
        default=None, pattern=r"^[\w-]+$", description="a set of a family: replaces `{set}` in the path"
    )
    table: FilePath | None = Field(default=None, description="CSV with one row a case, in the order of the cases")
    values: str | None = Field(
        default=None, description="name of the array of values; none: X_train and X_test, or the only one"
    )
    layout: Literal["case channel time", "case time channel"] = Field(
        default="case channel time", description="axes of the values"
    )
    lengths: str | None = Field(
        default=None, description="name of the array of true lengths; halves: len_train, len_test"
    )
    channel_names: Many[str] | str | None = Field(
        default=None, description="names, or the name of the array that holds them"
    )
    scale: str | float = Field(
        default=1.0, description="factor of integer codes, or the name of an array of one a channel"
    )
    offset: str | float = Field(default=0.0, description="added after the factor, or the name of such an array")


@register("reader", "arrays", version=1, config=ArraysConfig)
class Arrays(Reader[ArraysConfig]):
    """Cases in npz or npy files, in one array or as published halves."""

    def files(self, spec: DataSpec, places: Places) -> Sequence[Path]:
        path = self.config.path
        if path is None:
            raise DataInvalid([Problem("is missing", "data.path")])
        if "{set}" in str(path):
            if self.config.set is None:
                remedy = f"Add `set: NAME`. {_listed(_neighbours(spec, places, str(path)))}".rstrip()
                raise DataInvalid([Problem("the card is a family of sets; name one", "data.set", remedy=remedy)])
            path = Path(str(path).replace("{set}", self.config.set))
        try:
            found = spec.file("path", places, path=path)
        except DataInvalid as missing:
            raise self._with_neighbours(missing, spec, places) from missing
        return [found, *([spec.file("table", places)] if self.config.table else [])]

    def inspect(self, spec: DataSpec, places: Places) -> None:
        file = self.files(spec, places)[0]
        if file.suffix == ".npz":
            with numpy_file(file) as opened, zipfile.ZipFile(opened) as archive:
                names = [name.removesuffix(".npy") for name in archive.namelist()]
            refuse(list(self._absent(names, file)))

    def read(self, spec: DataSpec, places: Places) -> Collection:
        files = self.files(spec, places)
        arrays = _load(files[0])
        refuse(list(self._absent(arrays, files[0])))
        if self._in_halves(arrays):
            read = [_half(arrays, half, files[0]) for half in ("train", "test")]
        else:
            read = [self._single(arrays, files[0])]
        cases = [case for part in read for case in self._cases(part, arrays, files[0])]
        table = pd.concat([part.table for part in read], ignore_index=True)
        if len(files) == 2:
            table = _beside(table, files[1])
        names = self.config.channel_names
        channels = [str(name) for name in arrays[names]] if isinstance(names, str) else names
        if channels is not None and cases and len(channels) != cases[0].shape[1]:
            raise fault(files[0], f"{len(channels)} channel names do not fit {cases[0].shape[1]} channels")
        collection = pack_cases(cases, table, spec.options, channels=channels, origin=str(files[0]))
        return collection.replaced(label=LABEL if LABEL in collection.table.columns else None)

    def _in_halves(self, names: Iterable[str]) -> bool:
        return "X_train" in names and self.config.values is None

    def _absent(self, names: Iterable[str], path: Path) -> Iterator[Problem]:
        """Arrays that are asked for and not there."""
        config, names = self.config, list(names)
        wanted = (config.values, config.lengths, config.channel_names, config.scale, config.offset)
        halves = ["X_train", "y_train", "X_test", "y_test"] if self._in_halves(names) else []
        for name in [*(one for one in wanted if isinstance(one, str)), *halves]:
            if name not in names:
                yield Problem(f"has no array {name!r}", "", Location(str(path)), did_you_mean(name, names))

    def _single(self, arrays: Mapping[str, np.ndarray], path: Path) -> _Half:
        config = self.config
        name = config.values or _only_values(arrays, path)
        values = arrays[name]
        lengths = arrays.get(config.lengths or "lengths")
        taken = {name, config.lengths or "lengths", config.scale, config.offset}
        taken |= {config.channel_names} if isinstance(config.channel_names, str) else set()
        columns = {
            key: array
            for key, array in arrays.items()
            if key not in taken and array.ndim == 1 and len(array) == len(values)
        }
        return _Half(values, lengths, pd.DataFrame({"id": np.arange(len(values)), **columns}))

    def _cases(self, half: _Half, arrays: Mapping[str, np.ndarray], path: Path) -> list[np.ndarray]:
        values = half.values[:, None, :] if half.values.ndim == 2 else half.values
        if values.ndim != 3:
            raise fault(path, f"values have {values.ndim} axes; three are expected: {self.config.layout}")
        check_numbers(values.dtype, path)
        if half.values.ndim == 2 or self.config.layout == "case channel time":
            values = values.transpose(0, 2, 1)
        factor, added = (self._per_channel(one, arrays) for one in (self.config.scale, self.config.offset))
        if not (np.isscalar(factor) and factor == 1 and np.isscalar(added) and added == 0):
            values = values * factor + added
        with np.errstate(over="ignore"):
            values = np.asarray(values, dtype=np.float32)
        lengths = np.full(len(values), values.shape[1]) if half.lengths is None else np.asarray(half.lengths)
        if len(lengths) != len(values) or ((lengths > values.shape[1]) | (lengths < 0)).any():
            raise fault(path, f"{len(lengths)} lengths do not fit values of shape {half.values.shape}")
        return [case[:length] for case, length in zip(values, lengths.astype(int).tolist(), strict=True)]

    def _per_channel(self, given: str | float, arrays: Mapping[str, np.ndarray]) -> Any:
        if not isinstance(given, str):
            return float(given)
        found = arrays[given].astype(np.float64)
        return found[:, None, :] if found.ndim == 2 else found

    def _with_neighbours(self, missing: DataInvalid, spec: DataSpec, places: Places) -> DataInvalid:
        """A family's missing set is answered with the sets that are there."""
        path, name = str(self.config.path), self.config.set
        if name is None or "{set}" not in path:
            return missing
        hint = did_you_mean(name, _neighbours(spec, places, path))
        return DataInvalid(
            [Problem(one.message, one.path, one.location, hint or one.remedy) for one in missing.problems]
        )


@dataclass(frozen=True, eq=False)
class _Half:
    """Values `(case, ...)`, their true lengths, and one table row a case."""

    values: np.ndarray
    lengths: np.ndarray | None
    table: pd.DataFrame


def _half(arrays: Mapping[str, np.ndarray], half: str, path: Path) -> _Half:
    values, labels = arrays[f"X_{half}"], arrays[f"y_{half}"]
    if len(labels) != len(values):
        raise fault(path, f"{len(labels)} labels do not fit {len(values)} cases of the {half} half")
    ids = [f"{half}-{case}" for case in range(len(values))]
    return _Half(values, arrays.get(f"len_{half}"), pd.DataFrame({"id": ids, LABEL: labels.astype(str), SPLIT: half}))


def _only_values(arrays: Mapping[str, np.ndarray], path: Path) -> str:
    for axes in (3, 2):
        candidates = [name for name, array in arrays.items() if array.ndim == axes]
        if len(candidates) == 1:
            return candidates[0]
        if candidates:
            break
    text = "does not tell which array holds the values"
    raise fault(path, text, f"Name one with `values:`; there are {', '.join(arrays)}.")


def _load(path: Path) -> dict[str, np.ndarray]:
    with numpy_file(path) as file:
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"values": loaded}
        with loaded:
            return {name: loaded[name] for name in loaded.files}


def _beside(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The columns of a table in another file added; where both have one, the other file's."""
    read = read_table(path, Form(), text="all")
    if len(read) != len(table):
        raise fault(path, f"has {len(read)} rows for {len(table)} cases")
    return table.assign(**{name: typed(read.frame[name]) for name in read.columns})


def _neighbours(spec: DataSpec, places: Places, path: str) -> list[str]:
    bases = (spec.beside.get("path", places.beside), *places.data_folders)
    return sorted({file.stem for base in bases for file in base.glob(path.replace("{set}", "*"))})


def _listed(names: Sequence[str]) -> str:
    return f"Known: {', '.join(names)}." if names else ""
