"""A model does what it says it provides, and `evaluating` leaves no trace."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.encoders.blocks import DILATED_CONV, build
from tswork.data.collection import DataInfo
from tswork.errors import ModelUnfit
from tswork.methods.model import Model, evaluating

INFO = DataInfo(("c0", "c1", "c2"), classes=("a", "b"))


def test_a_model_embeds_whole_sequences_and_gives_their_last_step() -> None:
    model = Model(build(DILATED_CONV), INFO).eval()
    x, lengths = torch.randn(2, 10, 3), torch.tensor([10, 4])
    with torch.no_grad():
        frames = model.encoder(x, lengths).values
        torch.testing.assert_close(model.embed(x, lengths)[1], frames[1, :4].amax(dim=0))
        torch.testing.assert_close(model.last(x, lengths), torch.stack([frames[0, 9], frames[1, 3]]))


def test_classes_are_given_by_a_head_or_refused() -> None:
    head = nn.Linear(16, 2)
    x = torch.randn(3, 10, 3)
    with torch.no_grad():
        model = Model(build(DILATED_CONV), INFO, heads={"classify": head}, provides=frozenset({"classify"}))
        assert torch.equal(model.classify(x), head(model.embed(x)))
    assert model.provides == {"embed", "classify"}
    with pytest.raises(
        ModelUnfit, match=r"it has no 'classify' head\. Train it with `supervised`, or judge it with a probe"
    ):
        Model(build(DILATED_CONV), INFO).classify(x)


def test_evaluating_is_without_gradients_and_puts_every_mode_back() -> None:
    model = Model(build(DILATED_CONV), INFO, heads={"project": nn.Dropout(0.5)}).train()
    model.encoder.eval()
    with evaluating(model):
        assert not any(module.training for module in model.modules())
        assert not model.embed(torch.randn(1, 5, 3)).requires_grad
    assert model.training
    assert model.heads["project"].training
    assert not model.encoder.training
    assert torch.is_grad_enabled()


def test_it_knows_its_device() -> None:
    assert Model(build(DILATED_CONV), INFO).device == torch.device("cpu")
