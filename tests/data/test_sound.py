"""Sound files: every format, one channel, another rate, and everything that cannot be heard refused with its row."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from tests.data.opening import faults, inspect, places, read
from tests.data.sounds import BLOCK, FORMATS, manifest, tone, write
from tswork.data.checking import check_data
from tswork.data.digests import source_digest
from tswork.data.readers.decoders.base import decoders_by_suffix
from tswork.data.readers.decoders.samples import as_int16, resampled, resampled_length
from tswork.data.readers.decoders.sound import Sound, SoundConfig
from tswork.data.spec import DataOptions, DataSpec

LOSSY = (".ogg", ".oga", ".opus", ".mp3")


def decode(path: Path, *, rate: float | None = None, **options: Any) -> np.ndarray:
    """The samples of one file."""
    return Sound(SoundConfig(**options)).read(path, DataOptions(rate=rate)).values[:, 0]


def spectrum_peak(samples: np.ndarray, rate: float) -> float:
    """The frequency with the most power, to 0.1 Hz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), n=round(rate * 10)))
    return float(spectrum.argmax()) / 10


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_comes_back(tmp_path: Path, suffix: str) -> None:
    sound = tone()
    write(tmp_path / f"a{suffix}", sound)
    found = decode(tmp_path / f"a{suffix}")
    assert found.dtype == np.int16
    assert len(found) == len(sound)
    middle = slice(1000, 6000)  # a lossy encoder fades in and out
    worst = np.abs(found[middle] / 32768 - sound[middle]).max()
    assert worst < (0.05 if suffix in LOSSY else 1 / 32768)
    assert decoders_by_suffix()[suffix].name == "sound"


def test_all_suffixes_are_tried() -> None:
    assert set(Sound.suffixes) == set(FORMATS)


def test_samples_of_16_bits_are_kept_bit_for_bit(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(-32768, 32768, 4000).astype(np.int16)
    for suffix in (".wav", ".flac", ".aiff"):
        write(tmp_path / f"a{suffix}", samples)
        np.testing.assert_array_equal(decode(tmp_path / f"a{suffix}"), samples)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_other_samples_are_scaled_to_16_bits(tmp_path: Path, subtype: str) -> None:
    sound = tone()
    write(tmp_path / "a.wav", sound, subtype=subtype)
    assert np.abs(decode(tmp_path / "a.wav") / 32768 - sound).max() <= (1 / 128 if subtype == "PCM_U8" else 1 / 65000)


def test_float_samples_beyond_full_scale_are_clipped_and_counted(tmp_path: Path) -> None:
    sound = np.concatenate([tone(), np.array([1.0, 1.5, -1.5, -1.0], np.float32)])
    write(tmp_path / "a.wav", sound, subtype="FLOAT")
    write(tmp_path / "b.wav", tone())
    manifest(tmp_path, ["a.wav", "b.wav"])
    found = read(tmp_path, **BLOCK)
    assert found.sequence(0)[-4:, 0].tolist() == [32767, 32767, -32768, -32768]
    assert found.notes == ("samples beyond full scale were clipped (2 in a.wav)",)
    assert as_int16(np.array([0.5, -1.0, 2.0], np.float32))[1] == 1


def test_a_collection_of_sound_is_one_channel_of_int16(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", tone())
    write(tmp_path / "b.mp3", np.stack([tone(), tone()], axis=1))
    manifest(tmp_path, ["a.wav", "b.mp3"])
    found = read(tmp_path, **BLOCK)
    assert found.values.dtype == torch.int16
    assert found.channels == ("sound",)
    assert found.rate == 16000.0
    assert found.lengths.tolist() == [8000, 8000]
    assert read(tmp_path, **BLOCK, columns={"voice": "sound"}).channels == ("voice",)


def test_headers_tell_what_reading_gives(tmp_path: Path) -> None:
    for suffix in FORMATS:
        write(tmp_path / f"a{suffix}", np.stack([tone(rate=8000), tone(rate=8000)], axis=1), 8000)
        decoder = Sound(SoundConfig())
        for rate in (None, 11025.0):
            told = decoder.outline(tmp_path / f"a{suffix}", DataOptions(rate=rate))
            assert told == decoder.read(tmp_path / f"a{suffix}", DataOptions(rate=rate)).outline
            assert (told.file_rate, told.file_channels) == (8000.0, 2)


# Another rate


def test_recordings_of_several_rates_are_brought_to_the_rate_of_the_block(tmp_path: Path) -> None:
    for name, rate in (("a.wav", 8000), ("b.flac", 44100), ("c.opus", 48000), ("d.wav", 16000)):
        write(tmp_path / name, tone(rate=rate), rate)
    manifest(tmp_path, ["a.wav", "b.flac", "c.opus", "d.wav"])
    inspect(tmp_path, **BLOCK, rate=16000.0)
    found = read(tmp_path, **BLOCK, rate=16000.0)
    assert found.rate == 16000.0
    assert found.lengths.tolist() == [8000] * 4
    for row in range(4):
        middle = found.sequence(row)[1000:7000, 0].numpy() / 32768
        np.testing.assert_allclose(middle, tone()[1000:7000], atol=0.01)


@pytest.mark.parametrize("look", [read, inspect])
def test_without_a_rate_recordings_of_other_rates_are_told(tmp_path: Path, look: Any) -> None:
    write(tmp_path / "a.wav", tone())
    write(tmp_path / "b.wav", tone())
    write(tmp_path / "c.wav", tone(rate=8000), 8000)
    manifest(tmp_path, ["a.wav", "b.wav", "c.wav"])
    assert faults(tmp_path, look, **BLOCK) == [
        "all.csv:4:1  c.wav: has 8000 samples a second, most recordings have 16000."
        " Give `rate:`; sound is brought to it as it is decoded."
    ]


def test_a_tone_stays_where_it_is_and_what_lies_above_the_new_nyquist_frequency_is_gone() -> None:
    up = resampled(tone(440.0, rate=8000, seconds=1, level=1), 8000.0, 16000.0)
    assert spectrum_peak(up, 16000.0) == 440.0
    high = tone(6000.0, seconds=1, level=1)
    down = resampled(high, 16000.0, 8000.0)
    inside = down[400:-400]
    assert np.sqrt(np.mean(inside**2)) < 0.002
    assert np.sqrt(np.mean(high[::2] ** 2)) == pytest.approx(0.707, abs=0.001), (
        "without a filter it would all come back"
    )


@pytest.mark.parametrize(
    ("length", "rate", "wanted", "new"),
    [
        (15999, 44100.0, 16000.0, 5805),
        (11025, 44100.0, 16000.0, 4000),
        (1, 16000.0, 8000.0, 1),
        (49788, 22050.0, 16000.0, 36128),
    ],
)
def test_the_new_length_is_rounded_up(length: int, rate: float, wanted: float, new: int) -> None:
    assert resampled_length(length, rate, wanted) == new
    assert len(resampled(np.zeros(length, np.float32), rate, wanted)) == new


def test_the_new_length_is_rounded_up_whatever_the_rates() -> None:
    draw = np.random.default_rng(0)
    for rate, wanted in (
        (44100.0, 16000.0),
        (22050.0, 16000.0),
        (8000.0, 11025.0),
        (48000.0, 22050.5),
        (16000.0, 44100.0),
    ):
        for length in draw.integers(1, 3000, 20).tolist():
            assert len(resampled(tone(length=length), rate, wanted)) == resampled_length(length, rate, wanted)


def test_silence_behind_a_sound_does_not_change_how_it_is_resampled() -> None:
    sound = tone(300.0, length=5000)
    longer = resampled(np.concatenate([sound, np.zeros(500, np.float32)]), 16000.0, 11025.0)
    short = resampled(sound, 16000.0, 11025.0)
    np.testing.assert_allclose(short, longer[: len(short)], atol=1e-6)


# Channels


def test_channels_are_mixed_chosen_or_refused(tmp_path: Path) -> None:
    left, right = tone(300.0), tone(500.0, level=0.25)
    write(tmp_path / "a.wav", np.stack([left, right], axis=1))
    for option, wanted in (
        (None, (left + right) / 2), ("mix", (left + right) / 2), ("left", left), ("right", right), (1, right),
    ):  # fmt: skip
        found = decode(tmp_path / "a.wav", channel=option)
        assert np.abs(found / 32768 - wanted).max() < 2 / 32768
    manifest(tmp_path, ["a.wav"])
    assert faults(tmp_path, **BLOCK, decoders=[{"uses": "sound", "channel": 2}]) == [
        "all.csv:2:1  a.wav: has 2 channels, and `channel: 2` is asked for."
        " Leave `channel` out of the options of the decoder 'sound', or name one that is there."
    ]


def test_more_than_two_channels_are_mixed_only_when_that_is_asked_for(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", np.stack([tone(100.0 * number) for number in range(1, 9)], axis=1))
    manifest(tmp_path, ["a.wav"])
    told = faults(tmp_path, inspect, **BLOCK)
    assert told == faults(tmp_path, **BLOCK)
    assert told[0].startswith("all.csv:2:1  a.wav: has 8 channels, and only one or two are mixed without being asked")
    assert np.abs(decode(tmp_path / "a.wav", channel=7) / 32768 - tone(800.0)).max() < 2 / 32768
    assert len(decode(tmp_path / "a.wav", channel="mix")) == 8000


def test_channels_that_cancel_each_other_are_told(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", np.stack([tone(), -tone()], axis=1))
    write(tmp_path / "b.wav", np.stack([tone(), -tone() + 0.01 * tone(300.0)], axis=1))
    write(tmp_path / "c.wav", np.stack([tone(), 0 * tone()], axis=1))
    manifest(tmp_path, ["a.wav"])
    assert faults(tmp_path, **BLOCK) == [
        "all.csv:2:1  a.wav: is silent when it is mixed: its channels cancel each other."
        " Choose one with `decoders: [{uses: sound, channel: left}]`."
    ]
    assert np.abs(decode(tmp_path / "a.wav", channel="right") / 32768 + tone()).max() < 2 / 32768
    manifest(tmp_path, ["b.wav", "c.wav"])
    assert read(tmp_path, **BLOCK).notes == (
        "mix is far quieter than its channels, which nearly cancel each other (1 in b.wav)",
    )


# What cannot be used


def broken_files(folder: Path) -> dict[str, str]:
    """Files that are no usable sound, and what should be said of each."""
    whole = tone(seconds=2)
    for name in ("half.wav", "half.flac", "half.mp3", "half.opus", "half.ogg", "half.aiff"):
        write(folder / name, whole + 0.1 * np.random.default_rng(0).normal(size=len(whole)).astype(np.float32))
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) * 2 // 3])
    write(folder / "liar.flac", whole)
    header = bytearray((folder / "liar.flac").read_bytes())
    header[22:26] = struct.pack(">I", 1 << 31)  # the low bits of the number of samples
    (folder / "liar.flac").write_bytes(header)
    (folder / "text.wav").write_text("this is no sound\n" * 10)
    (folder / "empty.wav").write_bytes(b"")
    write(folder / "none.wav", tone(length=0))
    write(folder / "frame.wav", tone(length=399))
    write(folder / "nan.wav", np.where(np.arange(8000) == 7, np.nan, tone()), subtype="FLOAT")
    write(folder / "inf.wav", np.where(np.arange(8000) > 7998, np.inf, tone()), subtype="FLOAT")
    write(folder / "silent.wav", np.zeros(8000, np.float32))
    write(folder / "clipped.wav", np.sign(tone()))
    return {
        "half.wav": "is not whole: its header tells 64,000 bytes of samples and it holds",
        "half.aiff": "is not whole: its header tells 64,008 bytes of samples and it holds",
        "half.flac": "flac decoder lost sync",
        "half.mp3": "is not whole: its header tells 32,000 samples and it holds",
        "half.opus": "is not whole: its stream has no last page",
        "half.ogg": "",
        "liar.flac": "is no sound that can be decoded, or is not whole",
        "text.wav": "is no sound that can be decoded, or is not whole (Format not recognised)",
        "empty.wav": "is empty (0 bytes)",
        "none.wav": "holds no samples",
        "frame.wav": "has 399 samples at 16000 Hz, and an analysis frame of 0.025 s needs 400",
        "nan.wav": "1 sample is not finite (the first is nan at sample 7)",
        "inf.wav": "1 sample is not finite (the first is inf at sample 7999)",
        "silent.wav": "is silent: all samples are 0",
        "clipped.wav": "is clipped: 100% of its samples are at full scale",
    }


def test_all_that_cannot_be_used_is_told_at_once_with_its_row(tmp_path: Path) -> None:
    wanted = broken_files(tmp_path)
    write(tmp_path / "fine.wav", tone(length=400))
    manifest(tmp_path, ["fine.wav", *wanted])
    told = faults(tmp_path, **BLOCK)
    assert len(told) == len(wanted)
    for line, (said, (name, text)) in enumerate(zip(told, wanted.items(), strict=True), start=3):
        assert said.startswith(f"all.csv:{line}:1  {name}: "), said
        assert text in said
    assert read_only_fine(tmp_path)


def test_files_that_are_not_there_are_told_with_those_that_cannot_be_decoded(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    write(tmp_path / "silent.wav", 0 * tone())
    write(tmp_path / "fine.wav", tone())
    manifest(tmp_path, ["text.wav", "gone.wav", "silent.wav", "fine.wav"])
    told = faults(tmp_path, **BLOCK)
    assert [one.split(": ")[0] for one in told] == [
        "all.csv:3:1  gone.wav", "all.csv:2:1  text.wav", "all.csv:4:1  silent.wav",
    ]  # fmt: skip
    spec = DataSpec.parse(BLOCK)
    checked = [one.text for one in check_data(spec, places(tmp_path))]
    assert [one.replace(f"{tmp_path}/", "") for one in checked] == told
    by_headers = faults(tmp_path, lambda folder, **block: source_digest(spec, places(folder)), **BLOCK)
    assert by_headers == faults(tmp_path, inspect, **BLOCK) == told[:2]
    assert len(check_data(spec, places(tmp_path), read_values=False)) == 2


def test_files_that_may_not_be_read_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.wav", tone())
    manifest(tmp_path, ["a.wav"])

    def refuse(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("tswork.data.digests.file_digest", refuse)
    assert faults(tmp_path, **BLOCK) == ["a.wav  cannot be read: Permission denied"]


def read_only_fine(folder: Path) -> bool:
    """A clip of exactly one frame is long enough."""
    manifest(folder, ["fine.wav"])
    return read(folder, **BLOCK).lengths.tolist() == [400]


def test_headers_alone_tell_what_they_can(tmp_path: Path) -> None:
    wanted = broken_files(tmp_path)
    manifest(tmp_path, list(wanted))
    told = faults(tmp_path, inspect, **BLOCK)
    seen = {one.split("  ")[1].split(":")[0] for one in told}
    assert {"half.wav", "half.aiff", "half.opus", "text.wav", "empty.wav", "none.wav", "frame.wav"} <= seen
    assert not {"nan.wav", "silent.wav", "clipped.wav"} & seen


def test_a_file_that_breaks_off_can_be_kept(tmp_path: Path) -> None:
    broken_files(tmp_path)
    for name in ("half.wav", "half.mp3", "half.opus"):
        assert 400 < len(decode(tmp_path / name, cut_off="keep")) < 32000


def test_a_file_written_to_a_pipe_does_not_know_its_length(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", tone())
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"
    (tmp_path / "a.wav").write_bytes(content)
    assert len(decode(tmp_path / "a.wav")) == 8000


def test_how_short_a_recording_may_be_is_an_option(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", tone(length=150, rate=8000), 8000)
    assert len(decode(tmp_path / "a.wav", shortest=0.01)) == 150
    manifest(tmp_path, ["a.wav"])
    assert "has 300 samples at 16000 Hz" in faults(tmp_path, inspect, **BLOCK, rate=16000.0)[0]


def test_long_recordings_are_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.wav", np.stack([tone(), tone(300.0)], axis=1))
    whole = decode(tmp_path / "a.wav")
    monkeypatch.setattr("tswork.data.readers.decoders.sound_files.BLOCK", 999)
    np.testing.assert_array_equal(decode(tmp_path / "a.wav"), whole)
    assert soundfile.info(tmp_path / "a.wav").frames == len(whole)
