"""Mixing-up: what is mixed, how shares are distributed, and the loss as the paper writes it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.methods.patients import recordings
from tests.methods.toys import method_of, model_of, trained
from tests.reference import mixing_up as plain
from tswork.config import configure, dump
from tswork.context import Context
from tswork.errors import DataInvalid
from tswork.methods.mixing_up import MixingUp, shares


def mixing_up(**options: Any) -> MixingUp:
    method = method_of("mixing_up", **options)
    assert isinstance(method, MixingUp)
    return method


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_published_settings_are_the_defaults() -> None:
    published = {
        "alpha": 1.0,
        "temperature": 0.5,
        "head": 128,
        "learning_rate": 1e-3,
        "weight_decay": 0.0,
        "share": "batch",
    }
    config = dump(configure("method", "mixing_up").config)
    assert {name: config[name] for name in published} == published


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_shares_have_the_moments_of_beta(alpha: float) -> None:
    """Mean 1/2, variance 1 / (4 (2 alpha + 1))."""
    drawn = shares(20_000, alpha, generator())
    assert drawn.mean().item() == pytest.approx(0.5, abs=0.01)
    assert drawn.var().item() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.03)


def test_shares_are_numbers_even_where_gamma_variables_vanish() -> None:
    drawn = shares(20_000, 0.01, generator())
    assert torch.isfinite(drawn).all()
    assert ((drawn >= 0) & (drawn <= 1)).all()
    assert ((drawn < 0.01) | (drawn > 0.99)).double().mean() > 0.9


@pytest.mark.parametrize("share", ["batch", "sequence"])
@pytest.mark.parametrize("lengths", [(32,), (32, 21, 9)])
def test_its_loss_is_the_papers_less_the_log_of_two(share: str, lengths: tuple[int, ...]) -> None:
    part = recordings(lengths=lengths)
    method = mixing_up(share=share, batch_size=6, alpha=0.7, head=5)
    model, context = model_of(method, part), Context()
    batch = method.batches(model, part, context).at(0, 0)
    mixture = method.mixed(batch, context.generator("mixture"))
    assert (len(set(mixture.share.tolist())) == 1) == (share == "batch")
    z: list[Tensor] = []
    mixed: list[Tensor] = []
    given = mixture.share.tolist()
    for i, j in enumerate(mixture.partner.tolist()):
        own, other = (part.collection.sequence(int(batch.span[k, 0])) for k in (i, j))
        both = min(len(own), len(other))
        values = given[i] * own[:both] + (1 - given[i]) * other[:both]
        for rows, x in ((z, own), (mixed, values)):
            rows.append(model.heads["project"](model.encoder(x[None]).values[0].amax(dim=0)))
    first, second = torch.stack(z), torch.stack(z)[mixture.partner]
    expected = plain.mixture_contrast(torch.stack(mixed), first, second, given) - math.log(2)
    (update,) = method.updates(model, batch, context)
    torch.testing.assert_close(update.loss, expected, rtol=1e-4, atol=1e-5)


def test_a_value_that_is_missing_in_either_is_missing_in_the_mixture() -> None:
    part = recordings()
    part.collection.values[5, 1] = torch.nan
    method = mixing_up(batch_size=12)
    batch = method.batches(model_of(method, part), part, Context()).at(0, 0)
    mixture = method.mixed(batch, generator())
    missing = batch.x.isnan()
    assert torch.equal(mixture.view.x.isnan(), missing | missing[mixture.partner])
    (update,) = method.updates(model_of(method, part), batch, Context())
    assert torch.isfinite(update.loss)


def test_it_trains_and_shows_its_two_views() -> None:
    _, recorder = trained(mixing_up(epochs=40, batch_size=12, learning_rate=0.01, share="sequence"), recordings())
    losses = [loss for _, loss in recorder.curves["loss"]]
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
    assert "health/alignment" in recorder.curves


def test_a_batch_of_one_is_refused() -> None:
    with pytest.raises(DataInvalid, match="no batch has two sequences"):
        trained(mixing_up(batch_size=1), recordings())
