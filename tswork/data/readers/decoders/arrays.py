"""What the decoders of numpy files share: the order of axes and the kinds of numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from tswork.config import Config
from tswork.data.faults import fault
from tswork.data.readers.numpy_files import check_numbers
from tswork.wording import counted

Axes = Literal["time channel", "channel time"]


class ArrayConfig(Config):
    """Options of recordings in numpy files."""

    axes: Axes = Field(default="time channel", description="order of the axes of the values")
    sound: bool = Field(
        default=False, description="int16 values are sound samples with full scale 32768 and are kept as they are"
    )


def shape_of(shape: tuple[int, ...], dtype: np.dtype[Any], path: Path, axes: Axes) -> tuple[int, int]:
    """Time steps and channels. Raises `DataInvalid` for other numbers of axes and for what are no numbers."""
    check_numbers(dtype, path)
    if len(shape) not in (1, 2):
        raise fault(path, f"has {counted(len(shape), 'axis', 'axes')}; one (time) or two ({axes}) are expected")
    if len(shape) == 1:
        return shape[0], 1
    return (shape[0], shape[1]) if axes == "time channel" else (shape[1], shape[0])


def values_of(array: np.ndarray, path: Path, config: ArrayConfig) -> np.ndarray:
    """`(time, channel)` values: float32, or int16 where they are sound."""
    shape = shape_of(array.shape, array.dtype, path, config.axes)
    values = array.reshape(shape) if array.ndim == 1 or config.axes == "time channel" else array.T
    if config.sound:
        if values.dtype != np.int16:
            raise fault(path, f"holds {values.dtype.name}; sound samples are int16", "Leave out `sound: true`.")
        return np.ascontiguousarray(values)
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(values, dtype=np.float32)
