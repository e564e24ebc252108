"""Looking at sets of sound before anything trains: what files, samples, durations, labels and groups give away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.data.layouts import text
from tests.data.opening import places, read
from tests.data.places_of_italy import atlas
from tests.data.sounds import tone, write
from tswork.data.association import cramers_v, crossed, rank_share
from tswork.data.checking import check_data
from tswork.data.checking_labels import check_labels, check_splits
from tswork.data.checking_sound import check_sound
from tswork.data.collection import Collection
from tswork.data.findings import Finding
from tswork.data.spec import DataSpec

RATE = 16000
BLOCK: dict[str, Any] = {"reader": "manifest", "path": "all.csv"}
BY_SPEAKER = {"by": "groups", "fractions": [0.5, 0.25, 0.25]}


def noise(seconds: float, seed: int, rate: int = RATE, level: float = 0.1) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(0, level, round(seconds * rate))
    return np.clip(drawn, -1, 1).astype(np.float32)


def recordings(
    folder: Path, rows: list[dict[str, Any]], *, seconds: float = 0.3, rates: tuple[int, ...] = (RATE,)
) -> None:
    """A manifest of noise: row i at the rate `rates[i % len(rates)]`."""
    for number, row in enumerate(rows):
        rate = row.pop("rate", rates[number % len(rates)])
        write(folder / row["path"], noise(row.pop("length", seconds), number, rate), rate)
    pd.DataFrame(rows).to_csv(folder / "all.csv", index=False)


def speakers(count: int = 8, clips: int = 2) -> list[dict[str, Any]]:
    """Speakers of two regions in turn."""
    return [
        {"path": f"{who}_{clip}.wav", "region": "xy"[who % 2], "speaker": f"s{who}"}
        for who in range(count)
        for clip in range(clips)
    ]


def found(folder: Path, *, values: bool = True, **block: Any) -> list[Finding]:
    return check_data(DataSpec.parse({**BLOCK, **block}), places(folder), read_values=values)


def texts(findings: list[Finding], what: str, *, severe: bool | None = None) -> list[str]:
    return [one.text for one in findings if one.what == what and severe in (None, one.severe)]


def clips(*samples: np.ndarray, rate: float = 16000.0, **fields: Any) -> Collection:
    integers = [np.round(one[:, None] * 32767).astype(np.int16) for one in samples]
    table = fields.pop("table", None)
    return Collection.from_sequences(integers, rate=rate, table=table, channels=("sound",), **fields)


def test_a_set_of_speakers_in_two_regions_has_facts_and_no_faults(tmp_path: Path) -> None:
    recordings(tmp_path, speakers())
    findings = found(tmp_path, label="region", groups=["speaker"], split=BY_SPEAKER)
    assert [one for one in findings if one.severe] == []
    facts = [one.text for one in findings if one.fact]
    assert facts[:3] == ["sample rate: 16 16000 Hz", "number of channels: 16 1", "file format: 16 .wav"]
    assert facts[3] == "5 s in all; shortest, 5 %, median, 95 % and longest: 0.3, 0.3, 0.3, 0.3, 0.3 s"
    assert any(one.startswith("groups: train ") for one in facts)


def test_files_are_counted_without_reading_values(tmp_path: Path) -> None:
    recordings(tmp_path, speakers(), rates=(8000, RATE, RATE))
    facts = [one.text for one in found(tmp_path, values=False, rate=16000.0) if one.fact]
    assert facts[0] == "sample rate: 10 16000 Hz, 6 8000 Hz"


def test_a_label_that_is_the_sample_rate_is_a_fault_also_after_resampling(tmp_path: Path) -> None:
    rows = speakers()
    for row in rows:
        row["rate"] = 8000 if row["region"] == "x" else RATE
    recordings(tmp_path, rows)
    (told,) = texts(found(tmp_path, label="region", groups=["speaker"], rate=16000.0), "confounding", severe=True)
    assert told.startswith(
        "every label has files of one sample rate only, and these differ: x (8000 Hz 100%), y (16000 Hz 100%)"
    )


def test_what_an_8_khz_file_lost_stays_lost_at_16_khz(tmp_path: Path) -> None:
    rows = speakers()
    for row in rows:
        row["rate"] = 8000 if row["region"] == "x" else RATE
    recordings(tmp_path, rows)
    found = read(tmp_path, **BLOCK, label="region", rate=16000.0)
    spectra = np.abs(np.fft.rfft(found.values.numpy().reshape(len(found), -1), axis=1)) ** 2
    above = spectra[:, spectra.shape[1] // 2 :].sum(1) / spectra.sum(1)
    is_x = found.codes("region").numpy() == 0
    assert above[is_x].max() < 0.05 < 0.4 < above[~is_x].min(), "energy above 4 kHz alone tells the label"


def test_a_file_format_that_goes_with_the_label_is_told(tmp_path: Path) -> None:
    rows = speakers(count=12)
    for number, row in enumerate(rows):
        if row["region"] == "x" and number % 6:
            row["path"] = row["path"].replace(".wav", ".flac")
    recordings(tmp_path, rows)
    notes = texts(found(tmp_path, label="region", groups=["speaker"]), "confounding", severe=False)
    assert any(one.startswith("the file format goes with the label (Cramér's V 0.") for one in notes)


def test_rates_that_have_nothing_to_do_with_the_label_are_no_finding(tmp_path: Path) -> None:
    recordings(tmp_path, speakers(), rates=(8000, RATE))
    notes = texts(found(tmp_path, label="region", groups=["speaker"], rate=16000.0), "confounding")
    assert not any("sample rate" in one for one in notes)


def test_a_random_split_of_clips_that_share_speakers_is_a_fault(tmp_path: Path) -> None:
    recordings(tmp_path, speakers(count=8, clips=4))
    random = {"by": "sequences", "fractions": [0.5, 0.25, 0.25]}
    (told,) = texts(found(tmp_path, label="region", split=random), "leak", severe=True)
    assert "values of 'speaker' are in train and test of sequences" in told
    assert told.endswith("each has one label, so who knows it knows the label. Give `groups: [speaker]`")
    declared = found(tmp_path, label="region", groups=["speaker"], split=random)
    assert any(
        "values of 'speaker' are in more than one of train, " in one for one in texts(declared, "split", severe=True)
    )
    assert texts(found(tmp_path, label="region", groups=["speaker"], split=BY_SPEAKER), "leak") == []
    accepted = found(tmp_path, label="region", split={**random, "allow_leak": "to show what it is worth"})
    assert texts(accepted, "leak", severe=True) == []


def test_an_official_split_that_shares_speakers_of_every_label_is_a_note(tmp_path: Path) -> None:
    rows = [
        {"path": f"{who}{clip}.wav", "digit": "ab"[clip % 2], "speaker": who, "split": "train" if clip < 4 else "test"}
        for who in ("george", "theo")
        for clip in range(6)
    ]
    recordings(tmp_path, rows)
    findings = found(tmp_path, label="digit", split={"by": "official"})
    (told,) = texts(findings, "leak")
    assert "2 values of 'speaker' are in train and test of official (100% of the test sequences): george, theo" in told
    assert texts(findings, "leak", severe=True) == []


def test_one_speaker_a_class_is_a_fault_and_one_of_several_classes_a_note(tmp_path: Path) -> None:
    one_each = [{**row, "speaker": row["region"]} for row in speakers()]
    recordings(tmp_path, one_each)
    told = texts(found(tmp_path, label="region"), "confounding", severe=True)
    assert told == ["there is one 'speaker' a class, so no split by 'speaker' can judge the label"]
    some = [{**row, "speaker": "alone" if row["region"] == "x" else row["speaker"]} for row in speakers()]
    recordings(tmp_path, some)
    assert "1 class has one 'speaker' only: x" in texts(found(tmp_path, label="region"), "confounding")


def test_a_location_that_the_label_names_is_part_of_what_was_said_and_no_place(tmp_path: Path) -> None:
    said = [{**row, "location": ["none", "kitchen"][row["region"] == "x"]} for row in speakers()]
    recordings(tmp_path, [{**row, "intent": f"turn on_heat_{row['location']}"} for row in said])
    assert texts(found(tmp_path, label="intent"), "confounding", severe=True) == []
    for row in said:
        row["place"] = row.pop("location")
    recordings(tmp_path, [{**row, "intent": row["region"]} for row in said])
    told = texts(found(tmp_path, label="intent"), "confounding", severe=True)
    assert told == ["there is one 'place' a class, so no split by 'place' can judge the label"]


def test_recordings_that_cannot_be_read_do_not_hide_what_the_table_tells(tmp_path: Path) -> None:
    recordings(tmp_path, [{**row, "speaker": row["region"]} for row in speakers()])
    (tmp_path / "0_0.wav").write_bytes(b"RIFF")
    (tmp_path / "1_0.wav").unlink()
    findings = found(tmp_path, label="region")
    assert any("1_0.wav: there is no such file" in one for one in texts(findings, "files", severe=True))
    assert texts(findings, "confounding", severe=True) != []
    write(tmp_path / "1_0.wav", noise(0.3, 99))
    findings = found(tmp_path, label="region")
    assert any("0_0.wav" in one for one in texts(findings, "content", severe=True))
    assert texts(findings, "confounding", severe=True) != []


def test_duplicates_under_two_ids_are_told_and_across_parts_refused(tmp_path: Path) -> None:
    rows = [{**row, "split": "test" if row["speaker"] in ("s6", "s7") else "train"} for row in speakers()]
    recordings(tmp_path, rows)
    (tmp_path / "6_0.wav").write_bytes((tmp_path / "0_0.wav").read_bytes())
    findings = found(tmp_path, label="region", groups=["speaker"], split={"by": "official"})
    assert texts(findings, "duplicate") == ["1 sequence repeats the content of another: 0_0.wav and 6_0.wav"]
    (told,) = texts(findings, "split", severe=True)
    assert "1 sequence of test has the same content as one of train: 0_0.wav and 6_0.wav" in told


def test_short_recordings_are_told_by_what_cannot_be_done_with_them() -> None:
    lengths = [399, 400, 3279, 3280, 16000]
    notes = list(check_sound(clips(*(noise(length / RATE, length) for length in lengths))))
    severe, note = (texts(notes, "length", severe=one) for one in (True, False))
    assert severe == ["1 recording is shorter than one frame of a speech encoder (25 ms): 0"]
    assert note[0].startswith("2 recordings are shorter than 205 ms")
    assert note[0].endswith(": 1, 2")


def test_short_is_told_in_seconds_at_another_rate() -> None:
    assert texts(list(check_sound(clips(noise(0.0249, 1, 8000), rate=8000.0))), "length", severe=True) != []
    assert texts(list(check_sound(clips(noise(0.205, 1, 8000), rate=8000.0))), "length") == []


def test_silent_and_clipped_recordings_are_told() -> None:
    quiet = noise(0.5, 1, level=0.0005)
    offset = np.full(8000, 0.5, np.float32) + quiet
    loud = np.clip(3 * tone(), -1, 1)
    notes = list(check_sound(clips(noise(0.5, 0), quiet, offset, loud, tone(level=0.99))))
    assert texts(notes, "silent") == ["2 recordings are as good as silent (60 dB down): 1, 2"]
    (told,) = texts(notes, "clipped")
    share = float((np.abs(loud) == 1).mean())
    assert told == f"1 recording is clipped (up to {share:.1%} of the samples at full scale): 3"


def test_levels_do_not_depend_on_how_many_recordings_are_looked_at_together(monkeypatch: pytest.MonkeyPatch) -> None:
    collection = clips(*(noise(0.1, seed, level=0.0002 * (1 + seed)) for seed in range(9)), np.zeros(0, np.float32))
    whole = list(check_sound(collection))
    monkeypatch.setattr("tswork.data.checking_sound.CHUNK", 2000)
    assert list(check_sound(collection)) == whole
    assert texts(whole, "silent")[0].startswith("4 recordings")


def test_durations_that_tell_the_label_are_told() -> None:
    kinds = ["long", "short"] * 12
    table = pd.DataFrame({"id": range(24), "kind": kinds})
    samples = [noise(1.0 + 0.01 * n if kind == "long" else 0.4 + 0.01 * n, n) for n, kind in enumerate(kinds)]
    (told,) = texts(list(check_sound(clips(*samples, table=table, label="kind"))), "confounding")
    assert told.startswith("durations alone tell much of the label (7")
    assert "medians from 0.52 s (short) to 1.11 s (long)" in told
    mixed = table.assign(kind=["a", "a", "b", "b"] * 6)
    assert texts(list(check_sound(clips(*samples, table=mixed, label="kind"))), "confounding") == []


def test_durations_of_the_table_are_compared_with_those_of_the_recordings() -> None:
    table = pd.DataFrame({"id": ["a", "b", "c"], "seconds": [0.5, 1.5, None]})
    samples = [noise(0.55, 1), noise(0.5, 2), noise(0.5, 3)]
    told = texts(list(check_sound(clips(*samples, table=table))), "durations")
    assert told[1:] == ["1 recording is not as long as the column 'seconds' tells: b"]


def test_values_that_are_no_sound_are_left_alone() -> None:
    assert list(check_sound(Collection.from_array(np.zeros((3, 10, 1), np.float32)))) == []


def test_classes_that_a_part_lacks_are_told() -> None:
    collection = atlas(cities={"a": 1, "b": 4, "c": 4})
    parts = ["train", "test"] * 4
    split = ["train", "train", *(part for part in parts for _ in range(2))]
    official = collection.replaced(table=collection.table.assign(split=split))
    spec = DataSpec.parse({**BLOCK, "split": {"by": "official"}})
    told = [one.text for one in check_splits(official, spec) if not one.fact]
    assert told == ["1 of 3 classes is absent from the test part of official: a; averages over classes leave them out"]


def test_labels_with_too_few_places_are_told() -> None:
    spec = DataSpec.parse({**BLOCK, "split": {"by": "groups", "rule": "per_label"}})
    told = [one.text for one in check_splits(atlas(), spec) if not one.fact]
    assert told == ["split: labels with fewer than 3 groups are left out: cam (1), laz (1)"]
    assert "class has one" not in str(check_labels(atlas()))


def test_a_table_crosses_two_columns() -> None:
    counts = crossed(np.array([0, 0, 1, -1]), np.array([0, 1, 1, 0]))
    assert counts.tolist() == [[1, 1], [0, 1]]


def test_cramers_v_is_one_where_one_column_is_the_other_and_near_none_for_chance() -> None:
    assert cramers_v(np.array([[10, 0], [0, 7]])) == pytest.approx(1.0)
    assert cramers_v(np.array([[5, 5], [5, 5]])) == 0.0
    assert cramers_v(np.array([[5, 5]])) == 0.0
    assert cramers_v(np.array([[0, 0], [5, 5]])) == 0.0, "a row that nothing has counts for nothing"
    mean_square = (30 * 50 - 20 * 10) ** 2 / (50 * 60 * 40 * 70)  # chi squared over the number of rows
    by_hand = ((mean_square - 1 / 109) / (1 - 1 / 109)) ** 0.5
    assert cramers_v(np.array([[30, 20], [10, 50]])) == pytest.approx(by_hand)


def test_the_share_of_ranks_is_one_for_groups_apart_and_small_for_chance() -> None:
    numbers = np.array([1.0, 2, 3, 11, 12, 13])
    # Ranks 1..6: 17.5 about their mean in all, 4 within the groups; 1 - (4 / 4) / (17.5 / 5).
    assert rank_share(numbers, np.array([0, 0, 0, 1, 1, 1])) == pytest.approx(1 - 1 / 3.5)
    assert rank_share(numbers, np.array([0, 1, 0, 1, 0, 1])) == 0.0
    assert rank_share(numbers, np.array([0, 0, 0, 0, 0, 0])) == 0.0
    assert rank_share(np.ones(6), np.array([0, 0, 0, 1, 1, 1])) == 0.0
    assert rank_share(numbers, np.array([-1, 0, 0, 1, 1, -1])) == rank_share(numbers[1:5], np.array([0, 0, 1, 1]))


def test_a_manifest_of_other_recordings_has_no_findings_of_sound(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(9, 1)))
    text(tmp_path / "all.csv", "path", "a.npy")
    assert found(tmp_path) == []
