"""`tswork doctor` really decodes a sound in every format, and says which do not work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tswork.cli.sound_check import FORMATS, decode_sounds
from tswork.data.faults import fault
from tswork.data.readers.decoders.base import Recording
from tswork.data.readers.decoders.sound import Sound
from tswork.data.spec import DataOptions


def test_all_formats_work_here() -> None:
    assert decode_sounds() == f"{', '.join(FORMATS)} decoded with soundfile and brought to 16000 Hz with soxr"


def test_formats_that_do_not_work_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = Sound.read

    def read(self: Sound, path: Path, options: DataOptions) -> Recording:
        if path.suffix == ".mp3":
            raise fault(path, "is no sound that can be decoded")
        found = usual(self, path, options)
        return found if path.suffix != ".opus" else Recording(np.zeros_like(found.values), found.channels, found.rate)

    monkeypatch.setattr(Sound, "read", read)
    with pytest.raises(RuntimeError) as told:
        decode_sounds()
    text = str(told.value)
    assert "Ogg Opus (RuntimeError: the sound came back different)" in text
    assert "MP3 (DataInvalid: " in text
    assert text.endswith("works: WAV, FLAC, Ogg Vorbis, AIFF")
