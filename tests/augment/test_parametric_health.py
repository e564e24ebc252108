"""Readings of a learned augmentation, from gates whose readings are known."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.augment.test_parametric import INFO, augmentation, generator, series
from tswork.augment.parametric import ParametricView
from tswork.augment.parametric_health import MOST, gate_health
from tswork.data.collection import DataInfo


def view(h: Tensor, g: Tensor, keep: Tensor) -> ParametricView:
    """A view of three channels of which the last two are gated."""
    ones = torch.ones(*h.shape[:2], 1)
    return ParametricView(torch.zeros(*h.shape[:2], 3), torch.cat([ones, h], 2), torch.cat([ones, g], 2), keep)


def test_readings_are_means_over_real_steps_of_each_gated_channel() -> None:
    lengths = torch.tensor([4, 2])
    h = torch.tensor([[[1.0, 0], [1, 0], [0, 0], [0, 1]], [[1, 1], [1, 1], [9, 9], [9, 9]]])
    keep = torch.tensor([[[0.01, 0.5], [0.99, 0.5], [0.5, 0.5], [0.5, 0.5]], [[0.5, 0.2], [0.5, 0.4], [9, 9], [9, 9]]])
    g = torch.tensor([[[0.4, 2.7], [0.4, 2.7], [1, 2.7], [1, 1]], [[1, 1], [1, 1], [9, 9], [9, 9]]])
    found = {name: value.item() for name, value in gate_health(augmentation(), view(h, g, keep), lengths, INFO).items()}
    spread = torch.tensor([0.01, 0.99, 0.5, 0.5]).std(correction=0).item()
    expected = {
        "h/keep_rate/load": 4 / 6,
        "h/keep_rate/heat": 3 / 6,
        "h/saturation/load": 2 / 6,
        "h/saturation/heat": 0,
        "h/variation/load": spread / 2,
        "h/variation/heat": 0.1 / 2,
        "g/mean/load": (0.4 + 0.4 + 1 + 1 + 1 + 1) / 6,
        "g/mean/heat": (3 * 2.7 + 3) / 6,
        "g/saturation/load": 2 / 6,
        "g/saturation/heat": 3 / 6,
        "g/variation/load": torch.tensor([0.4, 0.4, 1, 1]).std(correction=0).item() / 2,
        "g/variation/heat": torch.tensor([2.7, 2.7, 2.7, 1]).std(correction=0).item() / 2,
    }
    for name in ("h/keep_rate", "h/saturation", "h/variation", "g/mean", "g/saturation", "g/variation"):
        expected[name] = (expected[f"{name}/load"] + expected[f"{name}/heat"]) / 2
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_what_is_not_learned_is_not_reported() -> None:
    x, lengths = series(), torch.full((4,), 12)
    cases: list[tuple[dict[str, Any], set[str]]] = [({"factor": "none"}, {"g"}), ({"transform": "none"}, {"h"})]
    for options, gates in cases:
        learned = augmentation(**options)
        found = gate_health(learned, learned(x, generator=generator()), lengths, INFO)
        assert {name[0] for name in found} == gates


def test_of_many_channels_the_first_are_reported_and_of_one_channel_only_the_whole() -> None:
    for count, names in ((1, 6), (MOST + 5, 6 * (1 + MOST))):
        info = DataInfo(tuple(f"c{number}" for number in range(count)))
        learned = augmentation(info)
        found = gate_health(learned, learned(series(channels=count)), torch.full((4,), 12), info)
        assert len(found) == names
