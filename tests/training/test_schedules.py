"""Learning rates over a training."""

from __future__ import annotations

import pytest
import torch

from tswork.training.optimisers import AdamW
from tswork.training.schedules import Schedule, scheduled, share


def shares(schedule: Schedule, *, warm_up: float, steps: int) -> list[float]:
    return [share(step, schedule=schedule, warm_up=warm_up, steps=steps) for step in range(steps)]


def test_a_warm_up_rises_evenly_to_the_full_rate() -> None:
    assert shares("constant", warm_up=0.25, steps=16) == pytest.approx([0.25, 0.5, 0.75, 1.0] + [1.0] * 12)


@pytest.mark.parametrize(("schedule", "middle"), [("linear", 0.5), ("cosine", 0.5)])
def test_what_follows_falls_from_the_full_rate_towards_zero(schedule: Schedule, middle: float) -> None:
    found = shares(schedule, warm_up=0.2, steps=100)
    assert found[20] == 1
    assert found[60] == pytest.approx(middle)
    assert 0 < found[-1] < 0.02
    assert found[20:] == sorted(found[20:], reverse=True)
    assert share(100, schedule=schedule, warm_up=0.2, steps=100) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_the_shortest_trainings_have_a_rate(schedule: Schedule) -> None:
    assert shares(schedule, warm_up=0.0, steps=1) == [1]
    assert shares(schedule, warm_up=0.5, steps=1) == [1]
    assert shares(schedule, warm_up=0.0, steps=2)[0] == 1


def test_groups_keep_their_proportion_and_a_saved_schedule_goes_on() -> None:
    def made() -> tuple[AdamW, torch.optim.lr_scheduler.LambdaLR]:
        groups = [{"params": [torch.nn.Parameter(torch.ones(1))], "lr": rate} for rate in (0.1, 0.01)]
        optimiser = AdamW(groups)
        return optimiser, scheduled(optimiser, schedule="linear", warm_up=0.2, steps=10)

    optimiser, schedule = made()
    for _ in range(5):
        optimiser.step()
        schedule.step()
    assert optimiser.param_groups[0]["lr"] == pytest.approx(10 * optimiser.param_groups[1]["lr"])
    other, resumed = made()
    other.load_state_dict(optimiser.state_dict())
    resumed.load_state_dict(schedule.state_dict())
    for one in (schedule, resumed):
        one.optimizer.step()
        one.step()
    assert [group["lr"] for group in other.param_groups] == [group["lr"] for group in optimiser.param_groups]
