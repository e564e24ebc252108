"""Medical recordings as they are published: the readers give what the files' own descriptions state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.opening import read

pytestmark = pytest.mark.real_data

EEG: dict[str, Any] = {
    "reader": "arrays", "path": "eeg_alcohol/eeg_alcohol.npz", "values": "codes", "scale": "lsb_uV", "offset": "offset_uV",
    "channel_names": "channel", "rate_name": "fs_hz", "columns": {"patient": "subject"}, "groups": ["patient"], "label": "label",
    "names": {"subject": "subject_id", "condition": "condition_name", "label": "label_name"},
}  # fmt: skip
ECG_ID: dict[str, Any] = {
    "reader": "arrays", "path": "ecg_id/ecg_id.npz", "values": "adc", "gain": "gain_adu_per_mV", "channel_names": "signal",
    "channels": ["ECG I filtered"], "rate_name": "fs_hz", "groups": ["person"], "label": "sex",
}  # fmt: skip


def test_trials_of_eeg_alcohol_equal_the_formula_of_their_description(data_root: Path) -> None:
    found = read(data_root, **EEG)
    with np.load(data_root / EEG["path"]) as arrays:
        wanted = arrays["codes"] * arrays["lsb_uV"] + arrays["offset_uV"].astype(np.float64)[:, :, None]
    values = found.values.numpy().reshape(600, 256, 64).transpose(0, 2, 1)
    assert np.abs(values - wanted).max() < 0.0007
    assert (found.rate, len(found.channels), found.channels[0]) == (256.0, 64, "FP1")
    assert found.table.groupby("patient").size().tolist() == [30] * 20
    assert found.table.groupby("patient")["label"].nunique().tolist() == [1] * 20
    assert sorted(found.table["label"].unique()) == ["alcoholic", "control"]
    assert {patient[:4] for patient in found.table["patient"][found.table["label"] == "control"]} == {"co2c"}
    assert found.table.groupby(["patient", "condition"]).size().tolist() == [10] * 60


def test_records_of_ecg_id_are_one_filtered_signal_in_millivolts(data_root: Path) -> None:
    found = read(data_root, **ECG_ID)
    with np.load(data_root / ECG_ID["path"]) as arrays:
        wanted = (arrays["adc"][:, 1] / 200.0).astype(np.float32)
    np.testing.assert_array_equal(found.values.numpy().reshape(310, 10_000), wanted)
    assert (found.rate, found.channels) == (500.0, ("ECG I filtered",))
    assert found.table["person"].nunique() == 90
    assert found.table["sex"].value_counts().to_dict() == {"female": 156, "male": 154}
    assert found.table.columns.tolist() == ["id", "person", "record", "age", "sex", "date"]
