"""Where packed values lie, and how a batch of windows is gathered from there. Needs torch and numpy alone.

    device  all values on the device: index arithmetic and one gather
    pinned  values in page-locked memory of the host; the next batch is gathered and copied while this one is used
    mapped  values in a file that is mapped into memory; only the pages of a batch are read

All three give equal batches. Windows of one length are rows of a strided view of the packed values, so that one
`index_select` copies whole windows; windows of several lengths go through an index a step and are filled with zeros.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

Backend = Literal["auto", "device", "pinned", "mapped"]

SHARE = 0.5
"""Share of the free memory that values may take before they stay off the device."""
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

    `auto` keeps values on the device while they fit `budget` bytes (default: half of what is free there), else in pinned
    memory for a GPU and in a mapped file for the CPU. `mapped` needs values that are mapped already, or a `scratch` file.
    Raises `ValueError` when a backend cannot be had.
    """
    chosen = _choose(values, device, budget) if backend == "auto" else backend
    if chosen == "pinned":
        if device.type != "cuda":
            raise ValueError(
                f"the pinned backend copies to a CUDA device, and the device is {device}; use 'device' or 'mapped'"
            )
        return Pinned(values, device)
    if chosen == "mapped":
        if not _is_mapped(values):
            if scratch is None:
                raise ValueError(
                    "the mapped backend needs values that are mapped already, or a scratch file to write them to"
                )
            values = map_values(values, scratch)
        return Resident(values, device)
    return Resident(values.to(device), device)


def map_values(values: Tensor, path: Path) -> Tensor:
    """Write values to a `.npy` file and give them back mapped from it, read-only by convention."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.save(file, values.cpu().numpy())
    return open_mapped(path)


def open_mapped(path: Path) -> Tensor:
    """The values of a `.npy` file, mapped; changes would stay in this process."""
    mapped = torch.from_numpy(np.load(path, mmap_mode="c"))
    mapped._tswork_mapped = True  # type: ignore[attr-defined]
    return mapped


class Resident:
    """Values gathered where they lie; what was gathered then goes to the device."""

    def __init__(self, values: Tensor, device: torch.device) -> None:
        self._values = values if values.is_contiguous() else values.contiguous()
        self._device = device

    def gather(self, start: Tensor, lengths: Tensor, length: int | None = None) -> Tensor:
        if length is None and int(lengths.min()) == int(lengths.max()):
            length = int(lengths[0])
        start = start.to(self._values.device, non_blocking=True)
        if length is not None:
            x = self._equal(start, length)
        else:
            x = self._ragged(start, lengths.to(self._values.device, non_blocking=True), int(lengths.max()))
        return as_float(x.to(self._device, non_blocking=True))

    def _equal(self, start: Tensor, length: int) -> Tensor:
        total, channels = self._values.shape
        if length == 0:
            return self._values.new_zeros(len(start), 0, channels)
        rows = self._values.as_strided((total - length + 1, length * channels), (channels, 1))
        return rows.index_select(0, start).view(len(start), length, channels)

    def _ragged(self, start: Tensor, lengths: Tensor, longest: int) -> Tensor:
        steps = torch.arange(longest, device=start.device)
        index = (start[:, None] + steps).clamp_(max=len(self._values) - 1)
        x = self._values.index_select(0, index.view(-1)).view(len(start), longest, -1)
        return x.masked_fill_((steps >= lengths[:, None])[..., None], 0)


class Pinned:
    """Values in page-locked memory; `ahead` starts the copy of a coming batch on a stream of its own."""

    def __init__(self, values: Tensor, device: torch.device) -> None:
        self._host = Resident(values.pin_memory(), torch.device("cpu"))
        self._device = device
        self._stream: Any = torch.cuda.Stream(device)
        self._coming: tuple[Tensor, Tensor, Tensor] | None = None

    def gather(self, start: Tensor, lengths: Tensor, length: int | None = None) -> Tensor:
        coming, self._coming = self._coming, None
        if coming is None or not (torch.equal(coming[0], start) and torch.equal(coming[1], lengths)):
            coming = self._copy(start, lengths, length)
        x = coming[2]
        now = torch.cuda.current_stream(self._device)
        now.wait_stream(self._stream)
        x.record_stream(now)
        return x

    def ahead(self, start: Tensor, lengths: Tensor, length: int | None = None) -> None:
        """Begin to copy a batch that will be asked for next."""
        self._coming = self._copy(start, lengths, length)

    def _copy(self, start: Tensor, lengths: Tensor, length: int | None) -> tuple[Tensor, Tensor, Tensor]:
        gathered = self._host.gather(start, lengths, length).pin_memory()
        with torch.cuda.stream(self._stream):
            return start, lengths, gathered.to(self._device, non_blocking=True)


def as_float(x: Tensor) -> Tensor:
    """Sound samples (int16) as -1 .. 1; floating point values as they are."""
    return x if x.is_floating_point() else x.to(torch.float32) * INT16_SCALE


def _choose(values: Tensor, device: torch.device, budget: int | None) -> Backend:
    if device.type == "cpu":
        return "mapped" if _is_mapped(values) else "device"
    free = budget if budget is not None else int(torch.cuda.mem_get_info(device)[0] * SHARE)
    return "device" if values.numel() * values.element_size() <= free else "pinned"


def _is_mapped(values: Tensor) -> bool:
    return bool(getattr(values, "_tswork_mapped", False))
