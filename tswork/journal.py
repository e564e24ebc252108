"""Points of curves in the order in which they came, which outlive the process where there is a file for them.

The file has one JSON list a line: name, step, value. A line that a crash has torn ends it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from tswork.recorder import Value

Point = tuple[str, int, float]


class Journal:
    """Collects points; tensors are read at the next `flush`, in one transfer."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._waiting: list[tuple[int, Mapping[str, Value]]] = []
        self.points: list[Point] = []
        """Those that were flushed or taken up."""

    def add(self, values: Mapping[str, Value], *, step: int) -> None:
        """One point on each named curve."""
        self._waiting.append((step, values))

    def flush(self) -> None:
        """Read what waits and append it to the file."""
        points = list(_read(self._waiting))
        self._waiting.clear()
        self.points.extend(points)
        if self._path is not None and points:
            with self._path.open("a") as file:
                file.writelines(_lines(points))

    def resume(self, *, before: int) -> None:
        """Take up the file's points with a step below `before`, and forget later ones; without a file nothing happens."""
        if self._path is not None:
            self.points = [point for point in read_points(self._path) if point[1] < before]
            write_points(self._path, self.points)


def write_points(path: Path, points: Iterable[Point]) -> None:
    """A file of these points and no others."""
    path.write_text("".join(_lines(points)))


def read_points(path: Path) -> Iterator[Point]:
    """The points of a file, which need not be there."""
    if not path.exists():
        return
    for line in path.read_text().splitlines():
        try:
            name, step, value = json.loads(line)
        except ValueError:
            return
        yield name, step, value


def _lines(points: Iterable[Point]) -> Iterator[str]:
    return (json.dumps(point) + "\n" for point in points)


def _read(waiting: Iterable[tuple[int, Mapping[str, Value]]]) -> Iterator[Point]:
    tensors = [value for _, values in waiting for value in values.values() if isinstance(value, Tensor)]
    read = iter(torch.stack([tensor.detach().double() for tensor in tensors]).tolist() if tensors else [])
    for step, values in waiting:
        for name, value in values.items():
            yield name, step, next(read) if isinstance(value, Tensor) else float(value)
