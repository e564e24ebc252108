"""Arrays of cases: halves, one array with its columns, codes with scale and offset, families of sets."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

from tests.data.opening import faults, inspect, read
from tswork.data.opening import open_splits
from tswork.data.places import Places
from tswork.data.readers.arrays import Layout
from tswork.data.readers.numpy_files import numpy_file
from tswork.data.spec import DataSpec
from tswork.errors import DataInvalid

BLOCK: dict[str, Any] = {"reader": "arrays", "path": "x.npz"}


def halves(folder: Path, name: str = "x.npz", **more: Any) -> None:
    arrays: dict[str, Any] = {
        "X_train": np.arange(12, dtype=np.float32).reshape(2, 2, 3),
        "y_train": np.array(["b", "a"]),
        "X_test": -np.arange(6, dtype=np.float32).reshape(1, 2, 3),
        "y_test": np.array(["a"]),
    }
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    np.savez(folder / name, **{**arrays, **more})


def test_halves_become_one_collection_with_an_official_split(tmp_path: Path) -> None:
    halves(tmp_path)
    found = read(tmp_path, **BLOCK)
    assert found.label == "label"
    assert found.classes == ("a", "b")
    assert found.table["split"].tolist() == ["train", "train", "test"]
    assert found.table["id"].is_unique
    assert found.sequence(0).tolist() == [[0, 3], [1, 4], [2, 5]]
    spec = DataSpec.parse({**BLOCK, "split": {"by": "official"}})
    (split,) = open_splits(spec, Places.here(tmp_path, beside=tmp_path), seed=0)
    assert [len(part) for part in split.parts.values()] == [2, 0, 1]


def test_padded_cases_are_cut_at_their_true_lengths(tmp_path: Path) -> None:
    padded = np.full((2, 2, 3), np.nan, np.float32)
    padded[0, :, :1], padded[1] = 7, 8
    halves(tmp_path, X_train=padded, len_train=np.array([1, 3]), len_test=np.array([2]))
    found = read(tmp_path, **BLOCK)
    assert found.lengths.tolist() == [1, 3, 2]
    assert not torch.isnan(found.values).any()


def test_one_array_brings_its_columns_names_and_codes(tmp_path: Path) -> None:
    codes = np.arange(8, dtype=np.int16).reshape(2, 2, 2)
    offsets = np.array([[10.0, 20.0], [30.0, 40.0]])
    np.savez(
        tmp_path / "x.npz", codes=codes, lsb=np.float64(0.5), off=offsets, subject=np.array(["s1", "s2"]),
        y=np.array([1, 0]), names=np.array(["Fp1", "O1"]), fs=np.float64(256), other=np.arange(5),
    )  # fmt: skip
    options = {"values": "codes", "scale": "lsb", "offset": "off", "channel_names": "names", "label": "y"}
    found = read(tmp_path, **BLOCK, **options, groups=["subject"], rate=256.0)
    assert found.channels == ("Fp1", "O1")
    assert found.sequence(0).tolist() == [[10.0, 21.0], [10.5, 21.5]]
    assert found.sequence(1).tolist() == [[32.0, 43.0], [32.5, 43.5]]
    assert sorted(found.table.columns) == ["id", "subject", "y"]
    assert found.codes("y").tolist() == [1, 0]


def test_scale_and_offset_can_be_numbers_or_one_a_channel(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.ones((1, 2, 1), np.int16), gain=np.array([2.0, 4.0]))
    assert read(tmp_path, **BLOCK, values="x", scale="gain", offset=-1.0).values.tolist() == [[1.0, 3.0]]


def test_axes_may_stand_in_any_order(tmp_path: Path) -> None:
    values = np.arange(24.0).reshape(2, 3, 4)  # case time channel
    for layout in get_args(Layout):
        axes = [("case", "time", "channel").index(axis) for axis in layout.split()]
        np.savez(tmp_path / "x.npz", x=values.transpose(axes), who=np.array(["a", "b"]))
        found = read(tmp_path, **BLOCK, layout=layout)
        assert found.values.tolist() == values.reshape(6, 4).tolist(), layout
        assert found.table["who"].tolist() == ["a", "b"]


def trials(folder: Path, **changed: Any) -> dict[str, Any]:
    """Codes of 6 trials x 3 channels x 4 steps with an offset for each row, and codes into arrays of names."""
    draw = np.random.default_rng(0)
    arrays: dict[str, Any] = {
        "codes": draw.integers(-900, 900, (6, 3, 4)).astype(np.int16),
        "offset_uV": draw.normal(size=(6, 3)).astype(np.float32),
        "lsb_uV": np.float64(0.48828125), "fs_hz": np.float64(256.0), "channel": np.array(["FP1", "FP2", "X"]),
        "subject": np.array([0, 0, 1, 1, 2, 2], np.int16), "subject_id": np.array(["co2a364", "co2a365", "co2c337"]),
        "trial": np.array([0, 2, 0, 1, 4, 5], np.int16), "condition": np.array([0, 1, 1, 0, 0, 1], np.int8),
        "condition_name": np.array(["S1 obj", "S2 match"]), "label": np.array([1, 1, 1, 1, 0, 0], np.int8),
    } | changed  # fmt: skip
    np.savez(folder / "x.npz", **arrays)
    return arrays


TRIALS: dict[str, Any] = {
    **BLOCK, "values": "codes", "scale": "lsb_uV", "offset": "offset_uV", "channel_names": "channel", "rate_name": "fs_hz",
    "names": {"subject": "subject_id", "condition": "condition_name", "label": ["control", "alcoholic"]},
    "columns": {"patient": "subject"}, "label": "label", "groups": ["patient"],
}  # fmt: skip


def test_a_set_of_trials_is_told_by_its_block_alone(tmp_path: Path) -> None:
    arrays = trials(tmp_path)
    found = read(tmp_path, **TRIALS, channels=["FP2", "FP1"])
    assert found.channels == ("FP2", "FP1")
    assert found.rate == 256.0
    wanted = arrays["codes"] * arrays["lsb_uV"] + arrays["offset_uV"].astype(np.float64)[:, :, None]
    np.testing.assert_array_equal(
        found.values.numpy().reshape(6, 4, 2), wanted[:, [1, 0]].transpose(0, 2, 1).astype(np.float32)
    )
    assert found.table.drop(columns="id").to_dict("list") == {
        "patient": ["co2a364"] * 2 + ["co2a365"] * 2 + ["co2c337"] * 2, "trial": [0, 2, 0, 1, 4, 5],
        "condition": ["S1 obj", "S2 match", "S2 match", "S1 obj", "S1 obj", "S2 match"],
        "label": ["alcoholic"] * 4 + ["control"] * 2,
    }  # fmt: skip
    assert found.classes == ("alcoholic", "control")


def test_one_signal_of_an_axis_is_a_channel_and_a_gain_divides(tmp_path: Path) -> None:
    adc = np.random.default_rng(0).integers(-3000, 3000, (5, 2, 7)).astype(np.int16)
    np.savez(
        tmp_path / "x.npz", adc=adc, gain=np.float32(200), signal=np.array(["raw", "filtered"]),
        person=np.array([1, 1, 2, 3, 3], np.int16), beat=np.zeros((5, 20), np.int32),
    )  # fmt: skip
    found = read(
        tmp_path,
        **BLOCK,
        values="adc",
        gain="gain",
        channel_names="signal",
        channels=["ecg"],
        columns={"ecg": "filtered"},
    )
    np.testing.assert_array_equal(found.values.numpy()[:, 0], (adc[:, 1] / 200).astype(np.float32).ravel())
    assert sorted(found.table.columns) == ["id", "person"]
    assert read(tmp_path, **BLOCK, values="adc", gain=200.0, channels=["channel_1"]).values.equal(found.values)


def test_names_stand_for_codes_of_another_file_and_of_halves_too(tmp_path: Path) -> None:
    halves(tmp_path, y_train=np.array([1, 0]), y_test=np.array([1]))
    (tmp_path / "t.csv").write_text("who\n1\n0\n1\n")
    names = {"label": ["rest", "move"], "who": ["x", "y"]}
    found = read(tmp_path, **BLOCK, table="t.csv", names=names)
    assert found.table["label"].tolist() == ["move", "rest", "move"]
    assert found.table["who"].tolist() == ["y", "x", "y"]


def test_codes_without_a_name_are_all_told(tmp_path: Path) -> None:
    trials(tmp_path, subject=np.array([0, 0, 1, 3, -1, 2]), condition=np.array([0, 0.5, 1, 0, np.nan, 1]))
    block = {**TRIALS, "names": {**TRIALS["names"], "labell": ["a"]}}
    assert faults(tmp_path, **block) == [
        "x.npz  data.names.subject: 3 has no name; 3 names are those of 0 to 2",
        "x.npz  data.names.subject: -1 has no name; 3 names are those of 0 to 2",
        "x.npz  data.names.condition: 0.5 has no name; 2 names are those of 0 to 1",
        "x.npz  data.names.condition: nan has no name; 2 names are those of 0 to 1",
        "x.npz  data.names.labell: there is no column 'labell'. Did you mean 'label'?",
    ]


def test_scale_and_offset_of_another_shape_are_told_at_once(tmp_path: Path) -> None:
    trials(tmp_path, offset_uV=np.zeros((3, 6)), lsb_uV=np.array(["a"]))
    assert faults(tmp_path, **TRIALS, gain=0.0) == [
        "x.npz  data.scale: 'lsb_uV' holds str32, not numbers",
        "x.npz  data.offset: 'offset_uV' has the shape (3, 6); one number, 3 (one a channel), or (6, 3) are expected",
        "x.npz  data.gain: codes cannot be divided by 0",
    ]


def test_the_rate_of_a_file_must_be_one_and_agree_with_the_block(tmp_path: Path) -> None:
    trials(tmp_path)
    assert read(tmp_path, **TRIALS, rate=256.0).rate == 256.0
    assert faults(tmp_path, **TRIALS, rate=250.0) == [
        "x.npz  has 256 samples a second, `rate:` says 250. Leave out one of the two."
    ]
    trials(tmp_path, fs_hz=np.array([256.0] * 6))
    assert read(tmp_path, **TRIALS).rate == 256.0
    for wrong, told in (
        (np.array([256.0, 128.0]), "128.0, 256.0"),
        (np.float64(np.nan), "nan"),
        (np.array(["a"]), "a"),
    ):
        trials(tmp_path, fs_hz=wrong)
        assert faults(tmp_path, **TRIALS) == [
            f"x.npz  'fs_hz' holds {told}; one number of samples a second is expected"
        ]


def test_arrays_may_be_plain_files_with_two_axes_or_time_before_channels(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(6.0).reshape(2, 3))
    assert read(tmp_path, reader="arrays", path="x.npy").sequence(1).tolist() == [[3], [4], [5]]
    np.save(tmp_path / "x.npy", np.arange(6.0).reshape(1, 3, 2))
    found = read(
        tmp_path, reader="arrays", path="x.npy", layout="case time channel", channel_names=["a", "b"], channels=["b"]
    )
    assert found.values.tolist() == [[1], [3], [5]]


def test_a_table_in_another_file_stands_beside_the_cases(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 1, 3)))
    (tmp_path / "t.csv").write_text("who,age,grade\n03,40,NA\n04,50,A\n")
    found = read(tmp_path, reader="arrays", path="x.npy", table="t.csv", groups=["patient"], columns={"patient": "who"})
    assert found.table["patient"].tolist() == ["03", "04"]
    assert found.table["age"].tolist() == [40, 50]
    assert found.table["grade"].tolist() == ["NA", "A"]
    (tmp_path / "t.csv").write_text("who\n03\n")
    assert faults(tmp_path, reader="arrays", path="x.npy", table="t.csv") == ["t.csv  has 1 row for 2 cases"]


def test_a_family_of_sets_needs_a_name_and_answers_with_its_members(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TSWORK_DATA", str(tmp_path / "far"))
    halves(tmp_path / "far", "ucr/ArrowHead.npz")
    halves(tmp_path / "far", "ucr/Beef.npz")
    family: dict[str, Any] = {"reader": "arrays", "path": "ucr/{set}.npz"}
    assert len(read(tmp_path, **family, set="Beef")) == 3
    assert faults(tmp_path, **family) == [
        "data.set: the card is a family of sets; name one. Add `set: NAME`. Known: ArrowHead, Beef."
    ]
    assert "Did you mean 'ArrowHead'?" in faults(tmp_path, **family, set="Arrowhead")[0]


@pytest.mark.parametrize(
    ("arrays", "options", "told"),
    [
        ({"x": np.zeros((2, 1, 3))}, {"values": "X"}, "x.npz  has no array 'X'. Known: x."),
        ({"x": np.zeros((2, 1, 3)), "z": np.zeros((2, 1, 3))}, {}, "x.npz  does not tell which array holds the values. Name one with `values:`; there are x, z."),
        ({"x": np.zeros((2, 1, 3, 4))}, {"values": "x"}, "x.npz  values have 4 axes; three are expected: case channel time"),
        ({"x": np.array([[["a"]]])}, {"values": "x"}, "x.npz  holds text, not numbers"),
        ({"x": np.zeros((2, 1, 3)), "n": np.array([1, 9])}, {"values": "x", "lengths": "n"}, "x.npz  2 lengths do not fit 2 cases of 3 steps"),
        ({"x": np.zeros((2, 1, 3))}, {"values": "x", "channel_names": ["a", "b"]}, "x.npz  2 channel names do not fit 1 channel"),
        ({"x": np.zeros((2, 1, 3))}, {"values": "x", "channels": ["a"]}, "x.npz  data.channels: there is no channel 'a'. Known: channel_0."),
        ({"x": np.zeros((2, 1, 3))}, {"values": "x", "time": "stamp"}, "data.time: the reader 'arrays' reads no time stamps here"),
        ({"x": np.zeros((2, 1, 3))}, {"values": "x", "columns": {"who": "subject"}}, "x.npz  data.columns.who: there is no column 'subject'. Known: channel_0, id."),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told(tmp_path: Path, arrays: dict[str, Any], options: dict[str, Any], told: str) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    assert faults(tmp_path, **BLOCK, **options) == [told]


def test_all_arrays_that_are_not_there_are_told_without_reading_values(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", X_train=np.zeros((1, 1, 2)), y_train=np.zeros(1))
    assert faults(tmp_path, inspect, **BLOCK, scale="lsb") == [
        "x.npz  has no array 'lsb'. Known: X_train, y_train.",
        "x.npz  has no array 'X_test'. Known: X_train, y_train.",
        "x.npz  has no array 'y_test'. Known: X_train, y_train.",
    ]


def test_truncated_files_and_pickles_are_refused(tmp_path: Path) -> None:
    halves(tmp_path)
    whole = (tmp_path / "x.npz").read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"not an archive"):
        (tmp_path / "x.npz").write_bytes(content)
        assert "x.npz  is not a whole npy or npz file without pickles" in faults(tmp_path, **BLOCK)[0]
    np.savez(tmp_path / "x.npz", x=np.array([[["a", None]]], dtype=object))
    assert "is not a whole npy or npz file without pickles" in faults(tmp_path, **BLOCK)[0]


def test_a_file_that_may_not_be_read_is_not_called_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:  # root may read everything, so the refusal is played
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataInvalid, match=r"x.npz  cannot be read: Permission denied$"), numpy_file(tmp_path / "x.npz"):
        pass


def test_labels_of_another_number_than_cases_are_refused(tmp_path: Path) -> None:
    halves(tmp_path, y_train=np.array(["a", "b", "c"]))
    assert faults(tmp_path, **BLOCK) == ["x.npz  3 labels do not fit 2 cases of the train half"]
