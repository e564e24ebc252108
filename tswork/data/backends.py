"""Where packed values lie, and how a batch of windows is gathered from there. Needs torch and numpy alone.

    device  all values on the device: index arithmetic and one gather
    pinned  values in memory of the host; batches are gathered into page-locked memory and copied to a GPU on a stream of its own
    mapped  values in a file that is mapped into memory; only the pages of a batch are read, then as above

With the last two a GPU works on one batch while the next one is gathered and copied. All three give equal batches. Windows are
rows of a strided view of the packed values, so that one gather copies whole windows; shorter ones are then filled with zeros.
Every batch is memory of its own, never a view of a buffer that a later batch would overwrite.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

Backend = Literal["auto", "device", "pinned", "mapped"]

SHARE = 0.5
"""Share of the free memory of a GPU that values may take before they stay off it."""
INT16_SCALE = 1 / 32768


@runtime_checkable
class Windows(Protocol):
    """Gives windows of packed values on a device."""

    def gather(self, start: Tensor, lengths: Tensor, length: int | None = None) -> Tensor:
        """`(batch, longest, channel)` from starts and lengths on the host; zeros past each length.

        `length` says that all lengths are known to be this.
        """


def windows(
    values: Tensor,
    *,
    device: torch.device,
    backend: Backend = "auto",
    budget: int | None = None,
    scratch: Path | None = None,
) -> Windows:
    """The windows of packed values `(total_time, channel)`.

    `auto` puts values on a GPU while they fit `budget` bytes (default: half of what is free there); else they stay in the
    host's memory or in their file. On the CPU they stay where they are, unless they exceed a given `budget` and there is a
    `scratch` file to map them from. `mapped` needs values that are mapped already, or a `scratch` file.
    Raises `ValueError` when a backend cannot be had.
    """
    chosen = _choose(values, device, budget, scratch) if backend == "auto" else backend
    if chosen == "device":
        return Resident(values.to(device), device)
    if chosen == "pinned" and device.type != "cuda":
        raise ValueError(
            f"the pinned backend copies to a CUDA device, and the device is {device}; use 'device' or 'mapped'"
        )
    if chosen == "mapped" and not _is_mapped(values):
        if scratch is None:
            raise ValueError(
                "the mapped backend needs values that are mapped already, or a scratch file to write them to"
            )
        values = map_values(values, scratch)
    return Staged(values, device) if device.type == "cuda" else Resident(values, device)


def map_values(values: Tensor, path: Path) -> Tensor:
    """Write values to a `.npy` file and give them back mapped from it, read-only by convention."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.save(file, values.cpu().numpy())
    return open_mapped(path)


def open_mapped(path: Path) -> Tensor:
    """The values of a `.npy` file, mapped; changes would stay in this process."""
    mapped = torch.from_numpy(np.load(path, mmap_mode="c"))
    mark_mapped(mapped)
    return mapped


def mark_mapped(values: Tensor) -> None:
    """Say of values that they lie in a file, so that they are gathered from there instead of being copied as a whole."""
    values._tswork_mapped = True  # type: ignore[attr-defined]


class Resident:
    """Values gathered where they lie; what was gathered then goes to the device, if it is another."""

    def __init__(self, values: Tensor, device: torch.device) -> None:
        self._values = values.contiguous()
        self._device = device

    def gather(self, start: Tensor, lengths: Tensor, length: int | None = None) -> Tensor:
        return as_float(_take(self._values, start, lengths, length)).to(self._device, non_blocking=True)


class Staged:
    """Values of the host for a GPU; `ahead` starts the copy of a coming batch on a stream of its own."""

    def __init__(self, values: Tensor, device: torch.device) -> None:
        self._values = values.contiguous()
        self._device = device
        self._stream: Any = torch.cuda.Stream(device)
        self._coming: tuple[Tensor, Tensor, Tensor] | None = None

    def gather(self, start: Tensor, lengths: Tensor, length: int | None = None) -> Tensor:
        coming, self._coming = self._coming, None
        if coming is not None and torch.equal(coming[0], start) and torch.equal(coming[1], lengths):
            return self._arrived(coming[2])
        return self._arrived(self._copy(start, lengths, length))

    def ahead(self, start: Tensor, lengths: Tensor, length: int | None = None) -> None:
        """Begin to copy a batch that will be asked for next."""
        self._coming = start, lengths, self._copy(start, lengths, length)

    def _copy(self, start: Tensor, lengths: Tensor, length: int | None) -> Tensor:
        gathered = _take(self._values, start, lengths, length, pinned=True)
        with torch.cuda.stream(self._stream):
            return as_float(gathered.to(self._device, non_blocking=True))

    def _arrived(self, x: Tensor) -> Tensor:
        now = torch.cuda.current_stream(self._device)
        now.wait_stream(self._stream)
        x.record_stream(now)  # its memory belongs to the other stream and must outlive the use on this one
        return x


def as_float(x: Tensor) -> Tensor:
    """Sound samples (int16) as -1 .. 1, 16-bit floats as 32-bit ones; other floating point values as they are."""
    if x.is_floating_point():
        return x.to(torch.promote_types(x.dtype, torch.float32))
    return x.to(torch.float32) * INT16_SCALE


def _take(values: Tensor, start: Tensor, lengths: Tensor, length: int | None = None, *, pinned: bool = False) -> Tensor:
    """Windows in new memory, on the device and in the type of the values; page-locked when that is asked for."""
    longest = length if length is not None else int(lengths.max()) if len(lengths) else 0
    if longest == 0:
        return values.new_empty(len(start), 0, values.shape[1])
    equal = length is not None or int(lengths.min()) == longest
    if equal or int(start.max()) + longest <= len(values):
        x = _whole_windows(values, start, longest, pinned)
    else:
        x = _by_steps(values, start, longest, pinned)
    if equal:
        return x
    outside = torch.arange(longest, device=x.device) >= lengths.to(x.device, non_blocking=True)[:, None]
    return x.masked_fill_(outside[..., None], 0)


def _whole_windows(values: Tensor, start: Tensor, length: int, pinned: bool) -> Tensor:
    """Rows of a view that has every window of this length."""
    channels = values.shape[1]
    every = values.as_strided((len(values) - length + 1, length, channels), (channels, channels, 1))
    if values.device.type == "cpu" and not pinned:
        # By numpy, in this thread: to wake others costs as much as the copy, and far more where cores are busy.
        return torch.from_numpy(every.numpy()[start.numpy()])
    out = values.new_empty((len(start), length, channels), pin_memory=True) if pinned else None
    return torch.index_select(every, 0, start.to(values.device, non_blocking=True), out=out)


def _by_steps(values: Tensor, start: Tensor, length: int, pinned: bool) -> Tensor:
    """The same where a window would reach past the end of the values: what lies there is some other step."""
    shape = (len(start), length, values.shape[1])
    index = (start[:, None] + torch.arange(length)).clamp_(max=len(values) - 1).view(-1)
    out = values.new_empty(shape, pin_memory=True) if pinned else None
    flat = None if out is None else out.flatten(0, 1)
    return torch.index_select(values, 0, index.to(values.device, non_blocking=True), out=flat).view(shape)


def _choose(values: Tensor, device: torch.device, budget: int | None, scratch: Path | None) -> Backend:
    size, mapped = values.numel() * values.element_size(), _is_mapped(values)
    if device.type != "cuda":
        too_large = budget is not None and size > budget and scratch is not None
        return "mapped" if mapped or too_large else "device"
    free = budget if budget is not None else int(torch.cuda.mem_get_info(device)[0] * SHARE)
    return "device" if size <= free else "mapped" if mapped else "pinned"


def _is_mapped(values: Tensor) -> bool:
    return bool(getattr(values, "_tswork_mapped", False))
