"""Sets of short tones in the layouts that others publish theirs in."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.data.sounds import tone, write

RATE = 8000
SECONDS = 0.1


def clips(folder: Path, *names: str, seconds: float = SECONDS) -> None:
    """Recordings of different content."""
    for number, name in enumerate(names):
        write(folder / name, tone(300.0 + 37 * number, rate=RATE, seconds=seconds), RATE)


def text(path: Path, *lines: str) -> Path:
    """A text file of some lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def json_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """JSON lines, gzipped where the name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def kaldi(folder: Path, *, segments: bool = False) -> Path:
    """Two recordings of two speakers, whole or cut into three utterances."""
    clips(folder / "audio", "r1.wav", "r2.wav", seconds=1.0)
    text(folder / "wav.scp", "rec1 audio/r1.wav", f"rec2\t{folder}/audio/r2.wav")
    names = ["u1", "u2", "u3"] if segments else ["rec1", "rec2"]
    if segments:
        text(folder / "segments", "u1 rec1 0 0.5", "u2 rec1 0.5 -1", "u3 rec2 0.25 0.75")
    speakers = ["a", "a", "b"] if segments else ["a", "b"]
    dialects = ["lig", "lig", "ven"] if segments else ["lig", "ven"]
    text(folder / "utt2spk", *(f"{name} {one}" for name, one in zip(names, speakers, strict=True)))
    text(folder / "utt2dial", *(f"{name} {one}" for name, one in zip(names, dialects, strict=True)))
    text(folder / "text", *(f"{name} la casa {number}" for number, name in enumerate(names)))
    text(folder / "spk2gender", "a f", "b m")
    return folder


def lhotse(folder: Path, name: str = "recordings.jsonl.gz", *, prefix: str = "") -> Path:
    """Two recordings with three supervisions and fields of their own."""
    clips(folder / "audio", f"{prefix}r1.wav", f"{prefix}r2.wav", seconds=1.0)
    recordings = [
        {
            "id": f"{prefix}r{number}", "sampling_rate": RATE, "num_samples": RATE, "duration": 1.0,
            "sources": [{"type": "file", "channels": [0], "source": f"audio/{prefix}r{number}.wav"}],
        }
        for number in (1, 2)
    ]  # fmt: skip
    pieces = [("s1", "r1", 0.0, 0.5, "lig"), ("s2", "r1", 0.5, 0.5, "lig"), ("s3", "r2", 0.25, 0.5, "ven")]
    supervisions = [
        {
            "id": prefix + one, "recording_id": prefix + recording, "start": start, "duration": duration, "channel": 0,
            "text": "la casa", "language": "Italian", "speaker": f"{prefix}p_{recording}", "gender": "F",
            "custom": {"region": region, "notes": ["clean"]},
        }
        for one, recording, start, duration, region in pieces
    ]  # fmt: skip
    json_lines(folder / name, recordings)
    json_lines(folder / name.replace("recordings", "supervisions"), supervisions)
    return folder
