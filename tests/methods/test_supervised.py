"""Supervised training: it learns what can be learned, weighs classes, selects by validation, and refuses what has no labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score
from torch.nn.functional import cross_entropy

from tests.methods.toys import BATCH_NORM, method_of, model_of, trained, waves
from tswork.context import Context
from tswork.data.collection import Part
from tswork.errors import DataInvalid, ModelUnfit
from tswork.methods.supervised import Supervised, class_weights


def labelled(part: Part, labels: Sequence[str | None]) -> Part:
    """The same sequences with other labels; None: unknown."""
    return Part(part.collection.replaced(table=pd.DataFrame({"label": list(labels)})), part.spans)


def scores(part: Part, model: Any) -> float:
    """Accuracy on sequences taken one at a time."""
    truth = part.codes("label").tolist()
    found = [int(model.classify(part.collection.sequence(row)[None]).argmax()) for row in range(len(part))]
    return float(np.mean(np.array(found) == truth))


@pytest.mark.parametrize("encoder", [None, BATCH_NORM], ids=["dilated_conv", "ResNetPlus"])
@pytest.mark.parametrize("lengths", [[30] * 48, [30, 30, 30, 22, 22, 22] * 8])
def test_it_learns_classes_that_can_be_told_apart(lengths: list[int], encoder: Any) -> None:
    options = {"encoder": encoder} if encoder else {}
    method = method_of("supervised", epochs=25, learning_rate=0.01, **options)
    result, _ = trained(method, waves(lengths, classes=3, noise=0.2))
    assert scores(waves(lengths, classes=3, noise=0.2, seed=1), result.models[0]) >= 0.95


def test_the_loss_is_the_cross_entropy_of_a_linear_head() -> None:
    part = waves([20, 9, 14, 20])
    method = method_of("supervised", dropout=0.0, pooling="mean")
    model = model_of(method, part)
    batch = method.batches(model, part, Context()).at(0, 0)
    (update,) = method.updates(model, batch, Context())
    head: Any = model.heads["classify"][1]  # type: ignore[index]
    losses = []
    for row in batch.span[:, 0].tolist():
        pooled = model.encoder(part.collection.sequence(row)[None]).values[0].mean(dim=0)
        logits = head.weight @ pooled + head.bias
        losses.append(logits.logsumexp(dim=0) - logits[part.codes("label")[row]])
    torch.testing.assert_close(update.loss, torch.stack(losses).mean(), rtol=1e-5, atol=1e-6)
    assert model.provides == {"embed", "classify"} == Supervised.provides


def test_balanced_classes_weigh_the_same_whatever_their_number() -> None:
    part = labelled(waves([20] * 8), ["a"] * 6 + ["b"] * 2)
    method = method_of("supervised", dropout=0.0, balanced=True)
    model = model_of(method, part)
    method.begin(model, 0, part, Context())
    batch = method.batches(model, part, Context()).at(0, 0)
    (update,) = method.updates(model, batch, Context())
    each = cross_entropy(model.classify(batch.x), batch.codes["label"], reduction="none")
    means = [each[batch.codes["label"] == code].mean() for code in (0, 1)]
    torch.testing.assert_close(update.loss, torch.stack(means).mean())


def test_weights_of_classes_are_inverse_to_their_number_with_a_mean_of_one() -> None:
    codes = torch.tensor([0, 0, 0, 0, 0, 0, 2, 2])
    weights = class_weights(codes, 4)
    torch.testing.assert_close(weights, torch.tensor([2 / 3, 0, 2, 0]))
    assert weights[codes].mean().item() == pytest.approx(1)


def test_sequences_without_a_label_take_no_part() -> None:
    part = labelled(waves([20] * 6), ["a", None, "b", "a", None, "b"])
    method = method_of("supervised")
    model = model_of(method, part)
    assert model.info.classes == ("a", "b")
    batches = method.batches(model, part, Context())
    assert sorted(batches.at(0, 0).span[:, 0].tolist()) == [0, 2, 3, 5]
    assert trained(method_of("supervised", epochs=2, balanced=True), part)[0].steps == 2


@pytest.mark.parametrize("lengths", [[20] * 9, [20, 9, 14] * 3])
def test_validation_gives_accuracy_and_macro_f1(lengths: list[int]) -> None:
    part = waves(lengths, classes=3)
    method = method_of("supervised")
    model = model_of(method, part).eval()
    found = method.validate(model, part, Context())
    predicted = [int(model.classify(part.collection.sequence(row)[None]).argmax()) for row in range(9)]
    truth = part.codes("label").tolist()
    assert found["accuracy"] == pytest.approx(accuracy_score(truth, predicted))
    assert found["macro_f1"] == pytest.approx(f1_score(truth, predicted, average="macro"))


def test_the_weights_that_validate_best_are_kept() -> None:
    """A rate so high that the score goes up and down."""
    part = waves([20] * 12)
    result, recorder = trained(
        method_of("supervised", epochs=12, learning_rate=0.3), part, validation=Part(part.collection, part.spans)
    )
    curve = [score for _, score in recorder.curves["validation/macro_f1"]]
    assert len(curve) == 12
    best = method_of("supervised").validate(result.models[0], part, Context())
    assert best["macro_f1"] == pytest.approx(max(curve))


def test_validation_without_labels_selects_nothing() -> None:
    part = waves([20] * 6)
    unknown = Part(labelled(part, [None] * 3 + ["c0", "c1", "c0"]).collection, part.spans[:3])
    result, recorder = trained(method_of("supervised", epochs=3), part, validation=unknown)
    assert result.steps == 3
    assert all(score != score for _, score in recorder.curves["validation/macro_f1"])


def test_data_without_labels_or_with_one_class_are_refused() -> None:
    part = waves([20] * 4)
    with pytest.raises(
        ModelUnfit, match=r"supervised: the data have no labels\. Name a column of at least two classes"
    ):
        model_of(method_of("supervised"), Part(part.collection.replaced(label=None), part.spans))
    with pytest.raises(ModelUnfit, match="supervised: the data have 1 class"):
        model_of(method_of("supervised"), labelled(part, ["a"] * 4))


def test_a_training_part_of_one_class_is_refused() -> None:
    part = labelled(waves([20] * 4), ["a", "a", "b", None])
    half = Part(part.collection, part.spans[[0, 1, 3]])
    said = "train: it has 2 labelled sequences of 1 class in the column 'label', and a classifier needs two classes"
    with pytest.raises(DataInvalid, match=said):
        method_of("supervised").check(half)
