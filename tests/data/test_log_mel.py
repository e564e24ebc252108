"""The preparation `log_mel`: a collection of sound as one of frames, those of the front end."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from tswork.config import configure
from tswork.data.batches import Batches
from tswork.data.collection import Collection, DataInfo, Part
from tswork.data.prepare import log_mel as module
from tswork.data.prepare.base import Preparation
from tswork.data.samplers import Uniform
from tswork.encoders.base import Encoder
from tswork.errors import DataInvalid
from tswork.random import seeded

LENGTHS = (900, 3, 401, 900, 1600)


def preparation(**options: object) -> Preparation[module.LogMelFramesConfig]:
    step: Preparation[module.LogMelFramesConfig] = configure(
        "preparation", {"uses": "log_mel", "mels": 12, **options}
    ).build()
    return step


def sound(*, rate: float | None = 8000.0) -> Collection:
    random = np.random.default_rng(0)
    clips = [(3000 * random.standard_normal((length, 1))).astype(np.int16) for length in LENGTHS]
    table = pd.DataFrame({"id": range(5), "speaker": list("aabbc"), "digit": [0, 1, 0, 1, 1]})
    return Collection.from_sequences(
        clips, table=table, channels=["sound"], rate=rate, label="digit", groups=("speaker",)
    )


def test_sound_becomes_frames_of_named_bands() -> None:
    given = sound()
    prepared = preparation().apply(given)
    assert prepared.lengths.tolist() == [12, 1, 6, 12, 20]
    assert prepared.values.dtype == torch.float32
    assert prepared.channels == tuple(f"mel_{band:02d}" for band in range(12))
    assert (prepared.rate, prepared.label, prepared.groups, prepared.targets) == (100.0, "digit", ("speaker",), ())
    assert prepared.table is given.table


@pytest.mark.parametrize("portion", [1, 1000, 1 << 22])
def test_frames_are_those_of_each_clip_alone_in_portions_of_any_size(
    portion: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PORTION", portion)
    given = sound()
    prepared = preparation().apply(given)
    front = configure("front_end", {"uses": "log_mel", "mels": 12}).build(DataInfo(("sound",), rate=8000.0))
    for index in range(len(given)):
        clip = given.sequence(index).float()[None] / 32768
        torch.testing.assert_close(prepared.sequence(index), front(clip).values[0], rtol=1e-5, atol=1e-5)


def test_an_encoder_reads_from_frames_what_it_reads_behind_the_front_end() -> None:
    given = sound()
    prepared = preparation(normalise="none").apply(given)
    options = {"uses": "transformer", "dim": 16, "layers": 1}
    batches = [Batches(Part.whole(one), sampler=Uniform(5, batch_size=5, seed=0)).at(0, 0) for one in (given, prepared)]
    found = []
    for batch, block, collection in (
        (batches[0], {**options, "front_end": {"uses": "log_mel", "mels": 12, "normalise": "none"}}, given),
        (batches[1], options, prepared),
    ):
        with seeded(0), torch.no_grad():
            encoder: Encoder = configure("encoder", block).build(DataInfo.of(Part.whole(collection))).eval()
            found.append(encoder(batch.x, batch.lengths))
    assert torch.equal(found[0].lengths, found[1].lengths)
    for row, length in enumerate(found[0].lengths.tolist()):
        torch.testing.assert_close(found[0].values[row, :length], found[1].values[row, :length], rtol=1e-4, atol=1e-4)


def test_time_stamps_are_those_of_a_frames_first_sample() -> None:
    given = sound().replaced(times=torch.arange(sum(LENGTHS)) * 125_000)
    prepared = preparation().apply(given)
    assert prepared.times is not None
    first = prepared.times[prepared.offsets[2] : prepared.offsets[3]]
    assert first.tolist() == [(903 + 80 * frame) * 125_000 for frame in range(6)]


def test_missing_stretches_of_a_recording_are_missing_frames() -> None:
    values = torch.randn(800, 1)
    values[160:400] = torch.nan
    given = Collection.from_sequences([values.numpy()], rate=8000.0)
    missing = preparation().apply(given).values.isnan()
    assert torch.equal(missing.all(dim=1), missing.any(dim=1))
    assert missing[:, 0].nonzero().flatten().tolist() == [2, 3, 4]


def test_data_without_a_rate_or_with_one_that_does_not_suit_are_refused() -> None:
    with pytest.raises(DataInvalid, match="'log_mel' needs to know how many samples a second there are"):
        preparation().apply(sound(rate=None))
    with pytest.raises(DataInvalid, match=r"`high` \(6000 Hz\) is above half of the 8000 samples a second"):
        preparation(high=6000.0).apply(sound())
