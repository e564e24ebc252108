"""The optimisers are torch's, bit by bit, and leave its compiler alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.cli.commands import in_new_process
from tswork.training.optimisers import PIECE, SGD, Adam, AdamW

SHAPES = [(3, 5), (PIECE // 64 + 3, 67), (7,), (2 * PIECE,)]


def weights(dtype: torch.dtype = torch.float32) -> list[nn.Parameter]:
    draw = torch.Generator().manual_seed(0)
    found = [nn.Parameter(torch.randn(shape, generator=draw, dtype=dtype)) for shape in SHAPES]
    return [*found, nn.Parameter(torch.randn(400, 700, generator=draw, dtype=dtype).T)]  # lies otherwise in memory


def gradients(step: int, like: list[nn.Parameter]) -> list[Tensor | None]:
    draw = torch.Generator().manual_seed(step + 1)
    found: list[Tensor | None] = [torch.randn(one.shape, generator=draw, dtype=one.dtype) for one in like]
    found[2] = None if step == 0 else found[2]  # a weight that no loss of the first step depends on
    return found


def trained(kind: Any, dtype: torch.dtype, **options: Any) -> tuple[list[nn.Parameter], dict[str, Any]]:
    own = weights(dtype)
    optimiser = kind(own, **options)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=5)
    for step in range(4):
        optimiser.zero_grad()
        for one, gradient in zip(own, gradients(step, own), strict=True):
            one.grad = gradient
        optimiser.step()
        schedule.step()
        if step == 1:  # as in a resumed training
            optimiser.load_state_dict(optimiser.state_dict())
    return own, optimiser.state_dict()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("kind", "plain", "options"),
    [
        (AdamW, torch.optim.AdamW, {"lr": 1e-2, "weight_decay": 0.01}),
        (AdamW, torch.optim.AdamW, {"lr": 1e-2, "weight_decay": 0.0, "eps": 1e-3, "betas": (0.5, 0.9)}),
        (SGD, torch.optim.SGD, {"lr": 1e-2, "momentum": 0.9, "weight_decay": 1e-4}),
        (Adam, torch.optim.Adam, {"lr": 1e-2, "weight_decay": 1e-4, "betas": (0.9, 0.99)}),
    ],
)
def test_updates_and_state_are_torchs_bit_by_bit(
    kind: Any, plain: Any, options: dict[str, Any], dtype: torch.dtype
) -> None:
    (ours, state), (theirs, expected) = trained(kind, dtype, **options), trained(plain, dtype, **options)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one, other)
    assert state["param_groups"] == expected["param_groups"]
    assert state["state"].keys() == expected["state"].keys()
    for index, values in expected["state"].items():
        assert state["state"][index].keys() == values.keys()
        for name, value in values.items():
            found = state["state"][index][name]
            assert (found is None and value is None) or torch.equal(found, value)


def test_a_closure_is_asked_as_by_torch() -> None:
    weight = nn.Parameter(torch.ones(2))
    optimiser = AdamW([weight], lr=0.1)

    def closure() -> float:
        with torch.enable_grad():
            loss = weight.square().sum()
        loss.backward()
        return loss.item()

    assert optimiser.step(closure) == 2.0
    assert (weight < 1).all()


def test_a_training_does_not_import_torchs_compiler(tmp_path: Path) -> None:
    script = """
import sys, torch
from tswork.training.optimisers import SGD, Adam, AdamW
weight = torch.nn.Parameter(torch.ones(3))
for kind in (AdamW, Adam, SGD):
    optimiser = kind([weight], lr=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=5)
    optimiser.zero_grad()
    weight.square().sum().backward()
    optimiser.step()
    schedule.step()
    optimiser.load_state_dict(optimiser.state_dict())
print("torch._dynamo" in sys.modules, "sympy" in sys.modules)
"""
    assert in_new_process(script, tmp_path) == "False False"
