"""Target strings: written and read back, also as a decoder leaves them; rows that cannot be written are refused."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tswork.data.text_spec import TextSpec
from tswork.errors import DataInvalid
from tswork.metrics.slu import Entity
from tswork.metrics.understanding import understanding_measures
from tswork.text.targets import Target, parse_target, read_targets

ALARM = Target("alarm_set", (Entity("time", "five o'clock"), Entity("date", "next monday")), "wake me next monday")
WORDS = st.lists(st.sampled_from(["a", "o'clock", "_", "x_y", "5"]), min_size=1, max_size=3).map(" ".join)


def table(**columns: list[Any]) -> pd.DataFrame:
    rows = {"intent": ["alarm_set"], "said": ["Wake me!"], **columns}
    return pd.DataFrame({"id": [f"u{row}" for row in range(len(rows["said"]))], **rows})


def read(given: pd.DataFrame, **options: Any) -> list[Target]:
    slots = "slots" if "slots" in given else None
    return read_targets(given, intent="intent", spec=TextSpec(**{"transcript": "said", "slots": slots, **options}))


def test_the_string_has_intent_entities_and_transcript_in_this_order() -> None:
    assert ALARM.text == ("alarm_set _SEP time _FILL five o'clock _SEP date _FILL next monday _SEP wake me next monday")
    assert Target("play_music", (), "play jazz").text == "play_music _SEP play jazz"


@given(WORDS, st.lists(st.tuples(WORDS, WORDS), max_size=3), WORDS)
def test_what_was_written_is_read_back(intent: str, entities: list[tuple[str, str]], transcript: str) -> None:
    target = Target(intent, tuple(Entity(*pair) for pair in entities), transcript)
    assert parse_target(target.text) == target


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("", Target("", (), "")),
        ("alarm_set", Target("alarm_set", (), "")),
        ("alarm_set _SEP", Target("alarm_set", (), "")),
        ("a _SEP time five _SEP b", Target("a", (), "b")),
        ("a _SEP time _FILL five _FILL six _SEP b", Target("a", (), "b")),
        ("a _SEP time _FILL five", Target("a", (), "time _FILL five")),
        ("a _SEP _SEP b", Target("a", (), "b")),
    ],
)
def test_strings_that_break_off_or_are_garbled_are_read_as_far_as_they_go(text: str, target: Target) -> None:
    assert parse_target(text) == target


def test_an_action_may_hold_further_underscores() -> None:
    target = parse_target("iot_hue_lightoff _SEP lights off")
    assert (target.scenario, target.action) == ("iot", "hue_lightoff")


def test_transcripts_are_lower_case_without_punctuation_and_fillers_keep_theirs() -> None:
    rows = table(said=["Wake me up at five O’Clock, please!"], slots=['[["time", "five o\'clock"]]'])
    (target,) = read(rows)
    assert target == Target("alarm_set", (Entity("time", "five o'clock"),), "wake me up at five oclock please")
    assert read(rows, punctuation="keep")[0].transcript == "wake me up at five o’clock, please!"


def test_slots_are_json_or_lists_or_nothing() -> None:
    rows = table(intent=["a"] * 4, said=["b"] * 4, slots=['[["x", "Y"]]', [("x", "y")], None, float("nan")])
    assert [len(target.entities) for target in read(rows)] == [1, 1, 0, 0]
    assert read(rows)[0].entities == read(rows)[1].entities == (Entity("x", "y"),)


def test_slots_may_stand_in_columns_of_their_own_and_nothing_need_be_transcribed() -> None:
    rows = table(said=["", ""], intent=["mocha"] * 2, size=["Large", None], shots=["two", ""])
    first, second = read(rows, transcript=None, slots=("size", "shots"))
    assert first.text == "mocha _SEP size _FILL large _SEP shots _FILL two _SEP"
    assert parse_target(first.text) == first
    assert second == Target("mocha", (), "")
    assert parse_target(second.text) == second


def test_an_intent_may_be_a_number() -> None:
    assert read(table(intent=[7]))[0].text == "7 _SEP wake me"


def test_rows_that_cannot_be_written_are_refused_all_at_once_with_their_names() -> None:
    rows = table(
        intent=["a", None, "a", "a", "a", "a"],
        said=["b", "b", "?!", "b _SEP c", "b", "b"],
        slots=["[]", None, None, None, '[["x", "a _FILL b"]]', '{"x": 1}'],
    )
    with pytest.raises(DataInvalid) as refused:
        read(rows)
    told = [str(problem).partition(". Mend")[0] for problem in refused.value.problems]
    assert told == [
        "row 1 (u1): it has no intent",
        "row 2 (u2): its transcript is empty",
        "row 3 (u3): 'b _SEP c' holds _SEP, which separates the parts of a target",
        "row 4 (u4): 'a _FILL b' holds _FILL, which separates the parts of a target",
        "row 5 (u5): its slots '{\"x\": 1}' are no list of [type, filler]",
    ]
    with pytest.raises(DataInvalid, match="the table has no column 'words'"):
        read(rows, transcript="words")
    with pytest.raises(DataInvalid, match="lacks a type or a filler"):
        read(table(slots=['[["x", " "]]']))
    with pytest.raises(DataInvalid, match="cannot be read"):
        read(table(slots=["[["]))


def test_what_was_written_is_judged_by_intent_entities_and_both_word_error_rates() -> None:
    truth = [ALARM, Target("play_music", (), "play jazz")]
    perfect = understanding_measures(truth, [target.text for target in truth])
    assert perfect["intent_accuracy"] == perfect["slu_f1"] == 1
    assert perfect["transcript_wer"] == perfect["string_wer"] == 0
    found = understanding_measures(truth, [ALARM.text.replace("alarm_set", "alarm_query"), None])
    assert found["intent_accuracy"] == 0
    assert found["scenario_accuracy"] == 0.5
    assert found["transcript_wer"] == pytest.approx(2 / 6)
    assert found["string_wer"] == pytest.approx(5 / 20)
    kept = understanding_measures(truth, [ALARM.text, None], missing="skip")
    assert kept["intent_accuracy"] == 1
    assert kept["string_wer"] == 0


@pytest.mark.real_data
def test_targets_of_slurp_are_written_and_read_back(data_root: Path) -> None:
    path = data_root / "slurp_text" / "test.jsonl.gz"
    if not path.exists():
        pytest.skip(f"needs {path}")
    with gzip.open(path, "rt") as file:
        sentences = [json.loads(line) for line in file]
    slots = [json.dumps([[entity["type"], _filler(sentence, entity)] for entity in sentence["entities"]]) for sentence in sentences]  # fmt: skip
    rows = pd.DataFrame(
        {
            "intent": [f"{sentence['scenario']}_{sentence['action']}" for sentence in sentences],
            "said": [sentence["sentence"] for sentence in sentences],
            "slots": slots,
        }
    )
    targets = read(rows)
    assert [parse_target(target.text) for target in targets] == targets
    assert len({target.scenario for target in targets}) == 18
    assert len({target.intent for target in targets}) == 59


def _filler(sentence: dict[str, Any], entity: dict[str, Any]) -> str:
    return " ".join(sentence["tokens"][token]["surface"].lower() for token in entity["span"])
