"""Recordings as `.npy` files of one or two axes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tswork.data.readers.decoders.arrays import ArrayConfig, shape_of, values_of
from tswork.data.readers.decoders.base import Decoder, Outline, Recording, called, numbered
from tswork.data.readers.numpy_files import array_header, numpy_file
from tswork.data.spec import DataOptions
from tswork.registry import register


class NpyConfig(ArrayConfig):
    pass


@register("decoder", "npy", version=1, config=NpyConfig)
class Npy(Decoder[NpyConfig]):
    """An npy file a recording, (time, channel) or (time,)."""

    suffixes = (".npy",)

    def outline(self, path: Path, options: DataOptions) -> Outline:
        with numpy_file(path) as file:
            shape, dtype = array_header(file)
        length, width = shape_of(shape, dtype, path, self.config.axes)
        return Outline(called(numbered(width), options), length=length)

    def read(self, path: Path, options: DataOptions) -> Recording:
        with numpy_file(path) as file:
            array = np.load(file, allow_pickle=False)
        values = values_of(array, path, self.config)
        return Recording(values, called(numbered(values.shape[1]), options))
