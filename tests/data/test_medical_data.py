"""Medical recordings as they are published: the readers give what the files' own descriptions state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.data.opening import faults, inspect, read

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


def wfdb_records(data_root: Path, folder: Path, names: list[str], **columns: list[Any]) -> dict[str, Any]:
    """A manifest of sample records in a folder of its own, and the block that reads it."""
    pytest.importorskip("wfdb")
    paths = [str(data_root / "wfdb_samples" / name) for name in names]
    pd.DataFrame({"path": paths, **columns}).to_csv(folder / "all.csv", index=False)
    return {"reader": "manifest", "path": "all.csv", "suffix": ".hea"}


def test_a_record_of_the_arrhythmia_database_is_read_from_its_packed_format(data_root: Path, tmp_path: Path) -> None:
    found = read(tmp_path, **wfdb_records(data_root, tmp_path, ["mitdb/100"]))
    assert (found.channels, found.rate, len(found.values)) == (("MLII", "V5"), 360.0, 650_000)
    assert found.values[0].tolist() == pytest.approx([-0.145, -0.065])  # codes 995 and 1011, zero 1024, 200 a millivolt


def test_a_record_of_two_signal_files_has_fifteen_leads(data_root: Path, tmp_path: Path) -> None:
    import wfdb

    found = read(tmp_path, **wfdb_records(data_root, tmp_path, ["ptbdb/s0010_re"]))
    assert found.channels == (
        "i",
        "ii",
        "iii",
        "avr",
        "avl",
        "avf",
        "v1",
        "v2",
        "v3",
        "v4",
        "v5",
        "v6",
        "vx",
        "vy",
        "vz",
    )
    assert (found.rate, len(found.values)) == (1000.0, 38_400)
    known = wfdb.rdrecord(str(data_root / "wfdb_samples/ptbdb/s0010_re")).p_signal
    np.testing.assert_array_equal(found.values.numpy(), known.astype(np.float32))


def test_originals_of_ecg_id_equal_the_set_of_arrays(data_root: Path, tmp_path: Path) -> None:
    arrays = read(data_root, **ECG_ID)
    rows = [row for row, person in enumerate(arrays.table["person"]) if person <= 3]
    names = [f"ecgiddb/Person_{arrays.table['person'][row]:02d}/rec_{arrays.table['record'][row]}" for row in rows]
    block = wfdb_records(data_root, tmp_path, names, person=[str(arrays.table["person"][row]) for row in rows])
    found = read(tmp_path, **block, channels=["ECG I filtered"], groups=["person"])
    assert (len(found), found.rate) == (47, 500.0)
    for row, original in zip(rows, range(len(found)), strict=True):
        np.testing.assert_array_equal(found.sequence(original).numpy(), arrays.sequence(row).numpy(), names[original])


def test_records_of_three_databases_in_one_manifest_are_told_apart(data_root: Path, tmp_path: Path) -> None:
    block = wfdb_records(
        data_root, tmp_path, ["mitdb/100", "ptbdb/s0010_re", *(f"ecgiddb/Person_03/rec_{n}" for n in (1, 2))]
    )
    told = [one.split("wfdb_samples/")[1] for one in faults(tmp_path, inspect, **block)]
    assert told == [
        "mitdb/100: lacks 'ECG I', 'ECG I filtered' and has 'MLII', 'V5' besides; most recordings have 2 channels"
        " (ECG I, ECG I filtered). Choose common ones with `channels:`.",
        "ptbdb/s0010_re: lacks 'ECG I', 'ECG I filtered' and has 'i', 'ii', 'iii', 'avr', 'avl' and 10 more besides; most"
        " recordings have 2 channels (ECG I, ECG I filtered). Choose common ones with `channels:`.",
        "mitdb/100: has 360 samples a second, most recordings have 500. Convert it to the common rate, or leave it out.",
        "ptbdb/s0010_re: has 1000 samples a second, most recordings have 500. Convert it to the common rate, or leave it out.",
    ]
