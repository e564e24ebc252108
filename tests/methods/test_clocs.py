"""CLOCS: halves of recordings as views, patients as groups, and what is refused."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
import torch

from tests.methods.patients import recordings
from tests.methods.toys import TINY, method_of, model_of, trained
from tests.reference import clocs as plain
from tswork.config import configure, dump
from tswork.context import Context
from tswork.data.collection import Part
from tswork.errors import DataInvalid
from tswork.methods.base import Method


def clocs(**options: Any) -> Method[Any]:
    return method_of("clocs", **{"patient": "patient", **options})


def retold(part: Part, **columns: list[Any]) -> Part:
    """The same recordings with other columns."""
    table = part.collection.table.assign(**columns)
    return Part(part.collection.replaced(table=table), part.spans)


def test_the_settings_are_the_defaults() -> None:
    published = {
        "temperature": 0.1,
        "batch_size": 256,
        "learning_rate": 1e-4,
        "weight_decay": 0.0,
        "patient": "patient",
        "pairs": "all",
    }
    config = dump(configure("method", "clocs").config)
    assert {name: config[name] for name in published} == published
    assert dump(configure("method", {"uses": "clocs", "variant": "reference"}).config)["pairs"] == "later"


@pytest.mark.parametrize("lengths", [(32,), (33, 21, 2)])
@pytest.mark.parametrize("pairs", ["all", "later"])
def test_its_loss_contrasts_the_halves_of_each_recording(lengths: tuple[int, ...], pairs: str) -> None:
    part = recordings(lengths=lengths)
    method = clocs(batch_size=6, pairs=pairs, temperature=0.3, pooling="mean")
    model = model_of(method, part)
    batch = method.batches(model, part, Context()).at(0, 0)
    z: tuple[list[Any], list[Any]] = ([], [])
    for sequence in batch.span[:, 0].tolist():
        values = part.collection.sequence(sequence)
        half = len(values) // 2
        for side, piece in enumerate((values[:half], values[half : 2 * half])):
            z[side].append(model.encoder(piece[None]).values[0].mean(dim=0))
    patients = part.collection.table["patient"].iloc[batch.span[:, 0].numpy()].tolist()
    expected = plain.patient_contrast(torch.stack(z[0]), torch.stack(z[1]), patients, temperature=0.3, pairs=pairs)
    (update,) = method.updates(model, batch, Context())
    torch.testing.assert_close(update.loss, expected, rtol=1e-5, atol=1e-6)
    views = method.views(model, batch, Context())
    assert views is not None
    torch.testing.assert_close(views[1], torch.stack(z[1]), rtol=1e-5, atol=1e-6)


def test_a_window_is_a_segment_and_two_of_them_are_read() -> None:
    part = recordings(lengths=(100,))
    method = clocs(window=10)
    model = model_of(method, part)
    batches = method.batches(model, part, Context())
    assert len(batches.part) == 12 * 5
    assert batches.at(0, 0).x.shape[1] == 20


def test_it_learns_to_tell_patients_apart() -> None:
    part = recordings(lengths=(32,), trials=4)
    _, recorder = trained(clocs(epochs=15, batch_size=16, learning_rate=0.01), part)
    losses = [loss for _, loss in recorder.curves["loss"]]
    assert losses[-1] < 0.9 * losses[0]
    assert "health/uniformity" in recorder.curves


REFUSED: list[tuple[Part, dict[str, Any], str]] = [
    (recordings(), {"patient": "patiant"}, r"patient: the table has no column 'patiant'\. Did you mean 'patient'\?"),
    (
        recordings(),
        {"patient": "subject_id"},
        r"patient: the table has no column 'subject_id'\. Known: label, patient, trial\.",
    ),
    (
        recordings(patients=1),
        {},
        r"train: every sequence is of one patient \(p0\) in the column 'patient', so that there is nothing to contrast a "
        r"patient with\. Train on at least two patients",
    ),
    (
        retold(recordings(), patient=[None] * 12),
        {},
        r"train: every sequence has no known patient in the column 'patient'",
    ),
    (
        recordings(lengths=(32, 1)),
        {},
        r"train: 6 of 12 sequences have fewer than two steps, and a sequence is cut into two segments\. Leave them out",
    ),
]


@pytest.mark.parametrize(("part", "options", "said"), REFUSED, ids=["near", "far", "one", "unknown", "short"])
def test_data_without_patients_or_halves_are_refused(part: Part, options: dict[str, Any], said: str) -> None:
    with pytest.raises(DataInvalid, match=said):
        clocs(**options).check(part)
    with pytest.raises(DataInvalid, match=said):
        trained(clocs(iterations=1, **options), part)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(DataInvalid) as refused:
        clocs().check(recordings(patients=1, lengths=(32, 1)))
    assert len(refused.value.problems) == 2


def test_some_unknown_patients_are_trained_with() -> None:
    part = retold(recordings(), patient=[None, *["p1"] * 5, *["p2"] * 6])
    assert trained(clocs(iterations=2, batch_size=6), part)[0].steps == 2


def test_a_batch_of_one_is_refused() -> None:
    with pytest.raises(DataInvalid, match="no batch has two sequences"):
        trained(clocs(batch_size=1), recordings())


@pytest.mark.parametrize("name", ["supervised", "ts2vec"])
def test_what_patients_are_compared_with_trains_on_their_recordings(name: str) -> None:
    part = recordings(lengths=(32, 21))
    assert isinstance(part.collection.table, pd.DataFrame)
    result, recorder = trained(method_of(name, encoder=TINY, iterations=3, epochs=None, batch_size=4), part)
    assert result.steps == 3
    assert all(loss == loss for _, loss in recorder.curves["loss"])
