"""Backends: equal batches from everywhere, the right one chosen, and the next batch on its way while this one is used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.data.test_batches import assert_equal, batches, device, packed, ragged
from tswork.data import backends
from tswork.data.backends import Resident, Staged, Windows, map_values, open_mapped, windows
from tswork.data.batches import Batches, Crop
from tswork.data.collection import Part
from tswork.data.samplers import Uniform

__all__ = ["device"]  # the fixture

CPU = torch.device("cpu")
PARTS = {
    "equal": packed([20] * 12),
    "ragged": ragged(),
    "double": packed([20] * 5, dtype=np.float64),
    "sound": packed([30, 20, 25], channels=1, dtype=np.int16),
}


@pytest.mark.parametrize("part", list(PARTS.values()), ids=list(PARTS))
@pytest.mark.parametrize("crop", [None, Crop(7), Crop(7, shared=True)])
def test_all_backends_give_equal_batches(part: Part, crop: Crop | None, device: str, tmp_path: Path) -> None:
    names = ["device", "mapped", *(["pinned"] if device == "cuda" else [])]
    first, *others = (
        batches(part, crop=crop, backend=name, scratch=tmp_path / "values.npy", device=device, columns=("label",))
        for name in names
    )
    for epoch in range(2):
        for step in range(first.steps(epoch)):
            for other in others:
                assert_equal(first.at(epoch, step), other.at(epoch, step))


@pytest.mark.cuda
@pytest.mark.parametrize("backend", ["pinned", "mapped"])
def test_a_batch_that_was_on_its_way_equals_one_that_was_not(backend: Any, tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs an NVIDIA GPU")
    part = packed([64] * 40, channels=8)
    options: dict[str, Any] = {"crop": Crop(48), "device": "cuda"}
    ahead = batches(part, backend=backend, scratch=tmp_path / "values.npy", **options)
    expected = batches(part, backend="device", **options)
    busy = torch.randn(1500, 1500, device="cuda")
    kept = []
    for step in [0, 1, 2, 3, 7, 8, 2, 3, 3, 4]:
        kept.append((step, ahead.at(0, step)))
        busy = (busy @ busy).tanh()  # the stream that uses batches lags behind the one that copies them
    for step, batch in kept:
        assert_equal(batch, expected.at(0, step))


class Copies(Staged):
    """The backend for a GPU with the copy left out, which says what it gathered."""

    def __init__(self, values: Tensor) -> None:
        self._values = values
        self._coming = None
        self.copied: list[list[int]] = []

    def _copy(self, start: Tensor, lengths: Tensor, length: int | None) -> Tensor:
        self.copied.append(start.tolist())
        return backends._take(self._values, start, lengths, length)

    def _arrived(self, x: Tensor) -> Tensor:
        return x


def with_copies(part: Part) -> tuple[Batches, Copies]:
    loader = batches(part, crop=Crop(5))
    copies = Copies(part.collection.values)
    loader._windows = copies
    return loader, copies


def test_in_order_every_batch_is_gathered_once_and_ahead() -> None:
    loader, copies = with_copies(ragged(12))
    expected = batches(ragged(12), crop=Crop(5))
    for step in range(3):
        assert_equal(loader.at(0, step), expected.at(0, step))
        assert len(copies.copied) == min(step + 2, 3)


def test_out_of_order_the_batch_on_its_way_is_dropped() -> None:
    loader, copies = with_copies(ragged(12))
    expected = batches(ragged(12), crop=Crop(5))
    for epoch, step in [(0, 0), (0, 2), (0, 0), (1, 1), (1, 1), (0, 2), (1, 2)]:
        assert_equal(loader.at(epoch, step), expected.at(epoch, step))
    assert len(copies.copied) > 7


def test_a_backend_that_cannot_be_had_says_why() -> None:
    with pytest.raises(ValueError, match="the pinned backend copies to a CUDA device, and the device is cpu"):
        batches(ragged(), backend="pinned")
    with pytest.raises(ValueError, match="the mapped backend needs values that are mapped already, or a scratch file"):
        batches(ragged(), backend="mapped")


def chosen(values: Tensor, **options: Any) -> Windows:
    return windows(values, device=CPU, **options)


def test_on_the_cpu_values_stay_where_they_are(tmp_path: Path) -> None:
    values = torch.randn(10, 2)
    memory = chosen(values)
    assert isinstance(memory, Resident)
    assert memory._values.data_ptr() == values.data_ptr()
    mapped = map_values(values, tmp_path / "values.npy")
    again = chosen(mapped, backend="mapped")
    assert isinstance(again, Resident)
    assert again._values.data_ptr() == mapped.data_ptr()


def test_values_above_a_given_budget_are_mapped_where_there_is_a_scratch_file(tmp_path: Path) -> None:
    values, scratch = torch.randn(10, 2), tmp_path / "deep" / "values.npy"
    chosen(values, budget=80, scratch=scratch)
    assert not scratch.exists()
    chosen(values, budget=79)
    chosen(values, budget=79, scratch=scratch)
    assert torch.equal(open_mapped(scratch), values)


@pytest.mark.parametrize(
    ("size", "mapped", "expected"),
    [(64, False, "device"), (65, False, "pinned"), (64, True, "device"), (65, True, "mapped")],
)
def test_on_a_gpu_values_go_there_while_they_fit_half_of_what_is_free(
    size: int, mapped: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (128, 1000))
    values = torch.zeros(size, 1, dtype=torch.uint8)
    values._tswork_mapped = mapped  # type: ignore[attr-defined]
    assert backends._choose(values, torch.device("cuda"), None, None) == expected


def test_changing_a_batch_leaves_the_mapped_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "values.npy"
    part = packed([4] * 3)
    loader = batches(part, backend="mapped", scratch=path)
    before = path.read_bytes()
    loader.at(0, 0).x.fill_(7)
    assert path.read_bytes() == before
    assert torch.equal(loader.at(0, 0).x, batches(part).at(0, 0).x)


def test_windows_of_no_length_are_empty() -> None:
    values = torch.randn(5, 2)
    nothing = torch.zeros(3, dtype=torch.int64)
    assert Resident(values, CPU).gather(nothing, nothing).shape == (3, 0, 2)


def test_windows_at_the_very_end_are_read_whole() -> None:
    part = packed([3, 8])
    loader = Batches(part, sampler=Uniform(2, batch_size=2, seed=0, shuffle=False))
    x = loader.at(0, 0).x
    assert torch.equal(x[1], part.collection.values[3:])
    assert torch.equal(x[0, 3:], torch.zeros(5, 2))
