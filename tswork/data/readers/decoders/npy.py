"""Recordings as `.npy` files of one or two axes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tswork.data.readers.decoders.arrays import ArrayConfig, shape_of, values_of
from tswork.data.readers.decoders.base import Decoder, Outline, Recording, called, numbered
from tswork.data.readers.numpy_files import whole_file
from tswork.data.spec import DataOptions
from tswork.registry import register


class NpyConfig(ArrayConfig):
    pass


@register("decoder", "npy", version=1, config=NpyConfig)
class Npy(Decoder[NpyConfig]):
    """An npy file a recording, (time, channel) or (time,)."""

    suffixes = (".npy",)

    def outline(self, path: Path, options: DataOptions) -> Outline:
        with whole_file(path):
            mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        length, width = shape_of(mapped.shape, mapped.dtype, path, self.config.axes)
        return Outline(called(numbered(width), options), length=length)

    def read(self, path: Path, options: DataOptions) -> Recording:
        with whole_file(path):
            array = np.load(path, allow_pickle=False)
        values = values_of(array, path, self.config)
        return Recording(values, called(numbered(values.shape[1]), options))
