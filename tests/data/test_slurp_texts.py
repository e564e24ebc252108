"""The texts of SLURP without their sound: sentences, intents, slots and recordings, counted on the real ones and scored."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.data.layouts import SLURP, json_lines
from tswork.data.class_tasks import ClassTasks
from tswork.data.collection import Collection, Part
from tswork.data.places import Places
from tswork.data.readers.recordings import table_alone
from tswork.data.readers.slurp_texts import slurp_recordings, slurp_sentences
from tswork.data.spec import DataSpec
from tswork.data.tables import read_json_lines
from tswork.data.tasks_spec import TasksSpec
from tswork.data.text_spec import TextSpec
from tswork.metrics.slu import entity_scores
from tswork.text.targets import read_targets

COUNTS = {
    # file: sentences, recordings, with the close microphone, actions, lines whose field `intent` differs
    "devel": (2033, 8690, 4173, 45, 30),
    "test": (2974, 13078, 6281, 46, 37),
}


def plain(text: str) -> str:
    return re.sub(r"[\s,]", "", text)


@pytest.fixture
def texts(data_root: Path) -> Path:
    folder = data_root / "slurp_text"
    if not folder.is_dir():
        pytest.skip(f"needs {folder}")
    return folder


def test_sentences_and_recordings_are_tables(tmp_path: Path) -> None:
    for name in ("train.jsonl", "train.jsonl.gz"):
        json_lines(tmp_path / name, SLURP["train"])
        sentences, recordings = slurp_sentences(tmp_path / name), slurp_recordings(tmp_path / name)
        assert sentences.columns.tolist() == ["slurp_id", "text", "scenario", "action", "intent", "slots"]
        assert sentences["intent"].tolist() == ["alarm_set", "play_music", "iot_hue_lightoff"]
        assert recordings["slurp_id"].tolist() == [11, 11, 12, 12, 13]
        assert recordings["path"].tolist()[:2] == ["audio-1-headset.flac", "audio-1.flac"]


def test_sentences_without_recordings_are_sentences_all_the_same(tmp_path: Path) -> None:
    json_lines(tmp_path / "a.jsonl", [{**one, "recordings": []} for one in SLURP["train"]])
    assert len(slurp_sentences(tmp_path / "a.jsonl")) == 3
    assert len(slurp_recordings(tmp_path / "a.jsonl")) == 0


@pytest.mark.real_data
@pytest.mark.parametrize("name", sorted(COUNTS))
def test_counts_of_the_real_texts(texts: Path, name: str) -> None:
    path = texts / f"{name}.jsonl.gz"
    sentences, recordings = slurp_sentences(path), slurp_recordings(path)
    field = read_json_lines(path).frame["intent"]
    close = int((recordings["microphone"] == "headset").sum())
    differing = int((field.to_numpy() != sentences["intent"].to_numpy()).sum())
    assert (len(sentences), len(recordings), close, sentences["action"].nunique(), differing) == COUNTS[name]
    assert (sentences["scenario"].nunique(), sentences["intent"].nunique()) == (18, 59)
    assert recordings["id"].is_unique
    assert sentences["slurp_id"].is_unique


@pytest.mark.real_data
@pytest.mark.parametrize("name", sorted(COUNTS))
def test_slots_are_those_of_the_annotated_sentences(texts: Path, name: str) -> None:
    """Annotations write `jean's` where tokens are `jean` and `'s`, and one token keeps its comma: neither is compared."""
    path = texts / f"{name}.jsonl.gz"
    annotated = read_json_lines(path).frame["sentence_annotation"]
    for line, slots in zip(annotated, slurp_sentences(path)["slots"], strict=True):
        written = re.findall(r"\[([^:\]]*):([^\]]*)\]", line.lower())
        assert [[plain(part) for part in pair] for pair in json.loads(slots)] == [
            [plain(part) for part in pair] for pair in written
        ]


@pytest.mark.real_data
def test_scenarios_in_alphabetical_order_make_three_tasks(texts: Path) -> None:
    recordings = slurp_recordings(texts / "test.jsonl.gz")
    values = [np.zeros((1, 1), np.float32)] * len(recordings)
    collection = Collection.from_sequences(values, table=recordings, label="scenario", tasks=TasksSpec(step=6))
    tasks = ClassTasks.divided(collection)
    assert [len(part) for part in tasks.parts(Part.whole(collection))] == [4691, 5158, 3229]
    assert [names[0] for names in tasks.classes] == ["alarm", "general", "qa"]


@pytest.mark.real_data
def test_the_reader_lists_every_recording_in_its_part(texts: Path, tmp_path: Path) -> None:
    block = {"reader": "slurp", "path": str(texts), "tables": ["devel", "test"], "groups": ["slurp_id"]}
    found = table_alone(DataSpec.parse(block), Places.here(tmp_path))
    assert found is not None
    assert found.table["split"].value_counts().to_dict() == {"test": 13078, "validation": 8690}
    parts = [set(found.table.loc[found.table["split"] == one, "slurp_id"]) for one in ("test", "validation")]
    assert not parts[0] & parts[1]


@pytest.mark.real_data
@pytest.mark.parametrize("name", sorted(COUNTS))
def test_true_entities_as_their_own_prediction_score_one(texts: Path, name: str) -> None:
    sentences = slurp_sentences(texts / f"{name}.jsonl.gz")
    targets = read_targets(sentences, intent="intent", spec=TextSpec(transcript="text", slots="slots"))
    truth = [target.entities for target in targets]
    assert sum(map(len, truth)) > 2000
    assert set(entity_scores(truth, truth).measures.values()) == {1.0}
    kinds = pd.Series([entity.type for entities in truth for entity in entities])
    assert kinds.nunique() > 50
