"""Recordings as `.npz` files: values, and where they are there, names of the channels and the rate."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import Field

from tswork.data.faults import fault
from tswork.data.readers.decoders.arrays import ArrayConfig, shape_of, values_of
from tswork.data.readers.decoders.base import Decoder, Outline, Recording, called, numbered
from tswork.data.readers.numpy_files import array_header, numpy_file
from tswork.data.spec import DataOptions
from tswork.errors import did_you_mean
from tswork.registry import register
from tswork.wording import counted


class NpzConfig(ArrayConfig):
    values: str | None = Field(default=None, description="name of the array of values; none: `values`, or the only one")
    names: str = Field(default="channels", description="name of the array of channel names, where there is one")
    rate: str = Field(default="rate", description="name of the number of samples a second, where there is one")


@register("decoder", "npz", version=1, config=NpzConfig)
class Npz(Decoder[NpzConfig]):
    """An npz file a recording, with arrays of values and optionally of channel names and the rate."""

    suffixes = (".npz",)

    def outline(self, path: Path, options: DataOptions) -> Outline:
        """Reads the header of the values and the small arrays beside them."""
        with numpy_file(path) as file, np.load(file, allow_pickle=False) as arrays:
            with zipfile.ZipFile(file).open(f"{self._values(path, arrays.files)}.npy") as member:
                shape, dtype = array_header(member)
            names, rate = self._described(arrays)
        length, width = shape_of(shape, dtype, path, self.config.axes)
        return Outline(called(_fitting(names, width, path), options), rate, length)

    def read(self, path: Path, options: DataOptions) -> Recording:
        with numpy_file(path) as file, np.load(file, allow_pickle=False) as arrays:
            array = arrays[self._values(path, arrays.files)]
            names, rate = self._described(arrays)
        values = values_of(array, path, self.config)
        return Recording(values, called(_fitting(names, values.shape[1], path), options), rate)

    def _values(self, path: Path, names: Sequence[str]) -> str:
        others = [name for name in names if name not in (self.config.names, self.config.rate)]
        wanted = self.config.values or (others[0] if len(others) == 1 else "values")
        if wanted not in names:
            hint = (
                did_you_mean(wanted, names)
                if self.config.values
                else f"It holds {', '.join(names)}: name one with `decoders: [{{uses: npz, values: NAME}}]`."
            )
            raise fault(path, f"has no array {wanted!r}", hint)
        return wanted

    def _described(self, arrays: np.lib.npyio.NpzFile) -> tuple[list[str] | None, float | None]:
        names = [str(name) for name in arrays[self.config.names].ravel()] if self.config.names in arrays else None
        rate = float(arrays[self.config.rate]) if self.config.rate in arrays else None
        return names, rate


def _fitting(names: Sequence[str] | None, width: int, path: Path) -> Sequence[str]:
    if names is not None and len(names) != width:
        raise fault(
            path,
            f"has {counted(len(names), 'channel name')} for {counted(width, 'channel')}",
            "Look at `axes` of the decoder.",
        )
    return names if names is not None else numbered(width)
