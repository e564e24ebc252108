"""WFDB records: what wfdb writes is read back in physical units, and headers that lie are refused before anything trains."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.opening import faults, inspect, places, read
from tswork.data.digests import source_digest
from tswork.data.readers.decoders.wfdb_headers import read_header
from tswork.data.readers.decoders.wfdb_samples import stored_samples, with_wfdb
from tswork.data.spec import DataSpec
from tswork.errors import PackageMissing

wfdb = pytest.importorskip("wfdb")

BLOCK: dict[str, Any] = {"reader": "manifest", "path": "all.csv"}
ECG = ("i", "ii")


def codes(length: int = 40, width: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-900, 900, (length, width))


def record(
    folder: Path, name: str = "a", *, values: np.ndarray | None = None, names: Sequence[str] = ECG, rate: float = 250,
    units: Sequence[str] | None = None, forms: Sequence[str] | None = None,
) -> np.ndarray:  # fmt: skip
    """Writes a record of integer samples with gain 200 and baseline -3; gives its physical values."""
    digital = codes(width=len(names)) if values is None else values
    width = digital.shape[1]
    wfdb.wrsamp(
        name, fs=rate, units=list(units or ["mV"] * width), sig_name=list(names), d_signal=digital,
        fmt=list(forms or ["16"] * width), adc_gain=[200.0] * width, baseline=[-3] * width, write_dir=str(folder),
    )  # fmt: skip
    return np.asarray((digital + 3) / 200.0)


def manifest(folder: Path, *paths: str, head: str = "path") -> None:
    (folder / "all.csv").write_text("\n".join([head, *paths]) + "\n")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def packed(samples: np.ndarray, form: str) -> bytes:
    """Samples in the formats that wfdb reads and does not write, from the manual's description of them."""
    if form == "160":
        return (samples + 2**15).astype("<u2").tobytes()
    one, two, three = np.pad(samples & 1023, (0, -len(samples) % 3)).reshape(-1, 3).T.astype(np.uint32)
    if form == "311":
        return (one | two << 10 | three << 20).astype("<u4").tobytes()
    low, high = one << 1 | (three & 31) << 11, two << 1 | (three >> 5) << 11
    return np.stack([low, high], axis=1).astype("<u2").tobytes()


@pytest.mark.parametrize("form", ["16", "24", "32", "80", "212", "160", "310", "311"])
def test_records_of_every_uncompressed_format_come_back_in_physical_units(tmp_path: Path, form: str) -> None:
    small = codes() // (16 if form == "80" else 2)
    written = form not in ("160", "310", "311")
    physical = record(tmp_path, values=small, forms=[form if written else "16"] * 2)
    if not written:
        edit(tmp_path / "a.hea", "a.dat 16 ", f"a.dat {form} ")
        (tmp_path / "a.dat").write_bytes(packed(small.ravel(), form))
    manifest(tmp_path, "a.hea")
    found = read(tmp_path, **BLOCK)
    assert (found.channels, found.rate) == (ECG, 250.0)
    np.testing.assert_array_equal(found.values.numpy(), physical.astype(np.float32))


def test_compressed_records_are_read_too(tmp_path: Path) -> None:
    physical = record(tmp_path, forms=["516", "516"])
    manifest(tmp_path, "a.hea")
    np.testing.assert_array_equal(read(tmp_path, **BLOCK).values.numpy(), physical.astype(np.float32))


def test_headers_tell_what_wfdb_itself_reads_of_them(tmp_path: Path) -> None:
    (tmp_path / "a.hea").write_text(
        "# a comment\na 4 500/1000(5) 10 10:00:00 01/01/2000\n\na.dat 16x2:1+4 1.5e2(7)/uV 12 3 -4 77 0 ECG lead I\n"
        "a.dat 16x1 100 12 9 -4 -5 0\nb.dat 212\nb.dat 212 0/% 8\n"
    )
    header, known = read_header(tmp_path / "a.hea"), wfdb.rdheader(str(tmp_path / "a"))
    for ours, theirs in (
        ("file", "file_name"), ("form", "fmt"), ("gain", "adc_gain"), ("checksum", "checksum"),
    ):  # fmt: skip
        assert [getattr(wave, ours) for wave in header.waves] == getattr(known, theirs), theirs
    assert [wave.unit for wave in header.waves] == ["uV", "mV", "mV", "%"] == known.units
    assert [wave.baseline for wave in header.waves] == [7, 9, 0, 0]
    assert [wave.start for wave in header.waves] == [4, 0, 0, 0]
    assert [wave.per_frame for wave in header.waves] == [one or 1 for one in known.samps_per_frame]
    assert [wave.name for wave in header.waves] == ["ECG lead I", "channel_1", "channel_2", "channel_3"]
    assert [(wave.rate, wave.length) for wave in header.waves] == [(1000, 20), (500, 10), (500, 10), (500, 10)]
    assert header.frames == known.sig_len


def test_channels_are_chosen_by_name_and_may_be_renamed(tmp_path: Path) -> None:
    physical = record(tmp_path, names=["ECG I", "ECG I filtered"])
    manifest(tmp_path, "a.hea")
    found = read(tmp_path, **BLOCK, channels=["clean"], columns={"clean": "ECG I filtered"})
    np.testing.assert_array_equal(found.values[:, 0].numpy(), physical[:, 1].astype(np.float32))
    for look in (read, inspect):
        assert faults(tmp_path, look, **BLOCK, channels=["filtered"]) == [
            "all.csv:2:1  a.hea: has no channel 'filtered'. Did you mean 'ECG I filtered'?"
            if look is read
            else "data.channels: there is no channel 'filtered'. Did you mean 'ECG I filtered'?"
        ]


def test_samples_marked_as_invalid_are_missing(tmp_path: Path) -> None:
    digital = codes()
    digital[[3, 4], 1] = -32768
    record(tmp_path, values=digital)
    manifest(tmp_path, "a.hea")
    assert np.argwhere(np.isnan(read(tmp_path, **BLOCK).values.numpy())).tolist() == [[3, 1], [4, 1]]


def test_voltages_become_another_unit_only_when_asked(tmp_path: Path) -> None:
    physical = record(tmp_path, "a")
    record(tmp_path, "b", units=["uV", "uV"])
    manifest(tmp_path, "a.hea", "b.hea", "a2.hea")
    record(tmp_path, "a2")
    for look in (read, inspect):
        assert faults(tmp_path, look, **BLOCK) == [
            "all.csv:3:1  b.hea: has 'i', 'ii' in uV, most recordings in mV."
            " Let the decoder convert them: `decoders: [{uses: NAME, unit: mV}]`."
        ]
    found = read(tmp_path, **BLOCK, decoders=[{"uses": "hea", "unit": "uV"}])
    np.testing.assert_allclose(found.sequence(0).numpy(), 1000 * physical, rtol=1e-6)
    np.testing.assert_allclose(found.sequence(1).numpy(), physical, rtol=1e-6)
    assert read(tmp_path, **{**BLOCK, "channels": ["i"]}, decoders=[{"uses": "hea", "unit": "V"}]).channels == ("i",)


def test_a_micro_sign_is_one_however_it_is_written(tmp_path: Path) -> None:
    physical = record(tmp_path, units=["uV", "uV"])
    manifest(tmp_path, "a.hea")
    header = (tmp_path / "a.hea").read_text()
    for content in (header.replace("/uV", "/µV").encode(), header.replace("/uV", "/µV").encode("latin-1")):
        (tmp_path / "a.hea").write_bytes(content)
        found = read(tmp_path, **BLOCK, decoders=[{"uses": "hea", "unit": "mV"}])
        np.testing.assert_allclose(found.values.numpy(), physical / 1000, rtol=1e-6)


def test_what_is_no_voltage_cannot_become_one(tmp_path: Path) -> None:
    record(tmp_path, names=["ABP", "ECG"], units=["mmHg", "mV"])
    manifest(tmp_path, "a.hea")
    decoders = [{"uses": "hea", "unit": "mV"}]
    assert faults(tmp_path, **BLOCK, decoders=decoders) == [
        "all.csv:2:1  a.hea: 'ABP' is in mmHg, which cannot become mV. Leave it out of `channels:`, or leave out `unit: mV`."
    ]
    assert read(tmp_path, **BLOCK, decoders=decoders, channels=["ECG"]).channels == ("ECG",)


def frames(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """A record with two samples of the first signal in each frame of the second; its physical values."""
    fast, slow = codes(40, 1)[:, 0], codes(20, 1, seed=1)[:, 0]
    wfdb.wrsamp(
        "m", fs=100, units=["mV", "mV"], sig_name=["fast", "slow"], e_d_signal=[fast, slow], samps_per_frame=[2, 1],
        fmt=["16", "16"], adc_gain=[200.0, 200.0], baseline=[0, 0], write_dir=str(folder),
    )  # fmt: skip
    return fast / 200, slow / 200


def test_a_record_of_several_rates_is_read_at_that_of_its_chosen_channels(tmp_path: Path) -> None:
    fast, slow = frames(tmp_path)
    manifest(tmp_path, "m.hea")
    for name, rate, wanted in (("fast", 200.0, fast), ("slow", 100.0, slow)):
        found = read(tmp_path, **BLOCK, channels=[name])
        assert found.rate == rate
        np.testing.assert_array_equal(found.values[:, 0].numpy(), wanted.astype(np.float32))
    for look in (read, inspect):
        assert faults(tmp_path, look, **BLOCK) == [
            "all.csv:2:1  m.hea: has channels of different rates: 200 (fast); 100 (slow) samples a second."
            " Choose channels of one rate with `channels:`."
        ]


def test_a_record_of_two_signal_files_is_one_recording_and_both_count_in_its_digest(tmp_path: Path) -> None:
    first, second = record(tmp_path, "a"), record(tmp_path, "b", values=codes(seed=3), names=["vx", "vy"])
    lines = (tmp_path / "a.hea").read_text().splitlines() + (tmp_path / "b.hea").read_text().splitlines()[1:]
    (tmp_path / "a.hea").write_text("\n".join(lines).replace("a 2 ", "a 4 ") + "\n")
    manifest(tmp_path, "a.hea")
    found = read(tmp_path, **BLOCK)
    np.testing.assert_array_equal(found.values.numpy(), np.hstack([first, second]).astype(np.float32))
    assert found.channels == (*ECG, "vx", "vy")
    spec = DataSpec.parse(BLOCK)
    files = spec.reader.build().files(spec, places(tmp_path))
    assert [file.name for file in files] == ["all.csv", "a.hea", "a.dat", "b.dat"]
    before = source_digest(spec, places(tmp_path))
    (tmp_path / "b.dat").write_bytes(codes(seed=4).astype("<i2").tobytes())
    assert source_digest(spec, places(tmp_path)) != before


def segmented(folder: Path, layout: str = "") -> np.ndarray:
    """Two segments with a gap between them; the second one lacks `ii`."""
    one = record(folder, "s1", values=codes(10))
    two = record(folder, "s2", values=codes(6, 1, seed=5), names=["i"])
    (folder / "s0.hea").write_text("s0 2 250 0\n~ 0 200(-3)/mV 16 0 0 0 0 i\n~ 0 200(-3)/mV 16 0 0 0 0 ii\n")
    (folder / "m.hea").write_text("m/4 2 250 20\ns0 0\ns1 10\n~ 4\ns2 6\n")
    wanted = np.full((20, 2), np.nan)
    wanted[:10], wanted[14:, :1] = one, two
    return wanted.astype(np.float32)


def test_gaps_and_signals_that_a_segment_lacks_are_missing(tmp_path: Path) -> None:
    wanted = segmented(tmp_path)
    manifest(tmp_path, "m.hea")
    found = read(tmp_path, **BLOCK)
    np.testing.assert_array_equal(found.values.numpy(), wanted)
    np.testing.assert_array_equal(found.values.numpy(), wfdb.rdrecord(str(tmp_path / "m")).p_signal.astype(np.float32))
    spec = DataSpec.parse(BLOCK)
    files = [file.name for file in spec.reader.build().files(spec, places(tmp_path))]
    assert files == ["all.csv", "m.hea", "s0.hea", "s1.hea", "s2.hea", "s1.dat", "s2.dat"]


def test_segments_of_one_layout_are_read_one_after_another(tmp_path: Path) -> None:
    parts = [record(tmp_path, "s1", values=codes(10)), record(tmp_path, "s2", values=codes(7, seed=6))]
    (tmp_path / "m.hea").write_text("m/2 2 250 17\ns1 10\ns2 7\n")
    manifest(tmp_path, "m.hea")
    np.testing.assert_array_equal(read(tmp_path, **BLOCK).values.numpy(), np.concatenate(parts).astype(np.float32))


def test_segments_that_do_not_fit_their_record_are_told_at_once(tmp_path: Path) -> None:
    segmented(tmp_path)
    manifest(tmp_path, "m.hea")
    edit(tmp_path / "s2.hea", "250 6", "500 6")
    assert faults(tmp_path, **BLOCK) == ["all.csv:2:1  m.hea: 'i' is in mV at 500 in s2, in the record in mV at 250"]
    edit(tmp_path / "m.hea", "s1 10", "s1 9")
    assert faults(tmp_path, **BLOCK) == ["m.hea:1:1  tells of 20 frames, its segments of 19"]
    edit(tmp_path / "m.hea", "250 20", "250 19")
    assert faults(tmp_path, **BLOCK) == [
        "all.csv:2:1  m.hea: s1 has 10 frames, the record says 9",
        "all.csv:2:1  m.hea: 'i' is in mV at 500 in s2, in the record in mV at 250",
    ]
    (tmp_path / "s2.hea").unlink()
    (tmp_path / "s1.dat").unlink()
    for look in (read, inspect):
        assert faults(tmp_path, look, **BLOCK) == [
            "all.csv:2:1  m.hea: the header s2.hea of one of its segments is not there. Put it beside the record's own.",
            "all.csv:2:1  m.hea: its signal file s1.dat is not there. Put it beside the header.",
        ]


@pytest.mark.parametrize("look", [read, inspect])
def test_headers_that_lie_are_refused_with_their_files_all_at_once(tmp_path: Path, look: Any) -> None:
    for name in ("absent", "short", "long", "length", "text", "lines", "form", "fine"):
        record(tmp_path, name)
    (tmp_path / "absent.dat").unlink()
    whole = (tmp_path / "short.dat").read_bytes()
    (tmp_path / "short.dat").write_bytes(whole[:100])
    (tmp_path / "long.dat").write_bytes(whole + whole)
    edit(tmp_path / "length.hea", "250 40", "250 400")
    (tmp_path / "text.hea").write_text("nothing\n")
    edit(tmp_path / "lines.hea", "lines 2", "lines 3")
    edit(tmp_path / "form.hea", "form.dat 16", "form.dat 61")
    manifest(
        tmp_path, *(f"{name}.hea" for name in ("absent", "short", "long", "length", "text", "lines", "form", "fine"))
    )
    bytes_ = "too {} for {} frames as its header says ({}). Get the record again, or mend its header."
    assert faults(tmp_path, look, **BLOCK) == [
        "all.csv:2:1  absent.hea: its signal file absent.dat is not there. Put it beside the header.",
        "all.csv:3:1  short.hea: short.dat has 100 bytes, " + bytes_.format("few", 40, 160),
        "all.csv:4:1  long.hea: long.dat has 320 bytes, " + bytes_.format("many", 40, 160),
        "all.csv:5:1  length.hea: length.dat has 160 bytes, " + bytes_.format("few", 400, 1600),
        "text.hea:1:1  'nothing' does not name a record, its signals and their rate",
        "lines.hea:1:1  tells of 3 signals and describes 2",
        "form.hea:2:1  signals in the format 61 cannot be read",
        "form.hea:3:1  signals in the format 61 cannot be read",
    ]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("631 65411", "631 65411.5", "a.hea:2:1  'a.dat 16 200.0(-3)/mV 16 0 631 65411.5 0 i' does not describe a signal"),
        ("16 0 631", "16 1e1 631", "a.hea:2:1  'a.dat 16 200.0(-3)/mV 16 1e1 631 65411 0 i' does not describe a signal"),
        ("200.0(-3)/mV 16 0 631", "1e999/mV 16 0 631", "a.hea:2:1  'a.dat 16 1e999/mV 16 0 631 65411 0 i' does not describe a signal"),
        ("16 200.0(-3)/mV 16 0 631", "16x0 200 16 0 631", "a.hea:2:1  'a.dat 16x0 200 16 0 631 65411 0 i' does not describe a signal"),
        ("16 200.0(-3)/mV 16 0 246", "212 200/mV 16 0 246", "all.csv:2:1  a.hea: a.dat is said to be in the formats 16 ('i') and 212 ('ii')"),
        ("250 40", "-250 40", "a.hea:1:1  'a 2 -250 40' does not name a record, its signals and their rate"),
        ("250 40", ". 40", "a.hea:1:1  'a 2 . 40' does not name a record, its signals and their rate"),
        ("250 40", "1e999 40", "a.hea:1:1  'a 2 1e999 40' does not name a record, its signals and their rate"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("look", [read, inspect])
def test_headers_that_contradict_themselves_are_refused(
    tmp_path: Path, old: str, new: str, told: str, look: Any
) -> None:
    record(tmp_path)
    edit(tmp_path / "a.hea", old, new)
    manifest(tmp_path, "a.hea")
    assert faults(tmp_path, look, **BLOCK) == [told]


def test_a_signal_file_that_is_named_with_a_folder_is_refused(tmp_path: Path) -> None:
    record(tmp_path)
    edit(tmp_path / "a.hea", "a.dat", "../a.dat")
    manifest(tmp_path, "a.hea")
    text = "its samples stand in '../a.dat', and a signal file stands beside its header"
    assert faults(tmp_path, **BLOCK) == [f"a.hea:{line}:1  {text}" for line in (2, 3)]


def test_a_record_that_is_a_segment_of_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.hea").write_text("a/1 2 250 40\na 40\n")
    manifest(tmp_path, "a.hea")
    assert faults(tmp_path, **BLOCK) == [
        "a.hea:1:1  is a segment of a record, and has segments itself. Get the record again."
    ]


def test_samples_that_do_not_fit_their_checksum_are_refused_unless_the_card_says_so(tmp_path: Path) -> None:
    record(tmp_path)
    changed = codes()
    changed[5, 1] += 1
    (tmp_path / "a.dat").write_bytes(changed.astype("<i2").tobytes())
    manifest(tmp_path, "a.hea")
    assert faults(tmp_path, **BLOCK) == [
        "all.csv:2:1  a.hea: the samples of 'ii' do not add up to the checksum in a.hea."
        " Get the record again, or give `decoders: [{uses: hea, checksums: false}]`."
    ]
    assert len(read(tmp_path, **BLOCK, decoders=[{"uses": "hea", "checksums": False}]).values) == 40
    assert len(read(tmp_path, **BLOCK, channels=["i"]).values) == 40, "only what is read is checked"


def test_a_header_without_a_length_takes_that_of_its_file(tmp_path: Path) -> None:
    physical = record(tmp_path)
    edit(tmp_path / "a.hea", "250 40", "250")
    manifest(tmp_path, "a.hea")
    inspect(tmp_path, **BLOCK)
    np.testing.assert_array_equal(read(tmp_path, **BLOCK).values.numpy(), physical.astype(np.float32))


def test_signals_of_one_name_are_refused_only_when_they_are_asked_for(tmp_path: Path) -> None:
    record(tmp_path, names=["ECG", "ABP"])
    text = (tmp_path / "a.hea").read_text()
    (tmp_path / "a.hea").write_text(
        text.replace("a 2 ", "a 3 ") + text.splitlines()[1].replace("a.dat", "b.dat") + "\n"
    )
    (tmp_path / "b.dat").write_bytes(codes()[:, 0].astype("<i2").tobytes())
    manifest(tmp_path, "a.hea")
    assert faults(tmp_path, **BLOCK) == [
        "all.csv:2:1  a.hea: has 2 signals called 'ECG'. Choose others with `channels:`."
    ]
    assert read(tmp_path, **BLOCK, channels=["ABP"]).channels == ("ABP",)


def test_a_manifest_may_name_records_without_their_suffix(tmp_path: Path) -> None:
    record(tmp_path)
    manifest(tmp_path, "a,p1", head="filename,patient")
    found = read(tmp_path, **BLOCK, suffix=".hea", columns={"path": "filename"}, groups=["patient"])
    assert found.table["id"].tolist() == ["a"]
    assert "there is no such file" in faults(tmp_path, **BLOCK, columns={"path": "filename"})[0]


@pytest.mark.parametrize("form", ["16", "32", "80", "160", "212"])
def test_samples_read_straight_from_their_bytes_are_those_of_wfdb(tmp_path: Path, form: str) -> None:
    draw = np.random.default_rng(0)
    (tmp_path / "a.hea").write_text(
        f"a 4 100 31\na.dat {form}x2+5 200 12 0\nb.dat {form} 200 12 0\nb.dat {form}x3 200 12 0\n"
        f"b.dat {form} 200 12 0\n"
    )
    width = {"16": 2, "32": 4, "80": 1, "160": 2, "212": 1.5}[form]
    for name, start, samples in (("a", 5, 31 * 2), ("b", 0, 31 * 5)):
        content = draw.integers(0, 256, start + math.ceil(samples * width), dtype=np.uint8)
        (tmp_path / f"{name}.dat").write_bytes(content.tobytes())
    header, order = read_header(tmp_path / "a.hea"), [3, 0, 2, 1]
    for ours, theirs in zip(stored_samples(header, order), with_wfdb(header, order), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_without_the_package_rare_formats_alone_are_refused_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tmp_path, "a", forms=["24", "24"])
    record(tmp_path, "b")
    monkeypatch.setitem(sys.modules, "wfdb", None)
    manifest(tmp_path, "a.hea")
    inspect(tmp_path, **BLOCK)
    needs = r"the decoder 'hea' for signals in the format 24 needs the package wfdb.*pip install 'tswork\[medical\]'"
    with pytest.raises(PackageMissing, match=needs):
        read(tmp_path, **BLOCK)
    manifest(tmp_path, "b.hea")
    assert len(read(tmp_path, **BLOCK).values) == 40
