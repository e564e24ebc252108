"""Arrays of equal or padded cases in `.npz` or `.npy` files, with the table in the same or in another file.

Training and test halves (`X_train`, `y_train`, `len_train`, ...) become the table's `split` column; a single array
(`values: X`) is taken whole, also with two axes (case, time). Integer codes become values as
`code * scale / gain + offset`. Every other one-dimensional array with one entry a case is a column of the table; where it holds codes
0, 1, ..., `names` tells what they mean.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from tswork.config import Config, FilePath, Many
from tswork.data.cells import typed
from tswork.data.collection import Collection
from tswork.data.faults import fault, refuse, some
from tswork.data.part_words import SPLIT
from tswork.data.places import Places
from tswork.data.readers.base import Reader
from tswork.data.readers.codes import in_units, with_names
from tswork.data.readers.halves import LABEL, pack_cases
from tswork.data.readers.numpy_files import check_numbers, numpy_file
from tswork.data.spec import DataSpec
from tswork.data.tables import Form, read_table
from tswork.errors import DataInvalid, Location, Problem, did_you_mean
from tswork.registry import register
from tswork.wording import counted

Layout = Literal[
    "case channel time", "case time channel", "channel case time", "channel time case", "time case channel", "time channel case"
]  # fmt: skip


class ArraysConfig(Config):
    path: FilePath | None = Field(default=None, description="the .npz or .npy file; may hold `{set}`")
    set: str | None = Field(
        default=None, pattern=r"^[\w-]+$", description="a set of a family: replaces `{set}` in the path"
    )
    table: FilePath | None = Field(default=None, description="CSV with one row a case, in the order of the cases")
    values: str | None = Field(
        default=None, description="name of the array of values; none: X_train and X_test, or the only one"
    )
    layout: Layout = Field(default="case channel time", description="axes of the values, in their order")
    lengths: str | None = Field(
        default=None, description="name of the array of true lengths; halves: len_train, len_test"
    )
    channel_names: Many[str] | str | None = Field(
        default=None, description="names, or the name of the array that holds them"
    )
    scale: str | float = Field(
        default=1.0,
        description="factor of integer codes, or the name of an array of one number, one a channel, or (case, channel)",
    )
    gain: str | float = Field(
        default=1.0, description="codes a unit, by which codes are divided, or the name of such an array"
    )
    offset: str | float = Field(default=0.0, description="added after that, or the name of such an array")
    names: dict[str, Many[str] | str] = Field(
        default_factory=dict,
        description="for columns that hold codes 0, 1, ...: their names in order, or the name of the array that has them",
    )
    rate_name: str | None = Field(default=None, description="name of the array that holds the samples a second")


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
            refuse(self._absent(names, file))

    def read(self, spec: DataSpec, places: Places) -> Collection:
        files = self.files(spec, places)
        arrays = _load(files[0])
        refuse(self._absent(arrays, files[0]))
        if self._in_halves(arrays):
            read = [self._half(arrays, half, files[0]) for half in ("train", "test")]
        else:
            read = [self._single(arrays, files[0])]
        cases = [case for part in read for case in self._cases(part, arrays, files[0])]
        table = pd.concat([part.table for part in read], ignore_index=True)
        if len(files) == 2:
            table = _beside(table, files[1])
        table = with_names(table, self.config.names, arrays, files[0])
        names = self.config.channel_names
        channels = [str(name) for name in arrays[names]] if isinstance(names, str) else names
        if channels is not None and cases and len(channels) != cases[0].shape[1]:
            raise fault(
                files[0],
                f"{counted(len(channels), 'channel name does', 'channel names do')} not fit {counted(cases[0].shape[1], 'channel')}",
            )
        rate = self._rate(arrays, files[0], spec.options.rate)
        collection = pack_cases(cases, table, spec.options, channels=channels, rate=rate, origin=str(files[0]))
        return collection.replaced(label=LABEL if LABEL in collection.table.columns else None)

    def _rate(self, arrays: Mapping[str, np.ndarray], path: Path, given: float | None) -> float | None:
        """Samples a second from their array. Raises `DataInvalid` where it is no one rate, or another than `rate:` says."""
        name = self.config.rate_name
        if name is None:
            return given
        found = np.unique(arrays[name])
        if len(found) != 1 or found.dtype.kind not in "fiu" or not 0 < found[0] < np.inf:
            raise fault(
                path, f"{name!r} holds {some(found.astype(str).tolist())}; one number of samples a second is expected"
            )
        if given is not None and not np.isclose(found[0], given, rtol=1e-9):
            raise fault(path, f"has {found[0]:g} samples a second, `rate:` says {given:g}", "Leave out one of the two.")
        return float(found[0])

    def _in_halves(self, names: Iterable[str]) -> bool:
        return "X_train" in names and self.config.values is None

    def _absent(self, names: Iterable[str], path: Path) -> Iterator[Problem]:
        """Arrays that are asked for and not there."""
        config, names = self.config, list(names)
        wanted = [config.values, config.lengths, config.channel_names, config.scale, config.gain, config.offset]
        wanted += [config.rate_name, *config.names.values()]
        halves = ["X_train", "y_train", "X_test", "y_test"] if self._in_halves(names) else []
        for name in [*(one for one in wanted if isinstance(one, str)), *halves]:
            if name not in names:
                yield Problem(f"has no array {name!r}", "", Location(str(path)), did_you_mean(name, names))

    def _single(self, arrays: Mapping[str, np.ndarray], path: Path) -> _Half:
        config = self.config
        name = config.values or _only_values(arrays, path)
        values = self._oriented(arrays[name], path)
        lengths = arrays.get(config.lengths or "lengths")
        others = (
            config.channel_names,
            config.scale,
            config.gain,
            config.offset,
            config.rate_name,
            *config.names.values(),
        )
        taken = {name, config.lengths or "lengths", *(one for one in others if isinstance(one, str))}
        columns = {
            key: array
            for key, array in arrays.items()
            if key not in taken and array.ndim == 1 and len(array) == len(values)
        }
        return _Half(values, lengths, pd.DataFrame({"id": np.arange(len(values)), **columns}))

    def _half(self, arrays: Mapping[str, np.ndarray], half: str, path: Path) -> _Half:
        values, labels = self._oriented(arrays[f"X_{half}"], path), arrays[f"y_{half}"]
        if len(labels) != len(values):
            raise fault(
                path,
                f"{counted(len(labels), 'label does', 'labels do')} not fit {counted(len(values), 'case')} of the {half} half",
            )
        ids = [f"{half}-{case}" for case in range(len(values))]
        table = pd.DataFrame({"id": ids, LABEL: labels.astype(str), SPLIT: half})
        return _Half(values, arrays.get(f"len_{half}"), table)

    def _oriented(self, values: np.ndarray, path: Path) -> np.ndarray:
        """A view of the values as (case, time, channel); two axes are (case, time)."""
        check_numbers(values.dtype, path)
        if values.ndim == 2:
            return values[:, :, None]
        if values.ndim != 3:
            raise fault(
                path, f"values have {counted(values.ndim, 'axis', 'axes')}; three are expected: {self.config.layout}"
            )
        axes = self.config.layout.split()
        return values.transpose([axes.index(axis) for axis in ("case", "time", "channel")])

    def _cases(self, half: _Half, arrays: Mapping[str, np.ndarray], path: Path) -> list[np.ndarray]:
        config = self.config
        values = in_units(half.values, arrays, path, scale=config.scale, gain=config.gain, offset=config.offset)
        with np.errstate(over="ignore"):
            values = np.asarray(values, dtype=np.float32)
        lengths = np.full(len(values), values.shape[1]) if half.lengths is None else np.asarray(half.lengths)
        if len(lengths) != len(values) or ((lengths > values.shape[1]) | (lengths < 0)).any():
            cases = f"{counted(len(values), 'case')} of {counted(values.shape[1], 'step')}"
            raise fault(path, f"{counted(len(lengths), 'length does', 'lengths do')} not fit {cases}")
        return [case[:length] for case, length in zip(values, lengths.astype(int).tolist(), strict=True)]

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
    """Values `(case, time, channel)`, their true lengths, and one table row a case."""

    values: np.ndarray
    lengths: np.ndarray | None
    table: pd.DataFrame


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
        raise fault(path, f"has {counted(len(read), 'row')} for {counted(len(table), 'case')}")
    return table.assign(**{name: typed(read.frame[name]) for name in read.columns})


def _neighbours(spec: DataSpec, places: Places, path: str) -> list[str]:
    bases = (spec.beside.get("path", places.beside), *places.data_folders)
    return sorted({file.stem for base in bases for file in base.glob(path.replace("{set}", "*"))})


def _listed(names: Sequence[str]) -> str:
    return f"Known: {', '.join(names)}." if names else ""
