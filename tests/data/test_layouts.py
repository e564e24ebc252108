"""Published layouts become the same table as a manifest: paths, ids, speakers, labels, parts, pieces, and faults with their place."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.data.layouts import RATE, clips, cuts, json_lines, kaldi, lhotse, text
from tests.data.opening import faults, inspect, places, read
from tests.data.sounds import tone, write
from tswork.data.collection import Collection
from tswork.data.digests import source_digest
from tswork.data.spec import DataSpec


def table(found: Collection, *columns: str) -> list[tuple[Any, ...]]:
    """Some columns of the table, row by row, in order of their text."""
    return sorted(found.table[list(columns)].itertuples(index=False, name=None), key=str)


def digest(folder: Path, **block: Any) -> str:
    return source_digest(DataSpec.parse(block), places(folder))


# audiofolder


def test_folders_are_called_after_classes(tmp_path: Path) -> None:
    clips(tmp_path / "set", "lig/a.wav", "lig/b.wav", "ven/a.flac")
    (tmp_path / "set" / "lig" / "notes.txt").write_text("not a recording")
    found = read(tmp_path, reader="audiofolder", path="set", label="label")
    assert table(found, "id", "label") == [("lig/a.wav", "lig"), ("lig/b.wav", "lig"), ("ven/a.flac", "ven")]
    assert "split" not in found.table.columns


def test_folders_around_the_classes_are_parts(tmp_path: Path) -> None:
    clips(tmp_path / "set", "train/lig/a.wav", "train/ven/b.wav", "validation/lig/c.wav", "test/ven/d.wav")
    found = read(tmp_path, reader="audiofolder", path="set", columns={"region": "label"}, label="region")
    assert table(found, "split", "region") == [
        ("test", "ven"), ("train", "lig"), ("train", "ven"), ("validation", "lig"),
    ]  # fmt: skip


def test_more_levels_of_folders_have_names(tmp_path: Path) -> None:
    clips(tmp_path / "set", "lig/anna/a.wav", "ven/bruno/b.wav")
    found = read(tmp_path, reader="audiofolder", path="set", folders=["label", "speaker"])
    assert table(found, "label", "speaker") == [("lig", "anna"), ("ven", "bruno")]
    assert faults(tmp_path, inspect, reader="audiofolder", path="set") == [
        f"set/{name}  does not lie as <label>/file. Name the levels, outermost first, as `folders: [label, speaker]`, or describe"
        " the files in a metadata.csv."
        for name in ("lig/anna/a.wav", "ven/bruno/b.wav")
    ]
    clips(tmp_path / "set", "ven/carlo/c.wav", "ven/carlo/d.wav")
    (told,) = faults(tmp_path, inspect, reader="audiofolder", path="set")
    assert told.startswith("set/lig/anna/a.wav  does not lie as <label>/file, like all 4 files.")


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_metadata_describe_the_recordings_of_each_part(tmp_path: Path, form: str) -> None:
    clips(tmp_path / "set", "train/a.wav", "train/sub/b.wav", "test/c.wav", "test/unnamed.wav")
    rows = {"train": [("a.wav", "lig", "03"), ("sub/b.wav", "ven", "04")], "test": [("c.wav", "lig", "05")]}
    for part, cells in rows.items():
        path = tmp_path / "set" / part / f"metadata.{form}"
        if form == "csv":
            text(path, "file_name,region,speaker", *(",".join(row) for row in cells))
        else:
            json_lines(path, [{"file_name": name, "region": region, "speaker": who} for name, region, who in cells])
    found = read(tmp_path, reader="audiofolder", path="set", label="region")
    assert table(found, "id", "region", "speaker", "split") == [
        ("test/c.wav", "lig", "05", "test"), ("train/a.wav", "lig", "03", "train"), ("train/sub/b.wav", "ven", "04", "train"),
    ]  # fmt: skip


def test_metadata_of_the_whole_set_tell_parts_by_their_folders(tmp_path: Path) -> None:
    clips(tmp_path / "set", "train/a.wav", "dev/b.wav")
    text(tmp_path / "set" / "metadata.csv", "file_name,region", "train/a.wav,lig", "dev/b.wav,ven")
    found = read(tmp_path, reader="audiofolder", path="set")
    assert table(found, "id", "split") == [("dev/b.wav", "validation"), ("train/a.wav", "train")]


def test_metadata_without_file_names_are_refused(tmp_path: Path) -> None:
    text(tmp_path / "set" / "metadata.csv", "file,region", "a.wav,lig")
    assert faults(tmp_path, inspect, reader="audiofolder", path="set") == [
        "set/metadata.csv:1:1  has no column 'file_name'. It has file, region."
    ]


def test_metadata_may_name_files_from_anywhere_and_under_the_name_of_ours(tmp_path: Path) -> None:
    clips(tmp_path, "set/train/a.wav", "elsewhere/b.wav")
    text(
        tmp_path / "set" / "train" / "metadata.csv", "file_name,region", "a.wav,lig", f"{tmp_path}/elsewhere/b.wav,ven"
    )
    found = read(tmp_path, reader="audiofolder", path="set", columns={"path": "file_name"})
    assert table(found, "id", "region") == [(f"{tmp_path}/elsewhere/b.wav", "ven"), ("train/a.wav", "lig")]


def test_metadata_whose_file_names_are_no_text_are_told(tmp_path: Path) -> None:
    json_lines(tmp_path / "set" / "metadata.jsonl", [{"file_name": 5, "region": "lig"}, {"file_name": 6}])
    assert [told.partition("  ")[2] for told in faults(tmp_path, inspect, reader="audiofolder", path="set")] == [
        "5: there is no such file beside the manifest or below a data root",
        "6: there is no such file beside the manifest or below a data root",
    ]


def test_a_recording_that_is_moved_to_another_class_changes_the_digest(tmp_path: Path) -> None:
    clips(tmp_path / "set", "lig/a.wav", "ven/b.wav", "ven/c.wav")
    before = digest(tmp_path, reader="audiofolder", path="set")
    assert digest(tmp_path, reader="audiofolder", path="set") == before
    (tmp_path / "set" / "ven" / "b.wav").rename(tmp_path / "set" / "lig" / "b.wav")
    assert digest(tmp_path, reader="audiofolder", path="set") != before


# SpeechBrain


def test_speechbrain_csvs_of_parts_are_one_set(tmp_path: Path) -> None:
    clips(tmp_path / "data", "a.wav", "b.wav", "c.wav")
    head = "ID,wav,wav_format,duration,language,spk_id"
    text(
        tmp_path / "csv" / "train.csv",
        head,
        "u1,$data_root/a.wav,wav,0.1,Italian,01",
        "u2,$data_root/b.wav,wav,0.1,Greek,02",
    )
    text(tmp_path / "csv" / "test.csv", head, "u3,$data_root/c.wav,wav,0.1,Greek,03")
    found = read(tmp_path, reader="speechbrain", path="csv", root="data", label="language", groups=["speaker"])
    assert table(found, "id", "language", "speaker", "split") == [
        ("u1", "Italian", "01", "train"), ("u2", "Greek", "02", "train"), ("u3", "Greek", "03", "test"),
    ]  # fmt: skip
    assert found.lengths.tolist() == [800, 800, 800], "a duration alone cuts nothing"


def test_speechbrain_start_and_stop_are_samples_of_the_file(tmp_path: Path) -> None:
    clips(tmp_path, "a.wav", seconds=1.0)
    text(
        tmp_path / "all.csv", "ID,duration,wav,start,stop,accent", "x1,1.0,a.wav,0,4000,it", "x2,1.0,a.wav,4000,8000,it"
    )
    found = read(tmp_path, reader="speechbrain", path="all.csv", rate=16000.0)
    assert found.lengths.tolist() == [8000, 8000]
    assert found.table["recording"].tolist() == ["a.wav", "a.wav"]


def test_speechbrain_json_keeps_ids_and_nested_pieces(tmp_path: Path) -> None:
    clips(tmp_path / "data", "a.wav", "b.wav")
    rows = {
        "u1": {"wav": "{data_root}/a.wav", "duration": 0.1, "language": "it"},
        "u2": {"wav": "{data_root}/b.wav", "duration": 0.1, "language": "gr", "tags": ["x"]},
    }
    (tmp_path / "train.json").write_text(json.dumps(rows))
    found = read(tmp_path, reader="speechbrain", path="train.json", root="data", label="language")
    assert table(found, "id", "language") == [("u1", "it"), ("u2", "gr")]
    piece = {"u1": {"wav": {"file": "a.wav", "start": 100, "stop": 500}}}
    (tmp_path / "train.json").write_text(json.dumps(piece))
    assert read(tmp_path, reader="speechbrain", path="train.json", root="data").lengths.tolist() == [400]


def test_faults_of_a_speechbrain_csv_stand_at_their_rows(tmp_path: Path) -> None:
    clips(tmp_path, "a.wav")
    text(tmp_path / "all.csv", "ID,wav,duration", "u1,a.wav,0.1", "u1,b.wav,0.1")
    told = faults(tmp_path, inspect, reader="speechbrain", path="all.csv")
    assert told[0].startswith("all.csv:3:1  b.wav: there is no such file")
    assert told[1].startswith("all.csv:3:1  id: 'u1' is the id of line 2 already")


# Kaldi


def test_kaldi_recordings_without_segments_are_utterances(tmp_path: Path) -> None:
    kaldi(tmp_path / "data")
    text(tmp_path / "data" / "utt2dur", "rec1 1.0", "rec2 1.0")
    found = read(tmp_path, reader="kaldi", path="data", label="dialect", groups=["speaker"])
    assert table(found, "id", "speaker", "dialect", "gender", "text", "duration") == [
        ("rec1", "a", "lig", "f", "la casa 0", 1.0), ("rec2", "b", "ven", "m", "la casa 1", 1.0),
    ]  # fmt: skip
    assert found.lengths.tolist() == [8000, 8000]


def test_kaldi_lines_end_where_a_new_one_begins_and_nowhere_else(tmp_path: Path) -> None:
    kaldi(tmp_path / "set")
    (tmp_path / "set" / "text").write_text(
        "\ufeffrec1 la casa\u2028bianca\r\nrec2 il\x85cane\r\n", encoding="utf-8", newline=""
    )
    found = read(tmp_path, reader="kaldi", path="set")
    assert table(found, "id", "text") == [("rec1", "la casa\u2028bianca"), ("rec2", "il\x85cane")]


def test_kaldi_segments_are_pieces(tmp_path: Path) -> None:
    found = read(tmp_path, reader="kaldi", path=str(kaldi(tmp_path / "data", segments=True)))
    assert found.table["id"].tolist() == ["u1", "u2", "u3"]
    assert found.lengths.tolist() == [4000, 4000, 4000]
    assert found.table["recording"].nunique() == 2


def test_kaldi_folders_of_parts_are_one_set(tmp_path: Path) -> None:
    for part in ("train", "dev", "test"):
        folder = kaldi(tmp_path / "data" / part)
        for name in ("wav.scp", "utt2spk", "utt2dial", "text"):
            lines = (folder / name).read_text().splitlines()
            text(folder / name, *(f"{part}_{line}" for line in lines))
    found = read(tmp_path, reader="kaldi", path="data")
    assert [one for one, in table(found, "split")] == ["test", "test", "train", "train", "validation", "validation"]  # fmt: skip


def test_kaldi_commands_are_never_run(tmp_path: Path) -> None:
    folder = kaldi(tmp_path / "data")
    text(folder / "wav.scp", "rec1 touch " + str(tmp_path / "harm") + " |", "rec2 audio/r2.wav")
    told = faults(tmp_path, inspect, reader="kaldi", path="data")
    assert told == [
        "data/wav.scp:1:1  is a command, and commands of data sets are not run. Write what it gives into a file, and name that file."
    ]
    assert not (tmp_path / "harm").exists()


def test_kaldi_files_that_do_not_agree_are_told_with_their_lines(tmp_path: Path) -> None:
    folder = kaldi(tmp_path / "data", segments=True)
    text(folder / "segments", "u1 rec1 0 0.5", "u2 rec9 0 1", "u3 rec2", "u1 rec2 0 1")
    assert faults(tmp_path, inspect, reader="kaldi", path="data") == [
        "data/segments:4:1  'u1' stands in line 1 already"
    ]
    text(folder / "segments", "u1 rec1 0 0.5", "u2 rec9 0 1", "u3 rec2")
    text(folder / "utt2spk", "u1 a", "u7 b")
    assert faults(tmp_path, inspect, reader="kaldi", path="data") == [
        "data/segments:2:1  wav.scp has no 'rec9'",
        "data/segments:3:1  should be: utterance recording start end",
        "data/utt2spk:2:1  there is no utterance 'u7'",
    ]
    text(folder / "segments", "u1 rec1 zero 0.5", "u2 rec1 0 0.5", "u3 rec2 0 2")
    text(folder / "utt2spk", "u1 a", "u2 a", "u3 b")
    told = faults(tmp_path, inspect, reader="kaldi", path="data")
    assert "data/segments:1:1  start: 'zero' is not a number" in told[0]
    assert "stops at 2 seconds, and the recording has 1" in told[1]


# Lhotse


def test_lhotse_supervisions_are_pieces_with_their_fields(tmp_path: Path) -> None:
    lhotse(tmp_path / "set")
    found = read(tmp_path, reader="lhotse", path="set", label="region", groups=["speaker"])
    assert table(found, "id", "region", "speaker", "language", "notes") == [
        (f"s{number}", region, who, "Italian", '["clean"]')
        for number, region, who in ((1, "lig", "p_r1"), (2, "lig", "p_r1"), (3, "ven", "p_r2"))
    ]
    assert found.lengths.tolist() == [4000, 4000, 4000]
    assert found.classes == ("lig", "ven")


def test_lhotse_files_of_parts_are_one_set(tmp_path: Path) -> None:
    for part in ("train", "dev"):
        lhotse(tmp_path / "set", f"vivo_recordings_{part}.jsonl", prefix=f"{part}-")
    found = read(tmp_path, reader="lhotse", path="set")
    assert sorted(set(table(found, "split"))) == [("train",), ("validation",)]
    assert len(found) == 6


def test_lhotse_recordings_that_are_no_files_are_refused(tmp_path: Path) -> None:
    lhotse(tmp_path / "set")
    rows: list[dict[str, Any]] = [
        {"id": "r1", "sources": [{"type": "command", "channels": [0], "source": "touch harm"}]},
        {"id": "r2", "sources": []},
    ]
    json_lines(tmp_path / "set" / "recordings.jsonl.gz", rows)
    told = faults(tmp_path, inspect, reader="lhotse", path="set")
    assert told[0].startswith("set/recordings.jsonl.gz:1:1  sources: comes from a command, and only files are read")
    assert told[1].startswith("set/recordings.jsonl.gz:2:1  sources: has 0 sources, and one is read")
    assert told[2] == "set/supervisions.jsonl.gz:1:1  recording_id: there is no recording 'r1'"


def test_lhotse_recordings_that_are_to_be_changed_and_single_channels_are_refused(tmp_path: Path) -> None:
    lhotse(tmp_path / "set")
    stereo = [{"type": "file", "channels": [0, 1], "source": "audio/r1.wav"}]
    edited(tmp_path / "set", {"sources": stereo}, {"transforms": [{"name": "Speed"}]}, name="recordings.jsonl.gz")
    edited(tmp_path / "set", {"channel": 1}, {"channel": [1, 0]}, {}, name="supervisions.jsonl.gz")
    save = "Save it as a file (in Lhotse: `save_audio`)."
    assert faults(tmp_path, inspect, reader="lhotse", path="set") == [
        f"set/recordings.jsonl.gz:2:1  transforms: is to be changed when it is read (Speed). {save}",
        "set/supervisions.jsonl.gz:1:1  channel: is one channel of a file of 2, and channels are mixed when they are read."
        f" {save}",
    ]


def test_lhotse_supervisions_of_all_channels_are_their_mean(tmp_path: Path) -> None:
    lhotse(tmp_path / "set")
    plain = read(tmp_path, reader="lhotse", path="set")
    low, high = tone(300.0, rate=RATE, seconds=1.0), tone(900.0, rate=RATE, seconds=1.0)
    write(tmp_path / "set" / "audio" / "r1.wav", np.stack([low, high], axis=1), RATE)
    stereo = [{"type": "file", "channels": [0, 1], "source": "audio/r1.wav"}]
    edited(tmp_path / "set", {"sources": stereo}, {"transforms": [{"name": "Resample"}]}, name="recordings.jsonl.gz")
    edited(tmp_path / "set", {"channel": [0, 1]}, {"channel": [0, 1]}, {}, name="supervisions.jsonl.gz")
    found = read(tmp_path, reader="lhotse", path="set")
    mean = torch.from_numpy((low + high) / 2 * 32768)[:4000, None]
    torch.testing.assert_close(found.sequence(0).double(), mean.double(), rtol=0, atol=2)
    assert found.sequence(2).equal(plain.sequence(2))


def test_lhotse_fields_of_another_kind_are_told_with_their_lines(tmp_path: Path) -> None:
    lhotse(tmp_path / "set")
    json_lines(tmp_path / "set" / "recordings.jsonl.gz", [{"id": "r1", "sources": "r1.wav"}])
    said = [{"id": "u1", "recording_id": "r1", "start": "soon", "channel": "left", "custom": ["a"]}]
    json_lines(tmp_path / "set" / "supervisions.jsonl.gz", said)
    assert faults(tmp_path, inspect, reader="lhotse", path="set") == [
        "set/recordings.jsonl.gz:1:1  sources: should be a list of blocks",
        "set/supervisions.jsonl.gz:1:1  start: should be a number",
        "set/supervisions.jsonl.gz:1:1  channel: should be a number, or a list of them",
        "set/supervisions.jsonl.gz:1:1  custom: should be a block",
    ]


def test_lhotse_recordings_without_supervisions_are_told(tmp_path: Path) -> None:
    lhotse(tmp_path / "set")
    (tmp_path / "set" / "supervisions.jsonl.gz").unlink()
    assert faults(tmp_path, inspect, reader="lhotse", path="set") == [
        "set/supervisions.jsonl  there is no such file beside recordings.jsonl.gz"
    ]


# ITALIC


@pytest.mark.parametrize("audio", ["text", "block", "none"])
def test_italic_reads_one_division(tmp_path: Path, audio: str) -> None:
    folder = tmp_path / "italic"
    clips(folder / "recordings", "1.wav", "2.wav", "3.wav")
    fields: dict[str, Callable[[str], dict[str, Any]]] = {
        "text": lambda name: {"audio": name},
        "block": lambda name: {"audio": {"path": name}},
        "none": lambda _: {},
    }
    files = {"hard_speaker_train": (1, 2), "hard_speaker_test": (3,), "massive_train": (1,)}
    for name, numbers in files.items():
        rows = [
            {
                "id": number, "utt": f"svegliami alle {number}", "intent": "alarm_set", "speaker": 40 + number,
                "region": "lazio" if number % 2 else "", **fields[audio](f"{number}.wav"),
            }
            for number in numbers
        ]  # fmt: skip
        json_lines(folder / f"{name}.json", rows)
    found = read(tmp_path, reader="italic", path="italic", groups=["speaker"])
    assert table(found, "id", "text", "speaker", "split") == [
        (1, "svegliami alle 1", 41, "train"), (2, "svegliami alle 2", 42, "train"), (3, "svegliami alle 3", 43, "test"),
    ]  # fmt: skip
    assert found.table["region"].isna().tolist().count(True) == 1, "an empty region is missing"
    assert len(read(tmp_path, reader="italic", path="italic", division="massive")) == 1
    assert "holds no JSON of 'hard_noisy'" in faults(tmp_path, reader="italic", path="italic", division="hard_noisy")[0]


def test_italic_recordings_may_be_unknown_or_named_from_the_root(tmp_path: Path) -> None:
    folder = tmp_path / "italic"
    clips(folder / "recordings", "1.wav", "2.wav")
    rows: list[dict[str, Any]] = [
        {"audio": None},
        {"audio": "2.wav"},
        {"audio": {}},
        {"audio": "{root}/recordings/1.wav"},
    ]
    json_lines(folder / "hard_speaker_train.json", [{**row, "speaker": place} for place, row in enumerate(rows)])
    assert faults(tmp_path, inspect, reader="italic", path="italic") == [
        "italic/hard_speaker_train.json:1:1  path: the row names no file",
        "italic/hard_speaker_train.json:3:1  path: the row names no file",
    ]
    found = read(tmp_path, reader="italic", path="italic", skip_bad=True)
    assert len(found) == 2


# Common Voice


def voices(folder: Path) -> None:
    head = "client_id\tpath\tsentence\tup_votes\tage\tgender\taccents\tlocale"
    clips(folder / "clips", "c1.mp3", "c2.mp3", "c3.mp3", seconds=0.5)
    text(
        folder / "train.tsv", head,
        'p1\tc1.mp3\t"La casa\t2\t\t\tVeneto\tit', "p2\tc2.mp3\tIl cane\t2\t\t\tBasilicata,trentino\tit",
    )  # fmt: skip
    text(folder / "dev.tsv", head)
    text(folder / "test.tsv", head, "p3\tc3\tIl gatto\t2\t\t\t\tit")


def test_common_voice_tables_are_parts_and_marks_are_text(tmp_path: Path) -> None:
    voices(tmp_path / "it")
    found = read(tmp_path, reader="common_voice", path="it", tables=["train", "test"])
    assert table(found, "id", "speaker", "text", "split") == [
        ("c1.mp3", "p1", '"La casa', "train"), ("c2.mp3", "p2", "Il cane", "train"), ("c3.mp3", "p3", "Il gatto", "test"),
    ]  # fmt: skip


def test_common_voice_accents_are_gathered_under_names(tmp_path: Path) -> None:
    voices(tmp_path / "it")
    accents = {"veneto": ["VENETO"], "basilicata_trentino": ["Basilicata, Trentino"]}
    found = read(tmp_path, reader="common_voice", path="it", tables=["train", "test"], accents=accents, label="accent")
    assert table(found, "accent", "accents") == [("basilicata_trentino", "Basilicata,trentino"), ("veneto", "Veneto")]


def test_a_common_voice_row_without_a_clip_is_told(tmp_path: Path) -> None:
    voices(tmp_path / "it")
    text(tmp_path / "it" / "test.tsv", "client_id\tpath\tsentence", "p3\t\tIl gatto")
    assert faults(tmp_path, inspect, reader="common_voice", path="it", tables=["train", "test"]) == [
        "it/test.tsv:2:1  path: the row names no file"
    ]


def test_common_voice_tables_that_are_not_there_are_told(tmp_path: Path) -> None:
    voices(tmp_path / "it")
    assert faults(tmp_path, inspect, reader="common_voice", path="it", tables=["validated"]) == [
        "it/validated.tsv  there is no such table. Name others with `tables: [...]`; there are dev, test, train."
    ]


@pytest.mark.parametrize(
    "reader", ["audiofolder", "kaldi", "lhotse", "italic", "common_voice", "fluent_speech_commands", "slurp"]
)
def test_a_folder_that_is_not_there_is_told(tmp_path: Path, reader: str) -> None:
    assert faults(tmp_path, inspect, reader=reader, path="gone")[0].startswith(
        "gone  there is no such folder (looked at "
    )


@pytest.mark.parametrize("reader", ["audiofolder", "kaldi", "lhotse", "italic", "speechbrain", "s3prl"])
def test_an_empty_folder_is_refused(tmp_path: Path, reader: str) -> None:
    (tmp_path / "set").mkdir()
    told = faults(tmp_path, inspect, reader=reader, path="set")
    assert told[0].startswith("set  ")


# Cuts of Lhotse


def edited(folder: Path, *changes: dict[str, Any], name: str = "cuts.jsonl.gz") -> None:
    """A manifest of a folder with some fields changed, line by line."""
    lines = gzip.decompress((folder / name).read_bytes()).decode().splitlines()
    kept = [{**json.loads(line), **change} for line, change in zip(lines, changes, strict=True)]
    json_lines(folder / name, kept)


def test_lhotse_cuts_are_pieces_with_what_their_supervision_says(tmp_path: Path) -> None:
    cuts(tmp_path / "set")
    found = read(tmp_path, reader="lhotse", path="set", label="region")
    assert table(found.replaced(table=found.table.fillna("")), "id", "region", "speaker", "text", "item") == [
        ("c1", "lig", "anna", "la casa 1", 1), ("c2", "lig", "", "", ""), ("c3", "ven", "bruno", "la casa 2", 2),
    ]  # fmt: skip
    assert found.lengths.tolist() == [4000, 2000, 4000]
    whole = read(tmp_path, reader="audiofolder", path="set/audio", folders=[])
    assert found.sequence(2).equal(whole.sequence(1)[2000:6000])


def test_lhotse_supervisions_of_cuts_begin_where_the_cut_does(tmp_path: Path) -> None:
    cuts(tmp_path / "set")
    found = read(tmp_path, reader="lhotse", path="set", rows="supervisions")
    assert table(found, "id", "speaker", "region") == [("s1", "anna", "lig"), ("s2", "bruno", "ven")]
    assert found.lengths.tolist() == [4000, 2000]
    whole = read(tmp_path, reader="audiofolder", path="set/audio", folders=[])
    assert found.sequence(1).equal(whole.sequence(1)[3000:5000])


def test_a_supervision_that_reaches_beyond_its_cut_ends_with_it(tmp_path: Path) -> None:
    cuts(tmp_path / "set")
    overlapping = [{"id": "a", "start": -0.1, "duration": 0.2}, {"id": "b", "start": 0.4, "duration": 9.0}]
    edited(tmp_path / "set", {"supervisions": overlapping}, {}, {"supervisions": []})
    found = read(tmp_path, reader="lhotse", path="set", rows="supervisions")
    assert found.table["id"].tolist() == ["a", "b"]
    assert found.lengths.tolist() == [800, 800]


def test_lhotse_cuts_of_parts_and_one_file_of_them(tmp_path: Path) -> None:
    for part in ("train", "dev"):
        cuts(tmp_path / "set", f"vivo_cuts_{part}.jsonl.gz", prefix=f"{part}-")
    both = read(tmp_path, reader="lhotse", path="set")
    assert table(both, "split") == [("train",)] * 3 + [("validation",)] * 3
    one = read(tmp_path, reader="lhotse", path="set/vivo_cuts_dev.jsonl.gz")
    assert one.table["id"].tolist() == ["dev-c1", "dev-c2", "dev-c3"]
    assert "split" not in one.table.columns


def test_recordings_beside_cuts_are_read_as_before(tmp_path: Path) -> None:
    lhotse(tmp_path / "set")
    before = digest(tmp_path, reader="lhotse", path="set")
    cuts(tmp_path / "set")
    assert read(tmp_path, reader="lhotse", path="set").table["id"].tolist() == ["s1", "s2", "s3"]
    assert digest(tmp_path, reader="lhotse", path="set") == before


def test_cuts_that_cannot_be_rows_are_all_told(tmp_path: Path) -> None:
    cuts(tmp_path / "set")
    source = {"type": "file", "channels": [0, 1], "source": "audio/r1.wav"}
    edited(
        tmp_path / "set",
        {"supervisions": [{"id": "s1"}, {"id": "s2"}]},
        {"type": "MixedCut"},
        {"recording": {"id": "r1", "sources": [source]}},
    )
    save = "Save it as a file (in Lhotse: `save_audio`)."
    told = [
        "set/cuts.jsonl.gz:1:1  supervisions: has 2 supervisions, and a row has one. Give `rows: supervisions`, and each of them is"
        " a row.",
        f"set/cuts.jsonl.gz:2:1  type: is a MixedCut, and only MonoCut is read. {save}",
        f"set/cuts.jsonl.gz:3:1  channel: is one channel of a file of 2, and channels are mixed when they are read. {save}",
    ]
    assert faults(tmp_path, inspect, reader="lhotse", path="set") == told
    edited(
        tmp_path / "set",
        {"supervisions": [], "recording": None},
        {"type": "MonoCut", "recording": {"sources": [{"type": "command", "source": "touch harm"}]}},
        {"recording": {"sources": [{**source, "channels": [0]}], "transforms": [{"name": "Speed"}]}},
    )
    assert faults(tmp_path, inspect, reader="lhotse", path="set") == [
        "set/cuts.jsonl.gz:1:1  recording: has no recording. Make the cuts from recordings, not from features alone.",
        f"set/cuts.jsonl.gz:2:1  sources: comes from a command, and only files are read. {save}",
        f"set/cuts.jsonl.gz:3:1  transforms: is to be changed when it is read (Speed). {save}",
    ]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"start": "soon"}, "start: should be a number"),
        ({"supervisions": ["lig"]}, "supervisions: should be a list of blocks"),
        ({"supervisions": [{"id": "s1", "duration": []}]}, "supervisions.duration: should be a number"),
        ({"recording": "r1.wav"}, "recording: should be a block"),
        ({"recording": {"sources": ["r1.wav"]}}, "recording.sources: should be a list of blocks"),
        ({"recording": {"sources": [], "transforms": ["Speed"]}}, "recording.transforms: should be a list of blocks"),
    ],
)
@pytest.mark.parametrize("rows", ["cuts", "supervisions"])
def test_fields_of_cuts_of_another_kind_are_told(tmp_path: Path, rows: str, change: dict[str, Any], told: str) -> None:
    cuts(tmp_path / "set")
    edited(tmp_path / "set", change, {}, {})
    assert faults(tmp_path, inspect, reader="lhotse", path="set", rows=rows) == [f"set/cuts.jsonl.gz:1:1  {told}"]


def test_a_recording_that_is_only_resampled_is_read(tmp_path: Path) -> None:
    cuts(tmp_path / "set")
    whole = {
        "sources": [{"type": "file", "channels": [0], "source": "audio/r2.wav"}],
        "transforms": [{"name": "Resample"}],
    }
    edited(tmp_path / "set", {}, {}, {"recording": whole})
    assert len(read(tmp_path, reader="lhotse", path="set")) == 3


# S3PRL


def test_s3prl_tables_of_parts_are_one_set(tmp_path: Path) -> None:
    clips(tmp_path / "audio", "a.wav", "b.wav", "c.wav")
    head = "id,wav_path,label"
    text(tmp_path / "csv" / "train.csv", head, "u1,a.wav,lig", "u2,b.wav,ven")
    text(tmp_path / "csv" / "valid.csv", head, f"u3,{tmp_path}/audio/c.wav,ven")
    found = read(tmp_path, reader="s3prl", path="csv", root="audio", label="label")
    assert table(found, "id", "label", "split") == [
        ("u1", "lig", "train"), ("u2", "ven", "train"), ("u3", "ven", "validation"),
    ]  # fmt: skip


def test_s3prl_pieces_are_told_in_seconds_and_may_be_open(tmp_path: Path) -> None:
    clips(tmp_path, "a.wav", seconds=1.0)
    rows = ("x1,a.wav,si,0.25,0.75", "x2,a.wav,no,,0.5", "x3,a.wav,no,0.75,")
    text(tmp_path / "all.csv", "id,wav_path,transcription,start_sec,end_sec", *rows)
    found = read(tmp_path, reader="s3prl", path="all.csv")
    assert found.lengths.tolist() == [4000, 4000, 2000]
    assert found.table["text"].tolist() == ["si", "no", "no"]


def test_faults_of_all_s3prl_tables_are_told_with_their_rows(tmp_path: Path) -> None:
    clips(tmp_path, "a.wav")
    text(tmp_path / "train.csv", "id,file,label", "u1,a.wav,lig")
    text(tmp_path / "test.csv", "id,wave,label", "u2,a.wav,lig")
    assert faults(tmp_path, inspect, reader="s3prl", path=".") == [
        f"{name}.csv:1:1  has no column 'wav_path'. Name it with `columns: {{path: THEIRS}}`."
        for name in ("test", "train")
    ]
    text(tmp_path / "one.csv", "id,wav_path,start_sec,end_sec", "u1,a.wav,0,0.05", "u2,b.wav,0,0.05", "u3,a.wav,x,0.05")
    told = faults(tmp_path, inspect, reader="s3prl", path="one.csv")
    assert told[0].startswith("one.csv:3:1  b.wav: there is no such file")
    assert any(one.startswith("one.csv:4:1  start: 'x' is not a number") for one in told)


# JSON arrays


def test_italic_reads_arrays_too(tmp_path: Path) -> None:
    clips(tmp_path / "italic" / "recordings", "1.wav", "2.wav")
    for part, number in (("train", 1), ("test", 2)):
        rows = [{"id": number, "utt": "svegliami", "speaker": number, "region": "lazio"}]
        (tmp_path / "italic" / f"hard_speaker_{part}.json").write_text(json.dumps(rows, indent=2))
    found = read(tmp_path, reader="italic", path="italic")
    assert table(found, "id", "text", "region", "split") == [
        (1, "svegliami", "lazio", "train"), (2, "svegliami", "lazio", "test"),
    ]  # fmt: skip


def test_faults_of_all_files_of_italic_are_told_at_once(tmp_path: Path) -> None:
    for part in ("train", "test"):
        text(
            tmp_path / "italic" / f"hard_speaker_{part}.json", "[", '  {"id": 1},', "  7,", f'  {{"id": "{part}"}}', "]"
        )
    assert faults(tmp_path, inspect, reader="italic", path="italic") == [
        f"italic/hard_speaker_{part}.json:3:1  should be a JSON object" for part in ("test", "train")
    ]


@pytest.mark.parametrize("packed", ["", ".gz"])
def test_a_manifest_may_be_a_json_array(tmp_path: Path, packed: str) -> None:
    clips(tmp_path, "a.wav", "b.wav")
    content = json.dumps([{"path": "a.wav", "label": "x"}, {"path": "b.wav", "label": "y"}]).encode()
    (tmp_path / f"all.json{packed}").write_bytes(gzip.compress(content) if packed else content)
    found = read(tmp_path, reader="manifest", path=f"all.json{packed}", label="label")
    assert table(found, "id", "label") == [("a.wav", "x"), ("b.wav", "y")]
