"""Values of a collection that lie in entries of the store already: told by their places there instead of written once more.

Decoded sound is kept in entries (`decoded.py`), each a `.npy` file of int16 samples. A collection of whole recordings in the
order in which they were decoded is one run of such a file and is mapped from it. Other orders, pieces, and recordings of several
entries are several runs, which are copied together when the collection is opened; where they are too large for that, once into
an entry of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from jaxtyping import Int16
from numpy.lib.format import open_memmap
from torch import Tensor

from tswork.data.backends import mark_mapped
from tswork.store import Store, key_of

SAMPLES = "samples.npy"
KIND = "decoded"
SHARE = 0.5
"""Share of the free memory up to which values are loaded; larger ones stay on disk and are mapped."""


@dataclass(frozen=True)
class Runs:
    """Where values lie: keys of entries, and runs (number of the key, first step, step after the last) in order."""

    keys: tuple[str, ...]
    runs: tuple[tuple[int, int, int], ...]

    @staticmethod
    def of(pieces: Iterable[tuple[str, int, int]]) -> Runs:
        """Runs of pieces (key, first step, step after the last) in order; pieces that touch become one run."""
        numbers: dict[str, int] = {}
        runs: list[tuple[int, int, int]] = []
        for key, start, stop in pieces:
            number = numbers.setdefault(key, len(numbers))
            if runs and runs[-1][0] == number and runs[-1][2] == start:
                runs[-1] = (number, runs[-1][1], stop)
            else:
                runs.append((number, start, stop))
        return Runs(tuple(numbers), tuple(runs))

    @staticmethod
    def parse(about: dict[str, Any]) -> Runs:
        """What `dump` gave."""
        return Runs(tuple(about["keys"]), tuple((int(a), int(b), int(c)) for a, b, c in about["runs"]))

    @staticmethod
    def chain(several: Sequence[Runs]) -> Runs:
        """Runs one after another."""
        return Runs.of((one.keys[number], start, stop) for one in several for number, start, stop in one.runs)

    def dump(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    @property
    def length(self) -> int:
        """Steps of all runs."""
        return sum(stop - start for _, start, stop in self.runs)

    def there(self, store: Store) -> bool:
        """Whether all entries are still in the store."""
        return all(store.get(key) is not None for key in self.keys)


def open_runs(runs: Runs, store: Store, *, budget: int, load: bool = False) -> Tensor:
    """The values `(time, 1)` of some runs. One run is mapped; several are copied together, up to `budget` bytes in memory.

    `load` copies one run into memory too, where it fits.
    """
    sources = [entry_samples(store, key) for key in runs.keys]
    parts = [sources[number][start:stop] for number, start, stop in runs.runs]
    fits = 2 * runs.length <= budget
    if len(parts) == 1 and not (load and fits):
        values = torch.from_numpy(parts[0])
        mark_mapped(values)
    elif fits or not parts:
        values = torch.from_numpy(np.concatenate(parts) if parts else np.zeros((0, 1), np.int16))
    else:
        key = key_of({"joined": runs.dump()})
        store.compute(key, lambda folder: _write(folder, parts, runs.length), about={"kind": KIND})
        return open_runs(Runs((key,), ((0, 0, runs.length),)), store, budget=budget)
    values._tswork_runs = (str(store.path), runs)  # type: ignore[attr-defined]
    return values


def free_room() -> int:
    """Bytes of memory that values may take."""
    return int(psutil.virtual_memory().available * SHARE)


def runs_of(values: Tensor, store: Store) -> Runs | None:
    """Where these very values lie in a store, if they were opened from it."""
    path, runs = getattr(values, "_tswork_runs", ("", None))
    return runs if Path(path) == store.path else None


def entry_samples(store: Store, key: str) -> Int16[np.ndarray, "time one"]:
    """The samples of an entry, mapped; changes would stay in this process."""
    folder = store.get(key)
    if folder is None:
        raise FileNotFoundError(f"the entry {key} is not in the store {store.path}")
    samples: Int16[np.ndarray, "time one"] = np.load(folder / SAMPLES, mmap_mode="c")
    return samples


def _write(folder: Path, parts: Sequence[Int16[np.ndarray, "_ one"]], length: int) -> None:
    out: np.memmap[Any, Any] = open_memmap(folder / SAMPLES, mode="w+", dtype=np.int16, shape=(length, 1))  # type: ignore[no-untyped-call]
    done = 0
    for part in parts:
        out[done : done + len(part)] = part
        done += len(part)
    out.flush()
