"""No step of a continual method waits for the device: what decides shapes is known on the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.methods.test_coconut import told_waves
from tests.methods.test_continual import learner
from tests.methods.test_distilling import later_task, options_of
from tests.methods.waiting import Watch, sent, there
from tswork.context import Context
from tswork.data.batches import Batch, Batches
from tswork.data.rehearsal import MEMORY_ROW

LEARNERS: list[tuple[str, str, dict[str, Any]]] = [
    *((name, answer, {}) for name in ("er", "derpp", "agem", "audio_kd", "token_kd") for answer in ("class", "text")),
    ("icarl", "class", {}),
    ("co2l", "class", {"width": 6}),
    ("co2l", "class", {"width": 6, "views": ["jitter"]}),
    ("sequence_kd", "text", {}),
    *(("coconut", answer, {"width": 8}) for answer in ("class", "text")),
    ("coconut", "text", {"width": 8, "sequence_weight": 1.0, "distillation": "ntpt"}),
    ("ewc", "class", {"samples": 4}),
]


@pytest.mark.parametrize(("name", "answer", "more"), LEARNERS)
def test_a_step_does_not_wait_for_the_device(
    name: str, answer: str, more: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = options_of(answer, **more)
    if name == "ewc":
        del options["memory"]
    method: Any = learner(name, **options)
    model, _ = later_task(method, told_waves())
    batches = method.batches(model, method.tasks(told_waves())[1], Context())
    usual = Batches.at
    monkeypatch.setattr(Batches, "at", lambda self, epoch, step: sent(usual(self, epoch, step)))
    old = 0
    for step in range(batches.steps(0)):
        batch = batches.at(0, step)
        old += int((batch.on_host(MEMORY_ROW) >= 0).sum()) if MEMORY_ROW in batch.codes else 0
        with Watch():
            for update in method.updates(model, batch, Context().at(0, step)):
                update.loss.backward()
                if update.change is not None:
                    update.change()
    assert old or name in ("agem", "ewc"), "there was something to look for"


def test_places_in_the_memory_are_known_on_the_host_of_any_batch() -> None:
    method: Any = learner("er", **options_of("class"))
    _, batches = later_task(method, told_waves())
    for batch in batches:
        assert torch.equal(batch.on_host(MEMORY_ROW), batch.codes[MEMORY_ROW])
        by_hand = Batch(batch.x, batch.lengths, batch.span, batch.codes)
        assert torch.equal(by_hand.on_host(MEMORY_ROW), batch.codes[MEMORY_ROW])


@pytest.mark.parametrize(
    "look",
    [
        lambda x: x.sum().item(),
        lambda x: bool((x > 0).any()),
        lambda x: x[x > 0],
        lambda x: torch.nonzero(x),
        lambda x: (2 * x).cpu(),
        lambda x: torch.arange(3.0)[x > 0],
    ],
)
def test_the_watch_sees_who_waits(look: Callable[[torch.Tensor], object]) -> None:
    x = torch.arange(3.0)
    look(x)
    with Watch(), pytest.raises(AssertionError, match="waits for the device"):
        look(there(x))
