"""Heads and single fine-tunings: the published head's bounds, batches of one, and scores in the order of the part."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.methods.toys import method_of, model_of
from tests.protocols.patients import toy_patients
from tswork.context import Context
from tswork.data.collection import DataInfo, Part
from tswork.protocols.classifier_heads import classifier_head
from tswork.protocols.fine_tuning import Recipe, Scored, class_positions, embedded_part, fine_tune, tuned_model

RECIPE = Recipe(
    learning_rate=1e-2,
    epochs=2,
    batch_size=16,
    weight_decay=0.01,
    patience=None,
    head="layers",
    hidden=8,
    pooling="max",
    mask="none",
)


def test_the_published_head_has_its_published_size_and_squashes_twice() -> None:
    """Two sigmoids keep outputs between 1/2 and sigmoid(1), and the loss of two classes between 0.584277 and 0.815335."""
    head = classifier_head("published", 320, 128, 2)
    assert sum(parameter.numel() for parameter in head.parameters()) == 41_602
    outputs = head.eval()(1e4 * torch.randn(500, 320))
    assert outputs.min() >= 0.5
    assert outputs.max() <= 0.731059
    loss = functional.cross_entropy(outputs, outputs.argmax(dim=1))
    assert 0.584277 <= loss.item() <= math.log(2)
    worst = functional.cross_entropy(torch.tensor([[0.5, 0.7310586]]), torch.tensor([0]))
    best = functional.cross_entropy(torch.tensor([[0.5, 0.7310586]]), torch.tensor([1]))
    assert (best.item(), worst.item()) == pytest.approx((0.584277, 0.815335), abs=1e-6)


def test_the_plain_head_can_bring_the_loss_to_zero() -> None:
    head = classifier_head("layers", 3, 128, 2).eval()
    with torch.no_grad():
        head[3].weight.mul_(1e4)  # type: ignore[operator]
        outputs = head(torch.randn(200, 3))
    assert functional.cross_entropy(outputs, outputs.argmax(dim=1), reduction="none").median() == 0


def test_a_batch_of_one_is_taken_by_the_running_statistics() -> None:
    head = classifier_head("layers", 4, 8, 3)
    one = torch.randn(1, 4)
    trained, judged = head(one), head.eval()(one)
    torch.testing.assert_close(trained, judged)
    assert head[1].num_batches_tracked == 0


def test_a_last_batch_of_one_trains() -> None:
    split = toy_patients()
    part = Part(split.train.collection, split.train.spans[:17])
    model = model_of(method_of("supervised"), split.train)
    tuned = fine_tune(model, RECIPE, part, split.validation, DataInfo.of(part), Context(), name="tiny")
    assert tuned.steps == 4
    assert 0 <= tuned.score <= 1


def test_scores_stand_in_the_order_of_the_part_whatever_the_lengths() -> None:
    split = toy_patients()
    spans = split.test.spans.clone()
    spans[:, 2] -= torch.arange(len(spans)) % 7
    part = Part(split.test.collection, spans)
    model = tuned_model(model_of(method_of("supervised"), split.train), RECIPE, DataInfo.of(split.train), seed=0).eval()
    found = Scored(part, model.encoder, Context()).probabilities(model)
    alone = [
        model.classify(part.collection.sequence(int(row))[int(start) : int(stop)][None]).softmax(dim=1)[0]
        for row, start, stop in spans
    ]
    np.testing.assert_allclose(found, torch.stack(alone).detach().numpy(), atol=1e-6)


def test_classes_keep_their_place_where_an_embedded_part_lacks_some() -> None:
    split = toy_patients(classes=3)
    model = model_of(method_of("supervised"), split.train)
    part = Part(split.train.collection, split.train.spans[split.train.codes("diagnosis") > 0])
    embedded = embedded_part(model, part, Context(), pooling="max")
    assert embedded.collection.classes == ("d1", "d2")
    assert class_positions(embedded.collection, model.info).tolist() == [1, 2]


def test_half_precision_encoders_are_scored_in_full() -> None:
    split = toy_patients()
    model = tuned_model(model_of(method_of("supervised"), split.train), RECIPE, DataInfo.of(split.train), seed=0).eval()
    full = Scored(split.test, model.encoder, Context()).probabilities(model)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = Scored(split.test, model.encoder, Context()).probabilities(model)
    np.testing.assert_allclose(half, full, atol=0.03)
    assert half.sum(axis=1) == pytest.approx(1)
