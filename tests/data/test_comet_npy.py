"""Sets in the layout of COMET: files and labels are joined by the patient's id, and what does not match is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.data.opening import faults, inspect, places, read
from tswork.data.opening import open_collection, open_splits
from tswork.data.spec import DataSpec
from tswork.errors import TsworkWarning

BLOCK: dict[str, Any] = {"reader": "comet_npy", "path": "AD"}
LABELS = [(1, 1), (0, 2), (1, 3)]


def trials(patient: int, count: int = 2, steps: int = 4, width: int = 3) -> np.ndarray:
    return np.random.default_rng(patient).normal(size=(count, steps, width))


def patients(
    folder: Path, *, labels: Any = LABELS, ids: Sequence[int] = (1, 2, 3), digits: int = 2, dtype: Any = np.int64
) -> None:
    (folder / "AD/Feature").mkdir(parents=True, exist_ok=True)
    (folder / "AD/Label").mkdir(exist_ok=True)
    for patient in ids:
        np.save(folder / f"AD/Feature/feature_{patient:0{digits}d}.npy", trials(patient, 1 + patient % 3))
    np.save(folder / "AD/Label/label.npy", np.asarray(labels, dtype=dtype))


def test_every_trial_is_a_sequence_with_its_patient_and_label(tmp_path: Path) -> None:
    patients(tmp_path)
    found = read(tmp_path, **BLOCK, rate=256.0)
    wanted = np.concatenate([trials(1, 2), trials(2, 3), trials(3, 1)]).astype(np.float32)
    assert torch.equal(found.values, torch.from_numpy(wanted).reshape(-1, 3))
    assert found.lengths.tolist() == [4] * 6
    assert (found.rate, found.label, found.groups) == (256.0, "label", ("patient",))
    assert found.channels == ("channel_0", "channel_1", "channel_2")
    assert found.table.to_dict("list") == {
        "id": ["01/0", "01/1", "02/0", "02/1", "02/2", "03/0"], "patient": [1, 1, 2, 2, 2, 3],
        "trial": [0, 1, 2, 3, 4, 5], "label": [1, 1, 0, 0, 0, 1],
    }  # fmt: skip


def test_labels_and_channels_have_names_and_columns_other_ones(tmp_path: Path) -> None:
    patients(tmp_path, dtype=np.float64)
    found = read(
        tmp_path, **BLOCK, names={"label": ["healthy", "ill"]}, channel_names=["Fp1", "O1", "T3"], channels=["T3", "Fp1"],
        columns={"person": "patient", "diagnosis": "label"},
    )  # fmt: skip
    assert found.channels == ("T3", "Fp1")
    assert found.sequence(5).tolist() == trials(3, 1)[0][:, [2, 0]].astype(np.float32).tolist()
    assert (found.label, found.classes, found.groups) == ("diagnosis", ("healthy", "ill"), ("person",))


def test_more_than_nine_patients_without_zeros_in_front_keep_their_own_labels(tmp_path: Path) -> None:
    ids = range(1, 13)
    patients(tmp_path, ids=ids, digits=1, labels=[(patient > 9, patient) for patient in ids])
    found = read(tmp_path, **BLOCK)
    per_patient = found.table.drop_duplicates("patient").reset_index(names="row")
    assert per_patient["label"].tolist() == [0] * 9 + [1] * 3
    first = {patient: found.sequence(row) for patient, row in zip(ids, per_patient["row"].tolist(), strict=True)}
    for patient in ids:
        assert torch.equal(first[patient], torch.from_numpy(trials(patient, 1 + patient % 3)[0]).float())


def test_patients_are_never_in_two_parts_and_every_file_counts(tmp_path: Path) -> None:
    ids = range(1, 13)
    patients(tmp_path, ids=ids, labels=[(patient % 2, patient) for patient in ids])
    spec = DataSpec.parse({**BLOCK, "split": {"by": "groups", "fractions": [0.5, 0.25, 0.25]}})
    (split,) = open_splits(spec, places(tmp_path), seed=0)
    sides = [set(part.table["patient"]) for part in split.parts.values()]
    assert sum(map(len, sides)) == len(set.union(*sides)) == 12
    files = [file.name for file in spec.reader.build().files(spec, places(tmp_path))]
    assert files == ["label.npy", *(f"feature_{patient:02d}.npy" for patient in ids)]


def test_a_set_below_a_data_root_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patients(tmp_path / "far")
    monkeypatch.setenv("TSWORK_DATA", str(tmp_path / "far"))
    assert len(read(tmp_path, **BLOCK)) == 6


@pytest.mark.parametrize("look", [read, inspect])
def test_files_and_rows_that_do_not_match_are_told_at_once(tmp_path: Path, look: Callable[..., object]) -> None:
    patients(tmp_path, ids=(1, 2, 4))
    np.save(tmp_path / "AD/Feature/feature_1.npy", trials(1))
    np.save(tmp_path / "AD/Feature/mean.npy", trials(1))
    (tmp_path / "AD/Feature/notes.txt").write_text("not an array")
    assert faults(tmp_path, look, **BLOCK) == [
        "AD/Feature  holds mean.npy; files are called feature_ID.npy. Move them away.",
        "AD/Feature  feature_04.npy has no row in Label/label.npy. Add the row, or move the file away.",
        "AD/Feature  feature_01.npy and feature_1.npy are both of patient 1",
        "AD/Label/label.npy  row 2 is of patient 3, who has no file feature_03.npy in Feature/. Get the set again.",
    ]


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ([(1, 1), (0, 3), (1, 2)], "row 2 is of patient 2, after patient 3 in row 1. Sort the rows by patient id: the published"
         " loader joins rows and files by their order."),
        ([(1, 1), (0, 1), (1, 2)], "row 1 is of patient 1, after patient 1 in row 0. Sort the rows by patient id: the published"
         " loader joins rows and files by their order."),
        ([(1, 1), (0.5, 2), (1, 3)], "row 1 holds [0.5, 2.0]; labels and patient ids are whole numbers"),
        ([(1, 1), (np.nan, 2), (1, 3)], "row 1 holds [nan, 2.0]; labels and patient ids are whole numbers"),
        ([1, 0, 1], "has the shape (3,); (patient, 2) is expected: label and patient id"),
    ],
)  # fmt: skip
def test_label_tables_that_say_something_else_are_refused(tmp_path: Path, labels: Any, told: str) -> None:
    patients(tmp_path, labels=labels, dtype=None)
    for look in (read, inspect):
        assert faults(tmp_path, look, **BLOCK) == [f"AD/Label/label.npy  {told}"]


@pytest.mark.parametrize("look", [read, inspect])
def test_arrays_of_another_shape_or_kind_are_told_at_once(tmp_path: Path, look: Callable[..., object]) -> None:
    ids = range(1, 8)
    patients(tmp_path, ids=ids, labels=[(0, patient) for patient in ids])
    feature = tmp_path / "AD/Feature"
    np.save(feature / "feature_02.npy", np.ones((2, 5, 3)))
    np.save(feature / "feature_03.npy", np.ones((4, 3)))
    np.save(feature / "feature_04.npy", np.array([[["a"]]]))
    np.save(feature / "feature_05.npy", np.array([[[None]]]), allow_pickle=True)
    np.save(feature / "feature_06.npy", np.ones((0, 4, 3)))
    (feature / "feature_07.npy").write_bytes((feature / "feature_07.npy").read_bytes()[:-8])
    shape = "has the shape {}; (trial, time, channel) with (4, 3) as most patients is expected"
    told = faults(tmp_path, look, **BLOCK)
    assert told[:2] == [
        "AD/Feature/feature_04.npy  holds text, not numbers",
        "AD/Feature/feature_05.npy  holds object, not numbers",
    ]
    assert told[2].startswith("AD/Feature/feature_07.npy  is not a whole npy or npz file without pickles: ")
    assert told[3:] == [
        f"AD/Feature/feature_0{patient}.npy  {shape.format(found)}"
        for patient, found in ((2, (2, 5, 3)), (3, (4, 3)), (6, (0, 4, 3)))
    ]


def test_missing_values_are_told_with_their_file(tmp_path: Path) -> None:
    patients(tmp_path)
    for patient, place in ((1, (1, 2, 0)), (3, (0, 3, 2))):
        values = trials(patient)
        values[place] = np.nan
        np.save(tmp_path / f"AD/Feature/feature_0{patient}.npy", values)
    remedy = (
        "Give `missing: interpolate`, or say what becomes of such trials: `prepare: [{uses: quality, missing: drop}]`."
    )
    assert faults(tmp_path, **BLOCK) == [
        f"AD/Feature/feature_01.npy  1 value is missing (the first at trial 1, step 2, channel 0). {remedy}",
        f"AD/Feature/feature_03.npy  1 value is missing (the first at trial 0, step 3, channel 2). {remedy}",
    ]


def test_missing_values_are_filled_or_cost_their_trial_where_the_block_says_so(tmp_path: Path) -> None:
    patients(tmp_path)
    values = trials(1)
    values[1, 2, 0] = np.nan
    np.save(tmp_path / "AD/Feature/feature_01.npy", values)
    filled = read(tmp_path, **BLOCK, missing="interpolate").sequence(1)[2, 0].item()
    assert filled == pytest.approx((values[1, 1, 0] + values[1, 3, 0]) / 2, rel=1e-6)
    block = {**BLOCK, "prepare": [{"uses": "quality", "missing": "drop"}]}
    with pytest.warns(TsworkWarning, match="quality leaves out 1 of 6 sequences with missing values: 01/1"):
        found = open_collection(DataSpec.parse(block), places(tmp_path))
    assert found.table["id"].tolist() == ["01/0", "02/0", "02/1", "02/2", "03/0"]
    for missing in ("refuse", "keep"):
        assert faults(tmp_path, **BLOCK, missing=missing)[0].startswith("AD/Feature/feature_01.npy  1 value is missing")


def test_what_does_not_fit_the_block_is_told(tmp_path: Path) -> None:
    patients(tmp_path)
    assert faults(tmp_path, **BLOCK, channel_names=["a"]) == [
        "AD/Feature  data.channel_names: 1 channel name does not fit 3 channels"
    ]
    assert faults(tmp_path, **BLOCK, names={"label": ["a"]}) == [
        "AD/Label/label.npy  data.names.label: 1 has no name; 1 name is that of 0 to 0"
    ]
    assert faults(tmp_path, **BLOCK, channels=["x"], columns={"y": "z"}) == [
        "AD/Label/label.npy  data.columns.y: there is no column 'z'. Known: channel_0, channel_1, channel_2, id, label,"
        " patient, trial.",
        "AD/Label/label.npy  data.channels: there is no channel 'x'. Known: channel_0, channel_1, channel_2.",
    ]
    (tmp_path / "AD/Feature").rename(tmp_path / "AD/Features")
    assert faults(tmp_path, **BLOCK) == ["AD/Feature  there is no such folder. Put it beside Label/."]
    assert "AD/Labels" not in faults(tmp_path, **{**BLOCK, "path": "XY"})[0]
    assert "there is no such file (looked at XY/Label/label.npy" in faults(tmp_path, **{**BLOCK, "path": "XY"})[0]
