"""What a split that parts patients is worth, on real brain waves: log band powers and logistic regression, both ways.

The features are computed here by themselves, so that the demonstration rests on nothing but the splits it is about.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from jaxtyping import Float
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tswork.data.collection import Collection, Split
from tswork.data.split_spec import SplitSpec
from tswork.data.splits import make_splits
from tswork.errors import LeakFound

pytestmark = pytest.mark.real_data
BANDS = ((1, 4), (4, 8), (8, 13), (13, 30), (30, 45))
"""Delta, theta, alpha, beta and gamma in Hz."""
SCALP = 61
REASON = "to show what shared patients are worth"


@pytest.fixture(scope="module")
def trials() -> Collection:
    """600 trials of 256 steps of 20 subjects, the scalp channels in microvolts."""
    path = Path(os.environ.get("TSWORK_DATA", "")) / "eeg_alcohol" / "eeg_alcohol.npz"
    if not path.is_file():
        pytest.skip("needs eeg_alcohol under $TSWORK_DATA")
    with np.load(path) as file:
        values = file["codes"][:, :SCALP] * np.float32(file["lsb_uV"]) + file["offset_uV"][:, :SCALP, None]
        table = pd.DataFrame(
            {"patient": file["subject_id"][file["subject"]], "label": file["label_name"][file["label"]]}
        )
    sequences = list(values.transpose(0, 2, 1).astype(np.float32))
    return Collection.from_sequences(sequences, table=table, label="label", groups=("patient",), rate=256.0)


def band_powers(collection: Collection) -> Float[np.ndarray, "trial feature"]:
    """Logarithm of the mean power of every channel and band."""
    values = collection.values.view(len(collection), 256, SCALP).numpy().transpose(0, 2, 1)
    centred = values - values.mean(axis=2, keepdims=True)
    power = np.square(np.abs(np.fft.rfft(centred * np.hanning(256), axis=2)))
    frequency = np.fft.rfftfreq(256, 1 / 256)
    means = [power[..., (frequency >= low) & (frequency < high)].mean(axis=2) for low, high in BANDS]
    found: np.ndarray = np.log(np.concatenate(means, axis=1) + 1e-3)
    return found


def auroc(features: Float[np.ndarray, "trial feature"], split: Split) -> float:
    rows = {name: part.spans[:, 0].numpy() for name, part in split.parts.items()}
    labels = split.train.collection.codes("label").numpy()
    trained = np.concatenate([rows["train"], rows["validation"]])
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(features[trained], labels[trained])
    return float(roc_auc_score(labels[rows["test"]], model.decision_function(features[rows["test"]])))


def test_trials_of_known_patients_are_easy_and_new_patients_are_not(trials: Collection) -> None:
    features = band_powers(trials)
    spec: dict[str, Any] = {"folds": 5, "allow_leak": REASON}
    apart = [
        [auroc(features, one) for one in make_splits(trials, SplitSpec(by="groups", **spec), seed=seed)]
        for seed in range(3)
    ]
    shared = [auroc(features, one) for one in make_splits(trials, SplitSpec(by="sequences", **spec), seed=0)]
    # These figures stand in the guide "Splits by patient".
    assert np.mean(shared) == pytest.approx(0.99, abs=0.01)
    assert np.mean(apart) == pytest.approx(0.72, abs=0.02)
    assert np.mean(apart, axis=1) == pytest.approx(np.array([0.65, 0.79, 0.72]), abs=0.03)
    assert (np.min(apart), np.max(apart)) == pytest.approx((0.31, 0.94), abs=0.05)


def test_the_easy_way_is_refused_unless_a_reason_is_given(trials: Collection) -> None:
    with pytest.raises(
        LeakFound, match="20 values of 'patient' are in more than one of train, validation, test: co2a0000364"
    ):
        make_splits(trials, SplitSpec(by="sequences", folds=5), seed=0)
    (split,) = make_splits(trials, SplitSpec(by="sequences", allow_leak=REASON), seed=0)
    assert split.leaks[0].startswith("20 values of 'patient' are in more than one of train, validation, test: ")


def test_each_fold_of_new_patients_holds_as_many_of_either_class(trials: Collection) -> None:
    for split in make_splits(trials, SplitSpec(by="groups", folds=5), seed=0):
        patients = split.test.table.drop_duplicates("patient")
        assert split.leaks == ()
        assert patients["label"].value_counts().to_dict() == {"alcoholic": 2, "control": 2}
        assert torch.equal(split.test.lengths.unique(), torch.tensor([256]))
