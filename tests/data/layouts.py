"""Sets of short tones in the layouts that others publish theirs in."""

from __future__ import annotations

import csv
import gzip
import json
import re
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


def cuts(folder: Path, name: str = "cuts.jsonl.gz", *, prefix: str = "") -> Path:
    """Three cuts of two recordings: two with one supervision, one with two, and fields of their own."""
    clips(folder / "audio", f"{prefix}r1.wav", f"{prefix}r2.wav", seconds=1.0)

    def said(number: int, start: float, duration: float, speaker: str) -> dict[str, Any]:
        return {
            "id": f"{prefix}s{number}", "recording_id": "?", "start": start, "duration": duration, "channel": 0,
            "text": f"la casa {number}", "language": "Italian", "speaker": prefix + speaker, "custom": {"item": number},
        }  # fmt: skip

    def cut(
        number: int, recording: str, start: float, duration: float, *supervisions: dict[str, Any]
    ) -> dict[str, Any]:
        whole = {
            "id": recording, "sampling_rate": RATE, "num_samples": RATE, "duration": 1.0, "channel_ids": [0],
            "sources": [{"type": "file", "channels": [0], "source": f"audio/{prefix}{recording}.wav"}],
        }  # fmt: skip
        return {
            "id": f"{prefix}c{number}", "start": start, "duration": duration, "channel": 0, "recording": whole,
            "supervisions": list(supervisions), "custom": {"region": "lig" if recording == "r1" else "ven"}, "type": "MonoCut",
        }  # fmt: skip

    json_lines(
        folder / name,
        [
            cut(1, "r1", 0.0, 0.5, said(1, 0.0, 0.5, "anna")),
            cut(2, "r1", 0.5, 0.25),
            cut(3, "r2", 0.25, 0.5, said(2, 0.125, 0.25, "bruno")),
        ],
    )
    return folder


FLUENT = {
    "train": [
        ("anna", "Turn on the lights", "activate", "lights", "none"),
        ("anna", "Bring me the newspaper, please", "bring", "newspaper", "none"),
        ("bruno", "Kitchen heat up", "increase", "heat", "kitchen"),
        ("bruno", "Switch the language", "change language", "none", "none"),
    ],
    "valid": [
        ("carla", "Lights on", "activate", "lights", "none"),
        ("carla", "Turn the heat up, in the kitchen", "increase", "heat", "kitchen"),
    ],
    "test": [
        ("dino", "Get the newspaper", "bring", "newspaper", "none"),
        ("dino", "Lights, please", "activate", "lights", "none"),
    ],
}
"""Speaker, transcription, action, object and location of each row of a set like Fluent Speech Commands."""


def fluent(folder: Path, rows: Mapping[str, Sequence[tuple[str, ...]]] = FLUENT) -> Path:
    """Fluent Speech Commands as its archive unpacks: an index without a name, and quotation marks where commas are."""
    names = []
    for part, cells in rows.items():
        path = folder / "data" / f"{part}_data.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(["", "path", "speakerId", "transcription", "action", "object", "location"])
            for number, row in enumerate(cells):
                names.append(f"wavs/speakers/{row[0]}/{part}-{number}.wav")
                table.writerow([number, names[-1], *row])
    clips(folder, *names)
    return folder


def slurp_sentence(
    number: int, annotated: str, scenario: str, action: str, *files: str, synthetic: bool = False
) -> dict[str, Any]:
    """A line of SLURP from its annotated sentence, such as `wake me at [time : eight]`."""
    tokens: list[str] = []
    entities: list[dict[str, Any]] = []
    for piece in re.findall(r"\[[^\]]*\]|[^\s\[\]]+", annotated):
        kind, colon, filler = piece.strip("[]").partition(" : ")
        words = (filler if colon else kind).split()
        if colon:
            entities.append({"span": [*range(len(tokens), len(tokens) + len(words))], "type": kind})
        tokens += words
    return {
        "slurp_id": number, "sentence": " ".join(tokens), "sentence_annotation": annotated,
        "intent": f"{scenario}_{action}", "action": action, "scenario": scenario,
        "tokens": [{"surface": one, "id": place, "lemma": one, "pos": "NN"} for place, one in enumerate(tokens)],
        "recordings": [
            {"file": file, "wer": 0.25 * place, "ent_wer": 0.0, "status": "synthetic" if synthetic else "correct"}
            for place, file in enumerate(files)
        ],
        "entities": entities,
    }  # fmt: skip


SLURP = {
    "train": [
        slurp_sentence(11, "wake me at [time : Five Pm] on [date : monday]", "alarm", "set", "audio-1-headset.flac", "audio-1.flac"),
        slurp_sentence(12, "play some jazz", "play", "music", "audio-2-headset.flac", "audio--3.flac"),
        slurp_sentence(13, "lights off in the [house_place : kitchen]", "iot", "hue_lightoff", "audio-4.flac"),
    ],
    "devel": [
        {**slurp_sentence(21, "play [artist_name : adele]", "play", "music", "audio-5-headset.flac", "audio-5.flac"), "intent": "music"},
        slurp_sentence(22, "any alarms", "alarm", "query", "audio-6.flac"),
    ],
    "test": [
        slurp_sentence(31, "it is [person : jo] 's day", "play", "music", "audio-7.flac"),
        slurp_sentence(32, "wake me", "alarm", "set", "audio-8-headset.flac"),
        slurp_sentence(33, "lights", "iot", "hue_lightoff", "audio-9.flac"),
    ],
    "train_synthetic": [slurp_sentence(41, "stop the alarm", "alarm", "remove", "audio-10-synth.flac", synthetic=True)],
}  # fmt: skip
"""Lines of each table of a set like SLURP; in one of them the intent is not that of scenario and action, as there."""


def slurp(
    folder: Path,
    tables: Mapping[str, Sequence[Mapping[str, Any]]] = SLURP,
    *,
    texts: str = "dataset/slurp/{}.jsonl",
    real: str = "audio/slurp_real",
    synthetic: str = "audio/slurp_synth",
) -> Path:
    """SLURP as its repository and its archives of recordings unpack, or elsewhere."""
    files: dict[str, None] = {}
    for name, lines in tables.items():
        json_lines(folder / texts.format(name), lines)
        inside = synthetic if name == "train_synthetic" else real
        files |= dict.fromkeys(f"{inside}/{one['file']}" for line in lines for one in line["recordings"])
    clips(folder, *files)
    return folder
