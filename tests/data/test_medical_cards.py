"""Cards of medical sets, on files in exactly the published layouts: shapes, parts, windows, and what their guide says of them."""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests.data.test_align_beats import heart
from tswork.data.collection import Collection, Split
from tswork.data.opening import open_collection, open_data, resolve_spec
from tswork.data.places import Places, shipped
from tswork.data.reading import read_collection
from tswork.source import read_yaml

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "medical_sets.md"
CARDS = ("eeg_alcohol", "ecg_id", "comet_ad", "comet_ptb", "comet_tdbrain", "ptb_raw", "adftd", "ptb_xl")
PTB_LEADS = ["i", "ii", "iii", "avr", "avl", "avf", "v1", "v2", "v3", "v4", "v5", "v6", "vx", "vy", "vz"]
PTB_XL_LEADS = ["I", "II", "III", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6"]


def opened(card: str, folder: Path, **more: Any) -> tuple[Collection, tuple[Split, ...]]:
    places = Places.here(folder, data_root=folder)
    found = open_data(resolve_spec({"card": card, **more}, places), places, seed=0)
    return found.collection, found.splits


def as_read(card: str, folder: Path, **more: Any) -> Collection:
    places = Places.here(folder, data_root=folder)
    return read_collection(resolve_spec({"card": card, **more}, places), places)


def shown(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs a script of the guide in a folder."""
    (text,) = re.findall(rf"```python\n# {name}\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    with monkeypatch.context() as moved:
        moved.chdir(folder)
        exec(compile(text, name, "exec"), {})


def parts_of(split: Split, column: str) -> dict[str, set[Any]]:
    return {name: set(part.table[column]) for name, part in split.parts.items()}


def comet_files(folder: Path, labels: dict[int, int], trials: Callable[[int], int], shape: tuple[int, int]) -> None:
    """`Feature/feature_ID.npy` of (trial, time, channel) for each patient, and `Label/label.npy` of (label, patient)."""
    draw = np.random.default_rng(0)
    (folder / "Feature").mkdir(parents=True)
    (folder / "Label").mkdir()
    digits = len(str(max(labels)))
    for patient in labels:
        values = draw.normal(patient, 3, size=(trials(patient), *shape)).astype(np.float32)
        np.save(folder / "Feature" / f"feature_{patient:0{digits}d}.npy", values)
    np.save(folder / "Label" / "label.npy", np.array([(label, patient) for patient, label in labels.items()]))


def test_ad_gives_nine_windows_a_trial_and_the_published_patients(tmp_path: Path) -> None:
    ill = {1, 3, 6, 8, 9, 11, 12, 13, 15, 17, 19, 21}
    trials = {patient: 1 + patient % 3 for patient in range(1, 24)}
    comet_files(tmp_path / "AD", {one: int(one in ill) for one in trials}, trials.__getitem__, (1280, 16))
    found, (split,) = opened("comet_ad", tmp_path)
    assert found.values.shape == (sum(trials.values()) * 9 * 256, 16)
    assert (found.rate, found.classes) == (256.0, ("alzheimer", "control"))
    others = set(range(1, 24)) - {17, 18, 19, 20}
    assert parts_of(split, "patient") == {"train": others, "validation": {17, 18}, "test": {19, 20}}
    assert set(found.table["patient"][found.table["label"] == "alzheimer"]) == ill
    for name, part in split.parts.items():
        patients = parts_of(split, "patient")[name]
        assert len(part) == 9 * sum(trials[one] for one in patients)
    raw = np.load(tmp_path / "AD" / "Feature" / "feature_02.npy")[1].astype(np.float64)
    scaled = (raw - raw.mean(0)) / raw.std(0)
    rows = np.flatnonzero((found.table["patient"] == 2).to_numpy())[9:18]
    for window, row in enumerate(rows.tolist()):
        np.testing.assert_allclose(found.sequence(row).numpy(), scaled[window * 128 :][:256], atol=1e-4)
    assert found.table["trial"].iloc[rows].nunique() == 1
    assert found.table.groupby(["patient", "trial"]).size().unique().tolist() == [9]


def test_tdbrain_gives_nineteen_windows_a_trial_and_leaves_unlisted_patients_out(tmp_path: Path) -> None:
    labels = {**dict.fromkeys(range(1, 27), 0), **dict.fromkeys(range(29, 54), 1)}
    comet_files(tmp_path / "TDBRAIN", labels, lambda one: 2 if one in (32, 35) else 1, (2560, 33))
    found, (split,) = opened("comet_tdbrain", tmp_path)
    assert len(found) == (len(labels) + 2) * 19
    assert found.lengths.unique().tolist() == [256]
    parts = parts_of(split, "patient")
    assert parts == {
        "train": {*range(1, 18), *range(29, 46)}, "validation": {*range(18, 22), *range(46, 50)},
        "test": {*range(22, 26), *range(50, 54)},
    }  # fmt: skip
    assert [len(part) for part in split.parts.values()] == [36 * 19, 8 * 19, 8 * 19]


def test_ptb_gives_ten_beats_a_trial_and_the_last_patients_of_each_class_test(tmp_path: Path) -> None:
    labels = {one: int(one % 4 != 0) for one in range(1, 69)}  # 17 controls between 51 ill
    comet_files(tmp_path / "PTB", labels, lambda one: 1, (3000, 15))
    found, (split,) = opened("comet_ptb", tmp_path)
    assert len(found) == 680
    assert found.lengths.unique().tolist() == [300]
    controls, ill = ([one for one, label in labels.items() if label == code] for code in (0, 1))
    assert parts_of(split, "patient") == {
        "train": {*controls[:-14], *ill[:-42]}, "validation": {*controls[-14:-7], *ill[-42:-21]},
        "test": {*controls[-7:], *ill[-21:]},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("card", "steps", "trials"),
    [
        ("comet_ad", 1280, (481, 99, 83)),
        ("comet_ptb", 3000, (5395, 340, 502)),
        ("comet_tdbrain", 2560, (432, 96, 96)),
    ],
)
def test_published_numbers_of_samples_follow_from_those_of_trials(
    card: str, steps: int, trials: tuple[int, ...]
) -> None:
    data = read_yaml(shipped("data_cards") / f"{card}.yaml").data
    (cut,) = [step for step in data["prepare"] if step["uses"] == "segment"]
    hop = round(cut["steps"] * (1 - cut.get("overlap", 0)))
    windows = (steps - cut["steps"]) // hop + 1
    numbers = re.findall(r"\d[\d,]*\d", data["description"])
    for count in [sum(trials) * windows, *(one * windows for one in trials)]:
        assert {f"{count}", f"{count:,}"} & set(numbers), count
    row = next(line for line in GUIDE.read_text().splitlines() if line.startswith(f"| `{card}` | {trials[0]}"))
    assert row.replace(",", "").split("|")[3].split()[0] == str(windows)


@pytest.fixture
def wfdb() -> Any:
    return pytest.importorskip("wfdb")


def write_record(wfdb: Any, path: Path, values: np.ndarray, rate: int, leads: list[str], comments: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    wfdb.wrsamp(
        path.name, fs=rate, units=["mV"] * len(leads), sig_name=leads, p_signal=values.astype(np.float64),
        fmt=["16"] * len(leads), write_dir=str(path.parent), comments=comments,
    )  # fmt: skip


def test_ptb_from_its_records_are_aligned_beats_of_the_two_diagnoses(
    tmp_path: Path, wfdb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "ptb"
    reasons = ["Myocardial infarction", "Healthy control"] * 4 + ["Cardiomyopathy"]
    beats = {}
    for patient, reason in enumerate(reasons, start=1):
        at = np.arange(500, 9500, 700 + 20 * patient)
        x = heart(at, 10_000, np.linspace(0.5, 1.5, 15), rate=1000.0)
        x += 0.01 * np.random.default_rng(patient).normal(size=x.shape)
        beats[f"patient{patient:03d}"] = len(at)
        write_record(
            wfdb, folder / f"patient{patient:03d}" / f"s{patient:04d}_re", x, 1000, PTB_LEADS,
            ["age: 60", "Diagnose:", f"Reason for admission: {reason}", "Smoker: no"],
        )  # fmt: skip
    shown("ptb_recordings.py", folder, monkeypatch)
    assert pd.read_csv(folder / "recordings.csv")["diagnosis"].tolist() == reasons
    found, splits = opened("ptb_raw", tmp_path)
    assert len(splits) == 10
    assert found.channels == tuple(PTB_LEADS)
    assert (found.rate, found.lengths.unique().tolist()) == (250.0, [300])
    assert found.classes == ("Healthy control", "Myocardial infarction")
    assert found.table.groupby("patient").size().to_dict() == {
        f"patient{patient:03d}": 10 for patient in range(1, 9)
    }, "nine of the beats and another one make no second trial"
    assert found.table.groupby("patient")["trial"].nunique().unique().tolist() == [1]
    for row in range(0, len(found), 10):
        wave = found.sequence(row)[:, 1]
        assert int(wave.argmax()) in (149, 150, 151)
        assert not found.sequence(row)[:30].any()
    for split in splits:
        patients = list(parts_of(split, "patient").values())
        assert len(set.union(*patients)) == sum(map(len, patients)) == 8


def test_ptb_xl_is_a_record_a_trial_of_patients_with_one_class(
    tmp_path: Path, wfdb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "ptb_xl"
    codes = {"NORM": "NORM", "IMI": "MI", "NDT": "STTC", "LAFB": "CD", "LVH": "HYP"}
    draw = np.random.default_rng(0)
    rows = []
    for number in range(27):
        code = [*codes][number % 5]
        name = f"records500/00000/{number + 1:05d}_hr"
        write_record(wfdb, folder / name, draw.normal(size=(5000, 12)), 500, PTB_XL_LEADS, [])
        # Record 26 is another one of patient 1, record 27 has two classes.
        said = {code: 100.0, "SR": 0.0} | ({"LVH": 50.0} if number == 26 else {})
        patient = 1.0 if number == 25 else number + 1.0
        rows.append({"ecg_id": number + 1, "patient_id": patient, "scp_codes": str(said), "filename_hr": name})
    pd.DataFrame(rows).to_csv(folder / "ptbxl_database.csv", index=False)
    statements = {"diagnostic": [1.0] * 5 + [np.nan], "diagnostic_class": [*codes.values(), np.nan]}
    pd.DataFrame(statements, index=pd.Index([*codes, "SR"])).to_csv(folder / "scp_statements.csv")
    shown("ptb_xl_recordings.py", folder, monkeypatch)
    found, (split,) = opened("ptb_xl", tmp_path)
    assert found.table["patient"].nunique() == 25
    assert len(found) == 26 * 10
    assert (found.rate, found.lengths.unique().tolist()) == (250.0, [250])
    assert found.classes == ("CD", "HYP", "MI", "NORM", "STTC")
    assert found.table.groupby("trial").size().unique().tolist() == [10]
    assert sorted(map(len, parts_of(split, "patient").values())) == [5, 5, 15]
    assert parts_of(split, "patient")["test"] == {21, 22, 23, 24, 25}
    torch.testing.assert_close(found.sequence(7).mean(0), torch.zeros(12), atol=1e-5, rtol=0)


def test_adftd_are_trials_of_ten_seconds_cut_into_seconds(tmp_path: Path) -> None:
    pyedflib = pytest.importorskip("pyedflib")
    folder = tmp_path / "adftd"
    folder.mkdir()
    draw = np.random.default_rng(0)
    rows = []
    for number in range(15):
        kind = ("alzheimer", "frontotemporal", "control")[number // 5]
        signals = draw.normal(0, 20, (19, 25 * 500))
        headers = [
            {
                "label": f"C{lead}", "dimension": "uV", "sample_frequency": 500, "physical_min": -200, "physical_max": 200,
                "digital_min": -32768, "digital_max": 32767, "transducer": "", "prefilter": "",
            }
            for lead in range(19)
        ]  # fmt: skip
        with pyedflib.EdfWriter(str(folder / f"sub-{number + 1:03d}.edf"), 19) as file:
            file.setSignalHeaders(headers)
            file.writeSamples(list(signals))
        rows.append({"path": f"sub-{number + 1:03d}.edf", "patient": f"sub-{number + 1:03d}", "diagnosis": kind})
    pd.DataFrame(rows).to_csv(folder / "recordings.csv", index=False)
    found, (split,) = opened("adftd", tmp_path)
    assert len(found) == 15 * 2 * 10
    assert (found.rate, found.lengths.unique().tolist(), len(found.channels)) == (256.0, [256], 19)
    assert found.table.groupby("trial").size().unique().tolist() == [10]
    assert found.table.groupby("patient")["trial"].nunique().unique().tolist() == [2]
    assert parts_of(split, "patient")["validation"] == {"sub-004", "sub-009", "sub-014"}
    assert parts_of(split, "patient")["test"] == {"sub-005", "sub-010", "sub-015"}


def test_the_arrays_of_eeg_alcohol_come_out_of_text_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "eeg_alcohol"
    card = read_yaml(shipped("data_cards") / "eeg_alcohol.yaml").data
    names = [*card["channels"][:31], "X", *card["channels"][31:], "nd", "Y"]
    values = np.random.default_rng(0).normal(0, 50, (4, 64, 256)).round(3)
    said = ["S1 obj , trial 0", "S2 nomatch, trial 3", "S2 match , trial 2", "S2 nomatch err, trial 11"]
    subjects = ["co2a0000364"] * 2 + ["co2c0000337"] * 2
    for subject, head, case in zip(subjects, said, values, strict=True):
        lines = [
            f"# {subject}.rd",
            "# 120 trials, 64 chans, 416 samples 368 post_stim samples",
            "# 3.906000 msecs uV",
            f"# {head}",
        ]
        number = int(head.split()[-1])
        for place, name in enumerate(names):
            lines += [
                f"# {name} chan {place}",
                *(f"{number} {name} {step} {one:.3f}" for step, one in enumerate(case[place])),
            ]
        (folder / subject).mkdir(parents=True, exist_ok=True)
        with gzip.open(folder / subject / f"{subject}.rd.{number:03d}.gz", "wt") as file:
            file.write("\n".join(lines) + "\n")
    shown("eeg_alcohol_arrays.py", folder, monkeypatch)
    found = as_read("eeg_alcohol", tmp_path)
    assert found.table.drop(columns="id").to_dict("list") == {
        "patient": subjects, "trial": [0, 3, 2, 11], "condition": ["S1 obj", "S2 nomatch", "S2 match", "S2 nomatch"],
        "label": ["alcoholic"] * 2 + ["control"] * 2,
    }  # fmt: skip
    scalp = [place for place, name in enumerate(names) if name not in ("X", "nd", "Y")]
    wanted = values[:, scalp].transpose(0, 2, 1).reshape(-1, 61)
    np.testing.assert_allclose(found.values.numpy(), wanted, atol=1e-4)


def test_the_guide_has_a_row_for_every_card_with_its_licence() -> None:
    text = GUIDE.read_text()
    for card in CARDS:
        assert text.count(f"| `{card}` |") >= 2, card
        assert read_yaml(shipped("data_cards") / f"{card}.yaml").data["flaws"]


@pytest.mark.real_data
def test_eeg_of_alcoholics_is_20_patients_with_30_trials(data_root: Path) -> None:
    found, splits = opened("eeg_alcohol", data_root)
    assert (len(found), found.lengths.unique().tolist(), found.rate) == (600, [256], 256.0)
    assert len(found.channels) == 61
    assert not {"X", "Y", "nd"} & set(found.channels)
    assert {"X", "Y", "nd"} < set(as_read("eeg_alcohol", data_root, channels=None).channels)
    assert found.table.groupby("patient").size().tolist() == [30] * 20
    assert found.table["label"].value_counts().to_dict() == {"control": 300, "alcoholic": 300}
    assert not found.table.duplicated(["patient", "trial"]).any()
    assert found.table["condition"].value_counts().to_dict() == {"S1 obj": 200, "S2 match": 200, "S2 nomatch": 200}
    assert len(splits) == 10
    assert len({frozenset(split.test.table["patient"]) for split in splits}) > 1
    for split in splits:
        assert [len(part) for part in split.parts.values()] == [360, 120, 120]
        assert split.leaks == ()
    flat = (found.values.reshape(600, 256, 61).amax(1) == found.values.reshape(600, 256, 61).amin(1)).nonzero()
    where = [
        (found.table["patient"].iloc[row], int(found.table["trial"].iloc[row]), found.channels[channel])
        for row, channel in flat.tolist()
    ]
    assert where == [*(("co2a0000368", trial, "CZ") for trial in range(6)), ("co2c0000341", 27, "O2")]


@pytest.mark.real_data
def test_ecg_id_is_308_records_of_90_persons_without_the_two_wild_ones(data_root: Path) -> None:
    found, splits = opened("ecg_id", data_root)
    assert len(as_read("ecg_id", data_root)) == 310
    assert (len(found), found.lengths.unique().tolist(), found.rate) == (308, [10_000], 500.0)
    assert found.channels == ("ECG I filtered",)
    assert found.table["patient"].nunique() == 90
    assert float(found.values.abs().max()) < 7.2
    assert found.classes == ("female", "male")
    assert len(splits) == 10
    silent = (found.values.reshape(308, 10_000)[:, :1000].abs() <= 0.0251).all(dim=1).nonzero().flatten().tolist()
    assert [f"{found.table['patient'].iloc[row]}/{found.table['trial'].iloc[row]}" for row in silent] == [
        "13/2", "15/1", "24/5", "25/4", "26/3", "27/3", "28/4", "32/6", "44/1", "72/3", "83/1",
    ]  # fmt: skip


@pytest.mark.real_data
def test_the_steps_of_ptb_raw_make_five_trials_of_a_real_record(
    data_root: Path, tmp_path: Path, wfdb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ptb").mkdir()
    os.symlink(data_root / "wfdb_samples" / "ptbdb", tmp_path / "ptb" / "patient001")
    shown("ptb_recordings.py", tmp_path / "ptb", monkeypatch)
    _, *steps = read_yaml(shipped("data_cards") / "ptb_raw.yaml").data["prepare"]
    places = Places.here(tmp_path, data_root=tmp_path)
    block = {"card": "ptb_raw", "label": None, "label_per": None, "split": None, "prepare": steps}
    found = open_collection(resolve_spec(block, places), places)
    assert (len(found), found.lengths.unique().tolist(), len(found.channels)) == (50, [300], 15)
    assert found.table["diagnosis"].unique().tolist() == ["Myocardial infarction"]
    assert found.table.groupby("trial").size().tolist() == [10] * 5
    beats = found.values.reshape(50, 300, 15)
    mean = beats.mean(0, keepdim=True)
    alike = torch.cosine_similarity(beats.flatten(1), mean.flatten(1))
    assert float(alike.median()) > 0.95, "aligned beats of one heart look alike"


@pytest.mark.real_data
def test_age_bands_of_ecg_id_are_a_label_as_its_card_says(data_root: Path) -> None:
    bands = {"uses": "bands", "column": "age", "edges": [25, 40], "names": ["young", "middle", "older"]}
    found, _ = opened("ecg_id", data_root, label="age", prepare=[bands])
    assert found.table.groupby("patient")["age"].first().value_counts().to_dict() == {
        "young": 52, "middle": 21, "older": 17,
    }  # fmt: skip


@pytest.mark.real_data
def test_the_arrays_of_ecg_id_come_out_of_its_records(
    data_root: Path, tmp_path: Path, wfdb: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "ecg_id"
    folder.mkdir()
    for person in (data_root / "wfdb_samples" / "ecgiddb").iterdir():
        os.symlink(person, folder / person.name)
    shown("ecg_id_arrays.py", folder, monkeypatch)
    ours, whole = as_read("ecg_id", tmp_path), as_read("ecg_id", data_root)
    assert len(ours) == 47
    assert torch.equal(ours.values, whole.values[: len(ours.values)])
    columns = ["patient", "trial", "age", "sex"]
    assert ours.table[columns].to_numpy().tolist() == whole.table[columns].iloc[:47].to_numpy().tolist()
