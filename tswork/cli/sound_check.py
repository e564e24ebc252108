"""Part of `tswork doctor`: a generated sound in every format, really written and decoded."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

FORMATS = {
    "WAV": ("WAV", "PCM_16", ".wav"),
    "FLAC": ("FLAC", "PCM_16", ".flac"),
    "Ogg Opus": ("OGG", "OPUS", ".opus"),
    "Ogg Vorbis": ("OGG", "VORBIS", ".ogg"),
    "MP3": ("MP3", "MPEG_LAYER_III", ".mp3"),
    "AIFF": ("AIFF", "PCM_16", ".aiff"),
}
"""Name: format and subtype as soundfile calls them, and the suffix."""
FILE_RATE = 48_000
RATE = 16_000.0
LOUDEST_ERROR = 0.05
"""Lossy formats change a tone by less than this."""


def decode_sounds() -> str:
    """Which formats come back as they were written, brought to another rate. Raises `RuntimeError` when some do not."""
    works: list[str] = []
    fails: list[str] = []
    with TemporaryDirectory() as folder:
        for name in FORMATS:
            try:
                _decode(name, Path(folder))
                works.append(name)
            except Exception as error:
                fails.append(f"{name} ({type(error).__name__}: {error})")
    if fails:
        raise RuntimeError(f"does not work: {'; '.join(fails)}; works: {', '.join(works) or 'nothing'}")
    return f"{', '.join(works)} decoded with soundfile and brought to {RATE:g} Hz with soxr"


def _decode(name: str, folder: Path) -> None:
    import numpy as np
    import soundfile

    from tswork.data.readers.decoders.sound import Sound, SoundConfig
    from tswork.data.spec import DataOptions

    form, subtype, suffix = FORMATS[name]
    path = folder / f"doctor{suffix}"
    time = np.arange(FILE_RATE // 2)
    tone = 0.3 * np.sin(2 * np.pi * 440 / FILE_RATE * time)
    soundfile.write(path, tone, FILE_RATE, format=form, subtype=subtype)
    found = Sound(SoundConfig()).read(path, DataOptions(rate=RATE)).values[:, 0] / 32768
    wanted = 0.3 * np.sin(2 * np.pi * 440 / RATE * np.arange(len(found)))
    inside = slice(len(found) // 4, -len(found) // 4)
    if len(found) != RATE / 2 or np.abs(found - wanted)[inside].max() > LOUDEST_ERROR:
        raise RuntimeError("the sound came back different")
