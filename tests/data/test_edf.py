"""EDF and BDF files: what pyedflib writes is read as pyedflib itself reads it; headers that lie are refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.opening import faults, inspect, read

pyedflib = pytest.importorskip("pyedflib")

BLOCK: dict[str, Any] = {"reader": "manifest", "path": "all.csv"}
EEG = ("EEG Fp1-Ref", "EEG O1-Ref")


def recording(
    folder: Path, name: str = "a.edf", *, names: Sequence[str] = EEG, rates: Sequence[float] = (64, 64), unit: str = "uV",
    seed: int = 0, plus: bool = False,
) -> list[np.ndarray]:  # fmt: skip
    """Writes a recording of ten seconds; gives its values as pyedflib reads them."""
    wide = name.endswith(".bdf")
    kind = f"FILETYPE_{'BDF' if wide else 'EDF'}{'PLUS' if plus else ''}"
    writer = pyedflib.EdfWriter(str(folder / name), len(names), file_type=getattr(pyedflib, kind))
    top = 2**23 - 1 if wide else 2**15 - 1
    for place, (label, rate) in enumerate(zip(names, rates, strict=True)):
        writer.setSignalHeader(place, {
            "label": label, "dimension": unit, "sample_frequency": rate, "physical_max": 500.0, "physical_min": -400.0,
            "digital_max": top, "digital_min": -top - 1, "transducer": "", "prefilter": "",
        })  # fmt: skip
    draw = np.random.default_rng(seed)
    writer.writeSamples([50 * draw.normal(size=int(10 * rate)) for rate in rates])
    if plus:
        writer.writeAnnotation(1.0, 2.0, "eyes open")
    writer.close()
    with pyedflib.EdfReader(str(folder / name)) as reader:
        return [reader.readSignal(place) for place in range(len(names))]


def manifest(folder: Path, *paths: str) -> None:
    (folder / "all.csv").write_text("\n".join(["path", *paths]) + "\n")


def patch(path: Path, start: int, text: bytes) -> None:
    content = bytearray(path.read_bytes())
    content[start : start + len(text)] = text
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["a.edf", "a.bdf", "a.EDF"])
@pytest.mark.parametrize("plus", [False, True])
def test_files_are_read_as_pyedflib_reads_them(tmp_path: Path, name: str, plus: bool) -> None:
    wanted = recording(tmp_path, name, plus=plus)
    manifest(tmp_path, name)
    found = read(tmp_path, **BLOCK)
    assert (found.channels, found.rate) == (EEG, 64.0)
    np.testing.assert_allclose(found.values.numpy(), np.stack(wanted, axis=1), rtol=1e-6, atol=1e-5)


def test_extreme_codes_of_both_widths_keep_their_sign(tmp_path: Path) -> None:
    for name, width in (("a.edf", 2), ("a.bdf", 3)):
        recording(tmp_path, name, names=["x"], rates=[1])
        start = (tmp_path / name).stat().st_size - 10 * width
        codes = [-(2 ** (8 * width - 1)), -1, 0, 2 ** (8 * width - 1) - 1]
        patch(tmp_path / name, start, b"".join(code.to_bytes(width, "little", signed=True) for code in codes))
        manifest(tmp_path, name)
        top = 2 ** (8 * width - 1)
        wanted = [-400.0, *(-400 + 900 * (code + top) / (2 * top - 1) for code in codes[1:3]), 500.0]
        np.testing.assert_allclose(read(tmp_path, **BLOCK).values[:4, 0].numpy(), wanted, rtol=1e-6, atol=1e-4)


def test_channels_have_the_names_of_the_file_and_near_ones_are_suggested(tmp_path: Path) -> None:
    wanted = recording(tmp_path)
    manifest(tmp_path, "a.edf")
    found = read(tmp_path, **BLOCK, channels=["O1"], columns={"O1": "EEG O1-Ref"})
    np.testing.assert_allclose(found.values[:, 0].numpy(), wanted[1], rtol=1e-6, atol=1e-5)
    recording(tmp_path, "b.edf", names=["Fp1", "O1"])
    manifest(tmp_path, "a.edf", "b.edf")
    for look in (read, inspect):
        assert faults(tmp_path, look, **BLOCK, channels=["O1", "Fp1"]) == [
            "all.csv:2:1  a.edf: has no channel 'O1'. Did you mean 'EEG O1-Ref'?",
            "all.csv:2:1  a.edf: has no channel 'Fp1'. Did you mean 'EEG Fp1-Ref'?",
        ]


def test_channels_of_different_rates_need_a_choice(tmp_path: Path) -> None:
    wanted = recording(tmp_path, names=["Fp1", "Temp", "O1"], rates=[64, 1, 64])
    manifest(tmp_path, "a.edf")
    for look in (read, inspect):
        assert faults(tmp_path, look, **BLOCK) == [
            "all.csv:2:1  a.edf: has channels of different rates: 64 (Fp1, O1); 1 (Temp) samples a second."
            " Choose channels of one rate with `channels:`."
        ]
    found = read(tmp_path, **BLOCK, channels=["O1", "Fp1"])
    assert found.rate == 64.0
    np.testing.assert_allclose(found.values.numpy(), np.stack([wanted[2], wanted[0]], axis=1), rtol=1e-6, atol=1e-5)
    assert read(tmp_path, **BLOCK, channels=["Temp"]).values.shape == (10, 1)


def test_units_are_converted_when_asked_and_must_agree_else(tmp_path: Path) -> None:
    micro, milli = recording(tmp_path, "a.edf"), recording(tmp_path, "b.edf", unit="mV", seed=1)
    recording(tmp_path, "c.edf", seed=2)
    manifest(tmp_path, "a.edf", "b.edf", "c.edf")
    assert faults(tmp_path, **BLOCK) == [
        "all.csv:3:1  b.edf: has 'EEG Fp1-Ref', 'EEG O1-Ref' in mV, most recordings in uV."
        " Let the decoder convert them: `decoders: [{uses: NAME, unit: mV}]`."
    ]
    found = read(tmp_path, **BLOCK, decoders=[{"uses": "edf", "unit": "mV"}])
    np.testing.assert_allclose(found.sequence(0).numpy(), np.stack(micro, 1) / 1000, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(found.sequence(1).numpy(), np.stack(milli, 1), rtol=1e-6, atol=1e-5)
    content = (tmp_path / "a.edf").read_bytes()
    (tmp_path / "a.edf").write_bytes(content.replace(b"uV      ", "µV".encode("latin-1") + b"      "))
    manifest(tmp_path, "a.edf", "c.edf")
    np.testing.assert_allclose(read(tmp_path, **BLOCK).sequence(0).numpy(), np.stack(micro, 1), rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("look", [read, inspect])
def test_files_that_lie_are_refused_with_their_row_all_at_once(tmp_path: Path, look: Any) -> None:
    names = ["cut", "long", "more", "fewer", "open", "text", "pauses", "head", "none", "range", "fine"]
    for name in names:
        recording(tmp_path, f"{name}.edf", plus=name == "pauses")
    whole = (tmp_path / "cut.edf").read_bytes()
    (tmp_path / "cut.edf").write_bytes(whole[:-100])
    (tmp_path / "long.edf").write_bytes(whole + whole[-256:])
    patch(tmp_path / "more.edf", 236, b"20      ")
    patch(tmp_path / "fewer.edf", 236, b"5       ")
    patch(tmp_path / "open.edf", 236, b"-1      ")
    patch(tmp_path / "text.edf", 236, b"many    ")
    patch(tmp_path / "pauses.edf", 192, b"EDF+D")
    (tmp_path / "head.edf").write_bytes(whole[:300])
    (tmp_path / "none.edf").write_bytes(b"RIFF" * 100)
    patch(tmp_path / "range.edf", 256 + 2 * (16 + 80 + 8), b"500     ")
    manifest(tmp_path, *(f"{name}.edf" for name in names))
    again = ". Get the file again, or export it again."
    told = [
        "cut.edf: its header tells of 10 records, the file holds 9 and 156 bytes" + again,
        "long.edf: its header tells of 10 records, the file holds 11" + again,
        "more.edf: its header tells of 20 records, the file holds 10" + again,
        "fewer.edf: its header tells of 5 records, the file holds 10" + again,
        "open.edf: its recording was never finished: the number of records is -1" + again,
        "text.edf: the number of records in its header is 'many'" + again,
        "pauses.edf: has pauses between its records (EDF+D). Export it as continuous, a file for each piece.",
        "head.edf: ends inside its header, which tells of 2 signals" + again,
        "none.edf: is no EDF or BDF file: its first bytes are others" + again,
        "range.edf: the range of 'EEG Fp1-Ref' is none of samples of 16 bits: 500 .. 500 stand for -32768 .. 32767"
        + again,
    ]
    assert faults(tmp_path, look, **BLOCK) == [f"all.csv:{row}:1  {text}" for row, text in enumerate(told, start=2)]


SIGNALS, DIGITAL, SAMPLES = 252, 256 + 2 * (16 + 80 + 8 + 8 + 8), 256 + 2 * (16 + 80 + 8 + 8 + 8 + 8 + 8 + 80)
"""Where a header of two signals has their number, the range of their codes, and the samples of each in a record."""


@pytest.mark.parametrize(
    ("start", "cells", "told"),
    [
        (SIGNALS, b"-1  ", "the number of signals in its header is '-1'"),
        (SIGNALS, b"3   ", "its header has 768 bytes by its own account, and 1,024 with 3 signals"),
        (184, b"512     ", "its header has 512 bytes by its own account, and 768 with 2 signals"),
        (236, b"1_0     ", "the number of records in its header is '1_0'"),
        (SAMPLES, b"-64     192     ", "the number of samples in its header is '-64'"),
        (
            DIGITAL,
            b"32767   -32768  -32768  32767   ",
            "the range of 'EEG Fp1-Ref' is none of samples of 16 bits: -400 .. 500 stand for 32767 .. -32768",
        ),
        (
            DIGITAL,
            b"-8388608-32768  8388607 32767   ",
            "the range of 'EEG Fp1-Ref' is none of samples of 16 bits: -400 .. 500 stand for -8388608 .. 8388607",
        ),
    ],
)
@pytest.mark.parametrize("look", [read, inspect])
def test_headers_that_contradict_themselves_are_refused(
    tmp_path: Path, start: int, cells: bytes, told: str, look: Any
) -> None:
    recording(tmp_path)
    patch(tmp_path / "a.edf", start, cells)
    manifest(tmp_path, "a.edf")
    assert faults(tmp_path, look, **BLOCK) == [f"all.csv:2:1  a.edf: {told}. Get the file again, or export it again."]


def test_samples_beyond_the_range_of_their_header_are_counted_in_a_note(tmp_path: Path) -> None:
    recording(tmp_path)
    manifest(tmp_path, "a.edf")
    assert read(tmp_path, **BLOCK).notes == ()
    patch(tmp_path / "a.edf", DIGITAL, b"0       -32768  1       ")
    found = read(tmp_path, **BLOCK)
    beyond = int(((found.values[:, 0] < -400) | (found.values[:, 0] > 500)).sum())
    assert beyond > 600
    assert found.notes == (f"samples beyond the range that their header tells ({beyond} in a.edf)",)


def test_montages_that_differ_are_told_with_what_each_recording_lacks(tmp_path: Path) -> None:
    recording(tmp_path, "a.edf")
    recording(tmp_path, "b.edf")
    recording(tmp_path, "c.edf", names=[EEG[1], EEG[0]])
    recording(tmp_path, "d.edf", names=[EEG[0], "EEG T3-Ref"])
    recording(tmp_path, "e.edf", rates=(32, 32))
    manifest(tmp_path, "a.edf", "b.edf", "c.edf", "d.edf", "e.edf")
    assert faults(tmp_path, inspect, **BLOCK) == [
        "all.csv:4:1  c.edf: has its channels in another order: 'EEG O1-Ref' stands where most recordings have 'EEG Fp1-Ref'."
        " Choose common ones with `channels:`.",
        "all.csv:5:1  d.edf: lacks 'EEG O1-Ref' and has 'EEG T3-Ref' besides; most recordings have 2 channels (EEG Fp1-Ref,"
        " EEG O1-Ref). Choose common ones with `channels:`.",
        "all.csv:6:1  e.edf: has 32 samples a second, most recordings have 64. Convert it to the common rate, or leave it out.",
    ]
    manifest(tmp_path, "a.edf", "c.edf", "d.edf")
    assert len(read(tmp_path, **BLOCK, channels=[EEG[0]])) == 3
    assert faults(tmp_path, read, **BLOCK, channels=list(EEG)) == [
        "all.csv:4:1  d.edf: has no channel 'EEG O1-Ref'. Did you mean 'EEG Fp1-Ref'?"
    ]
