"""Representations of forecast starts: the right ones in the right rows, and none that nobody asked for."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.protocols.toys import toy_model, toy_series
from tswork.context import Context
from tswork.protocols.forecast_features import encode_origins
from tswork.protocols.forecast_samples import Origins


def test_sampled_origins_have_the_representations_they_have_among_all() -> None:
    split = toy_series(lengths=(90, 140), shares=(0.5, 0.25))
    model, collection = toy_model(split.train), split.train.collection
    every = Origins.of(split.train)
    some = every.sampled(17, torch.Generator().manual_seed(0))
    test = Origins.of(split.test)
    (whole,) = encode_origins(model, collection, [every], 9, Context())
    found, of_test = encode_origins(model, collection, [some, test], 9, Context())
    assert (len(found), len(of_test)) == (17, len(test))
    places = {
        (int(one), int(at)): row for row, (one, at) in enumerate(zip(every.sequence, every.position, strict=True))
    }
    rows = [places[int(one), int(at)] for one, at in zip(some.sequence, some.position, strict=True)]
    torch.testing.assert_close(found, whole[rows], rtol=1e-5, atol=1e-5)


def test_no_window_between_origins_is_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    split = toy_series(lengths=(90, 140), shares=(0.5, 0.25))
    model = toy_model(split.train)
    encoded: list[int] = []
    last = type(model.encoder).last

    def counting(encoder: object, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        encoded.append(len(x))
        return last(encoder, x, lengths)  # type: ignore[arg-type]

    monkeypatch.setattr(type(model.encoder), "last", counting)
    some = Origins.of(split.train).sampled(17, torch.Generator().manual_seed(0))
    encode_origins(model, split.train.collection, [some, some], 9, Context())
    assert sum(encoded) == 17
