"""TF-C: its terms in plain lines, what is judged, and which control belongs to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.methods.patients import recordings
from tests.methods.toys import TINY, method_of, model_of, trained
from tests.reference import info_nce as plain_info_nce
from tests.reference import tf_c as plain
from tswork.augment.base import View
from tswork.augment.spectrum import changed_spectrum
from tswork.config import configure, dump
from tswork.context import Context
from tswork.encoders.pooling import pool
from tswork.encoders.time_frequency import TimeFrequency, spectrum
from tswork.errors import DataInvalid
from tswork.methods.saving import load_model, save_model
from tswork.methods.tf_c import TFC


def tf_c(**options: Any) -> TFC:
    method = method_of("tf_c", **options)
    assert isinstance(method, TFC)
    return method


def test_the_variants_set_the_options_of_the_table() -> None:
    published = {
        "temperature": 0.2,
        "batch_size": 128,
        "epochs": 40,
        "learning_rate": 3e-4,
        "weight_decay": 3e-4,
        "consistency": "triplet",
        "contrast_weight": 0.5,
        "consistency_weight": 0.5,
        "frequency_share": 0.0,
    }
    config = dump(configure("method", "tf_c").config)
    assert {name: config[name] for name in published} == published
    released = dump(configure("method", {"uses": "tf_c", "variant": "reference"}).config)
    assert (released["consistency"], released["contrast_weight"], released["consistency_weight"]) == ("pair", 0.2, 1.0)
    kept = dump(configure("method", {"uses": "tf_c", "variant": "reference", "consistency": "triplet"}).config)
    assert kept["consistency"] == "triplet"
    (group,) = tf_c().optimisers(model_of(tf_c(), recordings()))["model"].param_groups
    assert group["betas"] == (0.9, 0.99)


def test_an_encoder_that_is_named_becomes_both_halves() -> None:
    named = dump(tf_c().config)["encoder"]
    assert named["uses"] == "time_frequency"
    assert named["time"]["uses"] == "dilated_conv"
    assert named["time"]["dim"] == TINY["dim"]
    own = {"uses": "time_frequency", "time": TINY, "frequency": "recurrent"}
    assert dump(tf_c(encoder=own).config)["encoder"]["frequency"]["uses"] == "recurrent"
    again = configure("method", {"uses": "tf_c", **dump(tf_c().config)})
    assert dump(again.config) == dump(tf_c().config)


@pytest.mark.parametrize("variant", ["paper", "reference"])
def test_its_terms_equal_plain_lines(variant: str) -> None:
    part = recordings()
    method = tf_c(variant=variant, batch_size=6, views=[{"uses": "jitter", "sigma": 0.2}], head=5)
    model, context = model_of(method, part), Context()
    batch = method.batches(model, part, context).at(0, 0)
    encoder, generator = model.encoder, context.generator("views")
    assert isinstance(encoder, TimeFrequency)
    jittered = configure("view", {"uses": "jitter", "sigma": 0.2}).build()(
        View(batch.x, batch.lengths), generator=generator
    )
    amplitudes = torch.stack([plain.amplitudes(row.double()) for row in batch.x]).float()
    share, height = (0.0, 0.5) if variant == "paper" else (0.1, 0.1)
    other = changed_spectrum(amplitudes, share=share, height=height, generator=generator)
    time = [pool(encoder.time(x), "max") for x in (batch.x, jittered.x)]
    frequency = [pool(encoder.frequency(x), "max") for x in (amplitudes, other)]
    t, f = ([model.heads[name](h) for h in pair] for name, pair in (("time", time), ("frequency", frequency)))

    def nt_xent(a: Tensor, b: Tensor) -> Tensor:
        return plain_info_nce.info_nce(a, b, temperature=0.2, among="both")

    close = plain.consistency(t[0], f[0], t[1], f[1]) if variant == "paper" else nt_xent(t[0], f[0])
    weights = (0.5, 0.5) if variant == "paper" else (0.2, 1.0)
    expected = {
        "time": weights[0] * nt_xent(*time),
        "frequency": weights[0] * nt_xent(*frequency),
        "consistency": weights[1] * close,
    }
    (update,) = method.updates(model, batch, context)
    assert update.terms.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(update.terms[name], value, rtol=1e-4, atol=1e-5)
    update.loss.backward()
    assert all(weight.grad is not None for weight in model.parameters())


def test_what_is_judged_is_both_embeddings_side_by_side(tmp_path: Path) -> None:
    part = recordings()
    method = tf_c(iterations=3, epochs=None)
    (model,) = trained(method, part)[0].models
    x = part.collection.values.view(12, 32, 2)
    encoder = model.encoder
    assert isinstance(encoder, TimeFrequency)
    with torch.no_grad():
        expected = torch.cat([pool(encoder.time(x), "max"), pool(encoder.frequency(spectrum(x)), "max")], dim=1)
        torch.testing.assert_close(model.embed(x), expected)
        assert expected.shape == (12, 2 * TINY["dim"])
        save_model(tmp_path / "model", model, configure("method", {"uses": "tf_c", **dump(method.config)}))
        assert torch.equal(load_model(tmp_path / "model").embed(x), model.embed(x))


def test_recordings_of_unequal_length_are_batched_by_length() -> None:
    part = recordings(lengths=(32, 21))
    method = tf_c(batch_size=4)
    batches = method.batches(model_of(method, part), part, Context())
    for step in range(batches.steps(0)):
        assert batches.at(0, step).unequal_lengths is None


def test_it_trains_and_shows_its_two_views() -> None:
    _, recorder = trained(tf_c(epochs=30, batch_size=12, learning_rate=0.01), recordings())
    losses = [loss for _, loss in recorder.curves["loss"]]
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
    assert {"health/alignment", "terms/consistency"} <= recorder.curves.keys()


def test_a_batch_of_one_is_refused() -> None:
    with pytest.raises(DataInvalid, match="no batch has two sequences"):
        trained(tf_c(batch_size=1), recordings())
