"""SimCLR: NT-Xent of two augmented views behind a head, with the settings it is known for."""

from __future__ import annotations

import pytest
import torch

from tests.methods.test_contrastive import first_batch, loss_of, views_of, without_label
from tests.methods.toys import method_of, model_of, trained, waves
from tests.reference import info_nce as plain
from tswork.config import configure, dump
from tswork.encoders.pooling import pool
from tswork.errors import DataInvalid, ModelUnfit


def test_the_settings_are_those_of_the_paper() -> None:
    config = dump(configure("method", "simclr").config)
    assert {"uses": "info_nce", "among": "both", "temperature": 0.5, "symmetric": True}.items() <= config[
        "objective"
    ].items()
    assert config["head"] == {"hidden": 128, "dim": 128}
    assert [view["uses"] for view in config["views"]] == ["scaling", "permutation", "jitter"]
    assert (config["other_views"], config["queue"], config["momentum"]) == (None, 0, None)
    assert (config["weight_decay"], config["batch_size"], config["epochs"]) == (1e-6, 128, 100)


def test_its_loss_is_nt_xent_of_projections() -> None:
    method = method_of("simclr")
    model, batch, context = first_batch(method, waves([20, 9, 14, 20]))
    blocks = dump(method.config)["views"]
    z = [
        model.heads["project"](pool(model.encoder(view.x, view.lengths), "max"))
        for view in views_of(batch, context, blocks, blocks)
    ]
    expected = plain.info_nce(z[0], z[1], among="both", temperature=0.5)
    torch.testing.assert_close(loss_of(method, model, batch, context), expected, rtol=1e-5, atol=1e-6)


def test_its_messages_call_it_by_its_name() -> None:
    with pytest.raises(ModelUnfit, match="simclr: the objective 'ts2vec' takes no queue"):
        model_of(method_of("simclr", objective="ts2vec", views=["mask"], queue=4), without_label(waves([20] * 4)))
    with pytest.raises(DataInvalid, match="no batch has two sequences"):
        trained(method_of("simclr", batch_size=1), waves([20] * 4))
