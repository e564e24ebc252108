"""Front ends: exact frames, padding without effect, and every encoder behind one keeps the interface."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from tests.encoders.blocks import OWN, TSAI
from tests.reference.log_mel import log_mel as plain_log_mel
from tswork.config import configure, keyed
from tswork.data.collection import DataInfo
from tswork.encoders.base import Encoder, Frames
from tswork.encoders.checking import check_encoder
from tswork.encoders.front_ends.base import FrontEnd
from tswork.encoders.front_ends.mel import MelConfig, MelEnergies, transform_size, triangles
from tswork.errors import ModelUnfit
from tswork.methods.exporting import export_encoder
from tswork.pipeline.schema import pipeline_schema
from tswork.random import seeded
from tswork.registry import Kind

SMALL: dict[str, Any] = {"uses": "log_mel", "mels": 4, "unit": "samples", "window": 16.0, "hop": 4.0, "low": 0.0}
RATE = 16000.0
SOUND = DataInfo(("sound",), max_length=16000, rate=RATE)
EACH = ["log_mel", "waveform"]
INVARIANT = {name: block for name, block in {**OWN, "TCN": TSAI["TCN"]}.items() if name != "time_frequency"}


def front_end(block: str | dict[str, Any], info: DataInfo = SOUND) -> FrontEnd:
    built: FrontEnd = configure("front_end", block).build(info)
    return built


def speech(*lengths: int, scale: float = 0.1) -> tuple[Tensor, Tensor]:
    """Noise of these lengths in one batch, zeros behind each."""
    with seeded(0):
        x = scale * torch.randn(len(lengths), max(lengths), 1)
    known = torch.tensor(lengths)
    return torch.where((torch.arange(x.shape[1]) < known[:, None])[..., None], x, 0.0), known


def padded(x: Tensor) -> tuple[Tensor, int, int]:
    """A clip between the zeros that centre its frames, and window and hop at 16 kHz."""
    hop, window = 160, 400
    size = transform_size(window)
    before = (size - hop) // 2
    frames = -(-len(x) // hop)
    behind = (frames - 1) * hop + size - before - len(x)
    return torch.nn.functional.pad(x, (before, behind)), window, hop


# What a frame is


def test_log_mel_is_what_plain_sums_over_samples_give() -> None:
    x, _ = speech(50, scale=1.0)
    options = {"mels": 3, "window": 12.0, "hop": 5.0, "unit": "samples", "low": 100.0, "normalise": "none"}
    found = front_end({"uses": "log_mel", **options})(x).values[0]
    expected = plain_log_mel(
        x[0, :, 0].numpy().astype(np.float64), rate=RATE, window=12, hop=5, mels=3, low=100.0, high=8000.0, floor=1e-6
    )
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-5)


def test_log_mel_is_what_torchaudio_gives() -> None:
    transforms = pytest.importorskip("torchaudio.transforms")
    x, _ = speech(3001)
    stretch, window, hop = padded(x[0, :, 0])
    energies = transforms.MelSpectrogram(
        16000, n_fft=512, win_length=window, hop_length=hop, n_mels=80, f_min=20.0, center=False
    )(stretch)
    found = front_end({"uses": "log_mel", "normalise": "none"})(x).values[0]
    torch.testing.assert_close(found, energies.clamp(min=1e-6).log().T, rtol=1e-4, atol=1e-4)


def test_log_mel_is_what_librosa_gives() -> None:
    feature = pytest.importorskip("librosa.feature")
    x, _ = speech(3001)
    stretch, window, hop = padded(x[0, :, 0])
    energies = feature.melspectrogram(
        y=stretch.numpy(), sr=16000, n_fft=512, win_length=window, hop_length=hop, n_mels=80, fmin=20.0, center=False,
        htk=True, norm=None,
    )  # fmt: skip
    found = front_end({"uses": "log_mel", "normalise": "none"})(x).values[0]
    np.testing.assert_allclose(found.numpy(), np.log(np.maximum(energies, 1e-6)).T, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("samples", "frames"), [(1, 1), (159, 1), (160, 1), (161, 2), (400, 3), (16000, 100), (16001, 101)]
)
def test_n_samples_give_n_over_hop_frames_rounded_up(samples: int, frames: int) -> None:
    found = front_end("log_mel")(torch.randn(2, samples, 1), torch.tensor([samples, 1]))
    assert found.values.shape == (2, frames, 80)
    assert found.lengths.tolist() == [frames, 1]


@pytest.mark.parametrize(("rate", "hop"), [(8000.0, 80), (11025.0, 110), (22050.0, 220), (44100.0, 441)])
def test_seconds_are_rounded_to_samples_of_any_rate(rate: float, hop: int) -> None:
    front = front_end("log_mel", DataInfo(("sound",), max_length=hop * 7 + 1, rate=rate))
    behind = front.info(DataInfo(("sound",), max_length=hop * 7 + 1, rate=rate))
    assert front.stride == hop
    assert behind.max_length == 8
    assert behind.rate == rate / hop
    assert behind.channels == tuple(f"mel_{band:02d}" for band in range(80))


def test_a_click_is_loudest_in_the_frame_whose_own_samples_have_it() -> None:
    x = torch.zeros(3, 1600, 1)
    x[0, 480], x[1, 560], x[2, 639] = 1.0, 1.0, 1.0
    levels = front_end({"uses": "log_mel", "normalise": "none"})(x).values.mean(dim=2)
    assert levels.argmax(dim=1).tolist() == [3, 3, 3]


def test_a_tone_is_loudest_in_the_band_around_it() -> None:
    time = torch.arange(16000) / RATE
    tones = torch.stack([torch.sin(2 * math.pi * hertz * time) for hertz in (200.0, 1000.0, 5000.0)])[..., None]
    found = front_end({"uses": "log_mel", "normalise": "none"})(tones).values[:, 50].argmax(dim=1)
    weights = triangles(MelConfig(), RATE, 512)
    expected = [int(weights[round(hertz * 512 / RATE)].argmax()) for hertz in (200.0, 1000.0, 5000.0)]
    assert found.tolist() == expected


def test_bands_of_several_channels_stand_side_by_side() -> None:
    x = torch.randn(2, 64, 2)
    info = DataInfo(("left", "right"), rate=RATE)
    block = {**SMALL, "normalise": "none"}
    both = front_end(block, info)
    left, right = (front_end(block)(x[..., index : index + 1]).values for index in (0, 1))
    torch.testing.assert_close(both(x).values, torch.cat([left, right], dim=2))
    assert both.channels[3:5] == ("left_mel_03", "right_mel_00")


# Padding, missing and hidden samples


@pytest.mark.parametrize("block", [*EACH, {"uses": "log_mel", "top_db": 10.0}], ids=[*EACH, "top_db"])
def test_a_clip_alone_gives_what_it_gives_beside_a_longer_and_louder_one(block: Any) -> None:
    x, lengths = speech(4000, 1237, 1, 700)
    x[0] *= 50
    front = front_end(block)
    batch = front(x, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone = front(x[row : row + 1, :length])
        count = int(batch.lengths[row])
        assert count == int(alone.lengths[0]) == alone.values.shape[1]
        torch.testing.assert_close(batch.values[row, :count], alone.values[0], rtol=1e-5, atol=1e-5)
        assert not batch.values[row, count:].any()


@pytest.mark.parametrize("block", [*EACH, {"uses": "log_mel", "top_db": 10.0}], ids=[*EACH, "top_db"])
def test_what_stands_in_padding_changes_nothing(block: Any) -> None:
    x, lengths = speech(4000, 1237)
    loud = torch.where((torch.arange(4000) < lengths[:, None])[..., None], x, 1e3)
    front = front_end(block)
    assert torch.equal(front(x, lengths).values, front(loud, lengths).values)


@pytest.mark.parametrize(("name", "offset"), [("log_mel", 0.0), ("waveform", 0.2)])
def test_each_clip_has_mean_0_and_variance_1_over_its_own_frames(name: str, offset: float) -> None:
    x, lengths = speech(8000, 3210, scale=0.3)
    values, known = front_end(name)(x + offset, lengths)
    for row, length in enumerate(known.tolist()):
        own = values[row, :length].double()
        assert own.mean(dim=0).abs().max() < 1e-6
        assert (own.var(dim=0, correction=0) - 1).abs().max() < 1e-4
        assert not values[row, length:].any()


def test_level_keeps_the_shape_of_the_spectrum() -> None:
    x, lengths = speech(4000, 1600)
    raw = front_end({"uses": "log_mel", "normalise": "none"})(x, lengths).values[1, :10]
    found = front_end({"uses": "log_mel", "normalise": "level"})(x, lengths).values[1, :10]
    torch.testing.assert_close(found, (raw - raw.mean()) / raw.std(correction=0), rtol=1e-3, atol=1e-3)


def test_what_is_far_below_the_loudest_band_of_a_clip_counts_as_much() -> None:
    power_to_db = pytest.importorskip("librosa").power_to_db
    x, lengths = speech(4000, 1600)
    x[1, 800:] *= 1e-4
    raw = front_end({"uses": "log_mel", "normalise": "none", "floor": 1e-20})(x, lengths).values.double()
    found = front_end({"uses": "log_mel", "normalise": "none", "floor": 1e-20, "top_db": 35.0})(
        x, lengths
    ).values.double()
    for row, frames in enumerate((25, 10)):
        expected = power_to_db(raw[row, :frames].exp().numpy(), amin=1e-20, top_db=35.0)
        np.testing.assert_allclose(10 * torch.log10(found[row, :frames].exp()).numpy(), expected, atol=1e-3)
    assert (found[1, :10] > raw[1, :10] + 1).any()
    assert not found[1, 10:].any()


def test_top_db_makes_a_clip_and_the_same_clip_in_faint_noise_alike() -> None:
    x, _ = speech(4000)
    x[0, 2000:] = 0
    with seeded(1):
        noisy = x + 1e-5 * torch.randn_like(x)
    options = {"uses": "log_mel", "normalise": "level", "floor": 1e-12}
    apart, alike = (front_end({**options, "top_db": top}) for top in (None, 30.0))
    assert (apart(x).values - apart(noisy).values).abs().max() > 0.5
    assert (alike(x).values - alike(noisy).values).abs().max() < 0.05


def test_keys_of_front_ends_without_top_db_are_what_they_were() -> None:
    kinds: list[Kind] = ["front_end", "preparation"]
    for kind in kinds:
        assert "top_db" not in keyed(configure(kind, "log_mel"))
        assert keyed(configure(kind, {"uses": "log_mel", "top_db": 40}))["top_db"] == 40


@pytest.mark.parametrize("name", EACH)
def test_silence_and_single_samples_stay_finite(name: str) -> None:
    for x in (torch.zeros(2, 1000, 1), torch.ones(2, 1, 1)):
        assert not front_end(name)(x).values.any()
    assert not front_end({"uses": "log_mel", "top_db": 40.0})(torch.zeros(2, 1000, 1)).values.any()


def test_missing_samples_are_silence_and_a_frame_of_none_but_such_is_missing() -> None:
    front = front_end({**SMALL, "normalise": "none"})
    x = torch.randn(1, 16, 1)
    holed = x.clone()
    holed[0, 4:8], holed[0, 9] = torch.nan, torch.nan
    found = front(holed).values[0]
    silent = front(holed.nan_to_num(0.0)).values[0]
    assert found.isnan().all(dim=1).tolist() == [False, True, False, False]
    assert torch.equal(found[[0, 2, 3]], silent[[0, 2, 3]])


@pytest.mark.parametrize("block", ["none", "waveform", SMALL], ids=["none", "waveform", "log_mel"])
def test_a_hidden_sample_is_a_missing_one(block: Any) -> None:
    x, keep = torch.randn(2, 40, 1), torch.rand(2, 40) < 0.3
    front = front_end(block)
    missing = front(torch.where(keep[..., None], x, torch.nan))
    torch.testing.assert_close(front(x, keep=keep).values, missing.values, equal_nan=True, rtol=0, atol=0)


# Numbers


def test_energies_have_the_gradient_of_their_differences() -> None:
    energies = MelEnergies(MelConfig(mels=3, unit="samples", window=6.0, hop=4.0, low=0.0), RATE)
    energies.double()
    x = torch.randn(2, 11, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(energies, x)


@pytest.mark.parametrize("name", EACH)
def test_autocast_leaves_front_ends_in_full_precision(name: str) -> None:
    x, lengths = speech(1600, 900)
    front = front_end(name)
    exact = front(x, lengths).values
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = front(x, lengths).values
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, exact)
    half = front(x.to(torch.bfloat16), lengths).values
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, exact, rtol=0.1, atol=0.1)


# Behind a front end


@pytest.mark.parametrize("block", {**OWN, **TSAI}.values(), ids={**OWN, **TSAI}.keys())
def test_every_encoder_behind_log_mel_keeps_the_interface(block: dict[str, Any]) -> None:
    check_encoder(lambda info: configure("encoder", {**block, "front_end": SMALL}).build(info), steps=96, rate=RATE)


def test_an_encoder_behind_the_waveform_front_end_keeps_the_interface() -> None:
    block = {"uses": "transformer", "dim": 16, "layers": 1, "patch": 4, "front_end": "waveform"}
    check_encoder(lambda info: configure("encoder", block).build(info))


def sound_encoder(block: dict[str, Any], front: Any = "log_mel", length: int = 4000) -> Encoder:
    with seeded(0):
        encoder: Encoder = configure("encoder", {**block, "front_end": front}).build(
            DataInfo(("sound",), max_length=length, rate=RATE)
        )
    return encoder.eval()


@pytest.mark.parametrize("block", INVARIANT.values(), ids=INVARIANT.keys())
def test_a_clip_alone_gives_the_frames_it_gives_in_a_padded_batch(block: dict[str, Any]) -> None:
    if block["uses"] == "trend_seasonal":
        block = {**block, "length": 25}
    encoder, (x, lengths) = sound_encoder(block), speech(4000, 1237, 1)
    assert encoder.padding_invariant
    with torch.no_grad():
        batch: Frames = encoder(x, lengths)
        for row, length in enumerate(lengths.tolist()):
            alone = encoder(x[row : row + 1, :length])
            count = int(batch.lengths[row])
            assert count == int(alone.lengths[0])
            torch.testing.assert_close(batch.values[row, :count], alone.values[0], rtol=1e-5, atol=1e-5)


def test_stride_and_longest_input_count_samples() -> None:
    patches = sound_encoder(OWN["transformer of patches"])
    assert (patches.stride, patches.max_length, patches.dim) == (640, None, 16)
    assert patches(torch.randn(1, 4000, 1)).lengths.tolist() == [math.ceil(4000 / 640)]
    positioned = sound_encoder(TSAI["TSTPlus"])
    assert (positioned.stride, positioned.max_length) == (160, 4000)
    with pytest.raises(ModelUnfit, match="takes at most 25 steps, and 26 were given"):
        positioned(torch.zeros(1, 4001, 1))


def test_a_gradient_reaches_encoder_and_samples() -> None:
    encoder, (x, lengths) = sound_encoder(OWN["dilated_conv"]).train(), speech(1600, 700)
    encoder(x.requires_grad_(), lengths).values.square().mean().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert x.grad[1, :700].any()
    assert not x.grad[1, 700:].any()


@pytest.mark.parametrize("name", ["dilated_conv", "transformer of patches", "relative"])
def test_a_front_end_is_exported_with_its_encoder(name: str) -> None:
    encoder = sound_encoder(OWN[name], SMALL)
    program = export_encoder(encoder, channels=1).module()
    x = torch.randn(2, 333, 1)
    torch.testing.assert_close(program(x), encoder(x).values, rtol=1e-4, atol=1e-4)


def test_an_encoder_that_cannot_be_exported_says_so_behind_a_front_end_too() -> None:
    with pytest.raises(ModelUnfit, match="computes step after step"):
        export_encoder(sound_encoder(OWN["lstm"]), channels=1)


def test_weights_of_an_encoder_hold_nothing_of_its_front_end() -> None:
    assert all(name.startswith("inner.") for name in sound_encoder(OWN["dilated_conv"]).state_dict())


# Options


def test_keys_of_encoders_without_a_front_end_are_what_they_were() -> None:
    assert "front_end" not in keyed(configure("encoder", "dilated_conv"))
    assert "front_end" not in keyed(configure("encoder", {"uses": "relative", "encoder": "recurrent"}))["encoder"]
    assert keyed(configure("encoder", {"uses": "recurrent", "front_end": "none"})) == keyed(
        configure("encoder", "recurrent")
    )
    chosen = keyed(configure("encoder", {"uses": "recurrent", "front_end": {"uses": "log_mel", "mels": 40}}))
    assert (chosen["front_end"]["uses"], chosen["front_end"]["mels"], chosen["front_end"]["version"]) == (
        "log_mel",
        40,
        1,
    )


def test_an_encoder_within_another_may_have_a_front_end_of_its_own() -> None:
    block = {"uses": "relative", "by": "mean", "encoder": {**OWN["dilated_conv"], "front_end": SMALL}}
    encoder: Encoder = configure("encoder", block).build(SOUND)
    assert (encoder.stride, encoder.dim) == (4, 16)


def test_the_schema_of_pipelines_offers_front_ends() -> None:
    definitions = pipeline_schema()["$defs"]
    assert definitions["encoder.recurrent"]["properties"]["front_end"] == {"$ref": "#/$defs/front_end"}
    assert {"enum": ["log_mel", "none", "waveform"]} in definitions["front_end"]["anyOf"]


@pytest.mark.parametrize(
    ("options", "rate", "said"),
    [
        ({}, None, "needs to know how many samples a second there are.* Give `rate:` in the data block."),
        ({"high": 7000.0}, 8000.0, r"`high` \(7000 Hz\) is above half of the 8000 samples a second"),
        ({"low": 5000.0}, 8000.0, r"`low` \(5000 Hz\) is not below 4000 Hz"),
        ({}, 40.0, "a hop of 0.01 s is less than one of 40 samples a second"),
        ({"mels": 300}, 16000.0, r"of 300 bands are narrower than what a window of 400 samples tells apart"),
    ],
)
def test_a_rate_that_does_not_suit_is_refused(options: dict[str, Any], rate: float | None, said: str) -> None:
    with pytest.raises(ModelUnfit, match=said):
        configure("encoder", {"uses": "recurrent", "front_end": {"uses": "log_mel", **options}}).build(
            DataInfo(("sound",), rate=rate)
        )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"unit": "samples"}, "should be whole numbers of samples"),
        ({"hop": 0.03}, "so samples would be left out"),
        ({"low": 300.0, "high": 200.0}, r"should be below `high` \(200 Hz\)"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        MelConfig(**options)


def test_padding_behind_every_clip_is_left_out_of_the_transform() -> None:
    energies = MelEnergies(MelConfig(mels=8), 8000.0)
    samples = torch.randn(4, 400_000, generator=torch.Generator().manual_seed(0))
    found = energies(samples, torch.full((4,), 3))
    torch.testing.assert_close(found[:, :3], energies(samples)[:, :3])
    assert not found[:, -1].any()
