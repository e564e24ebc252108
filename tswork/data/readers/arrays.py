"""Arrays of equal or padded cases in `.npz` or `.npy` files, with the table in the same or in another file.

Training and test halves (`X_train`, `y_train`, `len_train`, ...) become the table's `split` column; a single array
(`values: X`) is taken whole. Integer codes become values as `code * scale + offset`. Every other one-dimensional array with one
entry a case is a column of the table.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from tswork.config import Config, FilePath, Many
from tswork.data.collection import Collection
from tswork.data.files import find_file
from tswork.data.places import Places
from tswork.data.readers.base import Reader
from tswork.data.readers.halves import LABEL, SPLIT, pack_cases
from tswork.data.spec import DataSpec
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
                raise DataInvalid(
                    [Problem("the card is a family of sets; name one", "data.set", remedy="Add `set: NAME`.")]
                )
            path = Path(str(path).replace("{set}", self.config.set))
        try:
            found = find_file(path, places, card=spec.options.name)
        except DataInvalid as fault:
            raise _with_neighbours(fault, str(self.config.path), self.config.set, places) from fault
        return [found, *([find_file(self.config.table, places, card=spec.options.name)] if self.config.table else [])]

    def read(self, spec: DataSpec, places: Places) -> Collection:
        files = self.files(spec, places)
        arrays = _load(files[0])
        halves = "X_train" in arrays and self.config.values is None
        read = (
            [_half(arrays, half, files[0]) for half in ("train", "test")]
            if halves
            else [self._single(arrays, files[0])]
        )
        cases = [case for part in read for case in self._cases(part, arrays, files[0])]
        table = pd.concat([part.table for part in read], ignore_index=True)
        if len(files) == 2:
            table = pd.concat([table, _side_table(files[1], len(table))], axis=1)
        collection = pack_cases(
            cases, table, spec.options, channels=self._names(arrays, files[0]), origin=str(files[0])
        )
        return collection.replaced(label=spec.options.label or (LABEL if LABEL in table.columns else None))

    def _single(self, arrays: Mapping[str, np.ndarray], path: Path) -> _Half:
        name = self.config.values or _only_values(arrays, path)
        if name not in arrays:
            raise _fault(path, f"has no array {name!r}", did_you_mean(name, arrays))
        values = arrays[name]
        lengths = arrays.get(self.config.lengths or "lengths")
        taken = {name, self.config.lengths, self.config.scale, self.config.offset, self.config.channel_names}
        columns = {
            key: array
            for key, array in arrays.items()
            if key not in taken and array.ndim == 1 and len(array) == len(values)
        }
        table = pd.DataFrame({"id": np.arange(len(values)), **columns} if "id" not in columns else columns)
        return _Half(values, lengths, table)

    def _cases(self, half: _Half, arrays: Mapping[str, np.ndarray], path: Path) -> list[np.ndarray]:
        if half.values.ndim != 3:
            raise _fault(path, f"values have {half.values.ndim} axes; three are expected: {self.config.layout}")
        values = half.values if self.config.layout == "case time channel" else half.values.transpose(0, 2, 1)
        factor, added = (self._per_channel(one, arrays, path) for one in (self.config.scale, self.config.offset))
        if not (np.isscalar(factor) and factor == 1 and np.isscalar(added) and added == 0):
            values = values * factor + added
        values = np.asarray(values, dtype=np.float32)
        lengths = half.lengths if half.lengths is not None else np.full(len(values), values.shape[1])
        if len(lengths) != len(values) or (np.asarray(lengths) > values.shape[1]).any():
            raise _fault(path, f"{len(lengths)} lengths do not fit values of shape {half.values.shape}")
        return [case[: int(length)] for case, length in zip(values, lengths, strict=True)]

    def _per_channel(self, given: str | float, arrays: Mapping[str, np.ndarray], path: Path) -> Any:
        if not isinstance(given, str):
            return float(given)
        if given not in arrays:
            raise _fault(path, f"has no array {given!r}", did_you_mean(given, arrays))
        found = arrays[given].astype(np.float64)
        return found[:, None, :] if found.ndim == 2 else found

    def _names(self, arrays: Mapping[str, np.ndarray], path: Path) -> Sequence[str] | None:
        names = self.config.channel_names
        if not isinstance(names, str):
            return names
        if names not in arrays:
            raise _fault(path, f"has no array {names!r}", did_you_mean(names, arrays))
        return [str(name) for name in arrays[names]]


class _Half:
    def __init__(self, values: np.ndarray, lengths: np.ndarray | None, table: pd.DataFrame) -> None:
        self.values = values
        self.lengths = lengths
        self.table = table


def _half(arrays: Mapping[str, np.ndarray], half: str, path: Path) -> _Half:
    missing = [name for name in (f"X_{half}", f"y_{half}") if name not in arrays]
    if missing:
        raise DataInvalid([Problem(f"has no array {name!r}", location=Location(str(path))) for name in missing])
    values, labels = arrays[f"X_{half}"], arrays[f"y_{half}"]
    if len(labels) != len(values):
        raise _fault(path, f"{len(labels)} labels do not fit {len(values)} cases of the {half} half")
    table = pd.DataFrame(
        {"id": [f"{half}-{case}" for case in range(len(values))], LABEL: labels.astype(str), SPLIT: half}
    )
    return _Half(values, arrays.get(f"len_{half}"), table)


def _only_values(arrays: Mapping[str, np.ndarray], path: Path) -> str:
    candidates = [name for name, array in arrays.items() if array.ndim == 3]
    if len(candidates) != 1:
        raise _fault(
            path,
            f"holds {len(candidates)} arrays with three axes",
            f"Name one with `values:`; there are {', '.join(arrays)}.",
        )
    return candidates[0]


def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"values": loaded}
        with loaded:
            return {name: loaded[name] for name in loaded.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise _fault(path, f"is not a whole npy or npz file without pickles: {error}", "Get the file again.") from error


def _side_table(path: Path, rows: int) -> pd.DataFrame:
    table = pd.read_csv(path)
    if len(table) != rows:
        raise _fault(path, f"has {len(table)} rows for {rows} cases")
    return table.drop(columns=[name for name in ("id",) if name in table.columns])


def _with_neighbours(fault: DataInvalid, path: str, name: str | None, places: Places) -> DataInvalid:
    """A family's missing set is answered with the sets that are there."""
    if name is None or "{set}" not in path:
        return fault
    found = {file.stem for base in places.data_folders for file in base.glob(path.replace("{set}", "*"))}
    hint = did_you_mean(name, found)
    return DataInvalid(
        [Problem(problem.message, problem.path, problem.location, hint or problem.remedy) for problem in fault.problems]
    )


def _fault(path: Path, message: str, remedy: str = "") -> DataInvalid:
    return DataInvalid([Problem(message, location=Location(str(path)), remedy=remedy)])
