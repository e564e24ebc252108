"""The protocol of continual learning and models that write text: intents, word errors, entities, and what is absent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests.protocols.test_continual import Recalls
from tswork.context import Context
from tswork.data.collection import Collection, DataInfo, Part, Split
from tswork.data.tasks_spec import TasksSpec
from tswork.data.text_spec import TextSpec
from tswork.errors import DataInvalid, ModelUnfit
from tswork.methods.model import Model
from tswork.metrics.understanding import understanding_measures
from tswork.protocols import continual_samples
from tswork.protocols.base import Result
from tswork.protocols.continual import Continual, ContinualProtocolConfig
from tswork.text.collection_text import targets_of, tokens_of
from tswork.text.targets import Target
from tswork.text.writing import tokenizer_of

INTENTS = ("alarm_set", "alarm_stop", "music_play")
WORDS = {"alarm_set": "wake me at five pm", "alarm_stop": "stop it", "music_play": "play some jazz"}
SLOTS = {"alarm_set": '[["time", "five pm"]]', "alarm_stop": "", "music_play": '[["genre", "jazz"]]'}
FULL = {"transcript": "words", "slots": "slots"}


def spoken(counts: Sequence[int] = (20, 20, 20), *, text: dict[str, Any] | None = None, **tasks: Any) -> Split:
    """Utterances that hold their row number; one of each intent to train on, and so many of each for the test."""
    names = [*INTENTS, *np.repeat(INTENTS, counts)]
    table = pd.DataFrame(
        {"intent": names, "words": [WORDS[name] for name in names], "slots": [SLOTS[name] for name in names]}
    )
    table["speaker"] = [f"s{row % 7}" for row in range(len(names))]
    collection = Collection.from_sequences(
        [np.full((4, 1), float(row), np.float32) for row in range(len(names))],
        table=table,
        label="intent",
        groups=("speaker",),
        tasks=TasksSpec(**tasks),
        text=TextSpec(vocabulary=60, **(FULL if text is None else text)),
    )
    train, test = Part.of(collection, torch.arange(3)), Part.of(collection, torch.arange(3, len(names)))
    return Split(train, Part(collection, train.spans[:0]), test)


class Writer(Model):
    """Writes what it is told to of each row, and remembers how it was asked."""

    def __init__(self, split: Split, say: Callable[[int, Target], str]) -> None:
        super().__init__(Recalls(), DataInfo.of(split.train), provides=frozenset({"answer", "transcribe"}))
        self._say, self._targets = say, targets_of(split.test)
        self.asked: list[tuple[list[int], int, int]] = []

    def transcribe(
        self, x: torch.Tensor, lengths: torch.Tensor | None = None, *, beams: int = 1, longest: int = 130
    ) -> list[str]:
        rows = x.mean(dim=(1, 2)).round().long().tolist()
        self.asked.append((rows, beams, longest))
        return [self._say(row, self._targets[row]) for row in rows]


def right(row: int, target: Target) -> str:
    return target.text


def mistaken(shares: Sequence[float], counts: Sequence[int]) -> Callable[[int, Target], str]:
    """Writes the right intent of a share of each intent's samples, and a wrong one of the others."""
    firsts = dict(zip(INTENTS, 3 + np.cumsum([0, *counts[:-1]]), strict=True))
    wrong = {name: share * count for name, share, count in zip(INTENTS, shares, counts, strict=True)}

    def say(row: int, target: Target) -> str:
        hit = row - firsts[target.intent] < round(wrong[target.intent])
        return target.text if hit else target.text.replace(target.intent, "nobody_knows")

    return say


def judged(split: Split, *, beams: int = 5, **candidates: list[Model]) -> Result:
    return Continual(ContinualProtocolConfig(beams=beams)).evaluate(candidates, split, Context())


# Accuracy


def test_the_accuracy_is_that_of_the_intents_that_are_written() -> None:
    """A matrix whose figures are known: rows 90; 70 80; 75 60 85."""
    split, counts = spoken(), (20, 20, 20)
    shares = [(0.9, 0, 0), (0.7, 0.8, 0), (0.75, 0.6, 0.85)]
    result = judged(split, one=[Writer(split, mistaken(share, counts)) for share in shares])
    found = {
        "average_accuracy_by_sample": 79.4444,
        "last_accuracy_by_task": 73.3333,
        "forgetting": 17.5,
        "forgetting_best_ever": 17.5,
        "forgetting_first": 17.5,
        "backward_transfer": -17.5,
        "backward_transfer_triangle": -18.3333,
        "triangle_accuracy": 76.6667,
    }
    assert {name: 100 * result.value("one", name) for name in found} == pytest.approx(found, abs=1e-4)
    after = [100 * result.value("one", "accuracy", f"t{time}") for time in (1, 2, 3)]
    assert after == pytest.approx([90, 75, 73.3333], abs=1e-4)
    table = result.tables["accuracy_matrix"]
    assert table[table["row"] == "one"]["accuracy"].tolist() == pytest.approx([0.9, 0.7, 0.8, 0.75, 0.6, 0.85])


def test_tasks_weigh_as_their_samples_or_alike() -> None:
    """100 samples at 90 % and 300 at 50 %; the second task has two intents."""
    split, counts = spoken((100, 150, 150), sizes=(1, 2)), (100, 150, 150)
    writer = Writer(split, mistaken((0.9, 0.5, 0.5), counts))
    result = judged(split, one=[writer])
    assert result.value("one", "last_accuracy_by_task") == pytest.approx(0.7)
    assert result.value("one", "last_accuracy_by_sample") == pytest.approx(0.6)


def test_tasks_may_be_of_scenarios_with_several_intents_each() -> None:
    split = spoken()
    table = split.train.collection.table
    scenario = table.assign(scenario=table["intent"].str.partition("_")[0])
    divided = split.on(split.train.collection.replaced(table=scenario, tasks=TasksSpec(column="scenario")))
    result = judged(divided, one=[Writer(divided, right), Writer(divided, right)])
    assert result.tables["accuracy_matrix"].query("row == 'one'")["items"].tolist() == [40, 40, 20]
    assert result.value("one", "average_accuracy_by_sample") == 1
    assert result.value("majority", "accuracy", "t1") == pytest.approx(0.5)


# Texts


def broken(row: int, target: Target) -> str:
    """Of every third utterance another scenario, of another third no entities and the wrong words, of others nothing."""
    return (target.text.replace("alarm", "music"), f"{target.intent} _SEP stop all that", "")[row % 3]


def test_figures_of_texts_are_pooled_over_the_tasks_so_far_and_averaged_over_times() -> None:
    split = spoken((6, 4, 5))
    result = judged(split, one=[Writer(split, broken), Writer(split, right), Writer(split, broken)])
    targets = list(targets_of(split.test).items())
    expected = []
    for time, say in enumerate((broken, right, broken)):
        seen = [(target, say(row, target)) for row, target in targets if INTENTS.index(target.intent) <= time]
        expected.append(understanding_measures([target for target, _ in seen], [text for _, text in seen]))
    for name in ("transcript_wer", "string_wer", "slu_f1", "scenario_accuracy"):
        after = [one[name] for one in expected]
        assert [result.value("one", name, f"t{time}") for time in (1, 2, 3)] == pytest.approx(after)
        assert result.value("one", f"average_{name}") == pytest.approx(np.mean(after))
        assert result.value("one", f"last_{name}") == pytest.approx(after[-1])
    assert result.value("one", "average_accuracy_by_sample") == pytest.approx(
        np.mean([one["intent_accuracy"] for one in expected])
    )
    assert expected[1]["transcript_wer"] == 0
    assert 0 < expected[2]["slu_f1"] < 1


def test_measures_by_task_are_a_table() -> None:
    split = spoken((6, 4, 5))
    table = judged(split, one=[Writer(split, right), Writer(split, broken), Writer(split, broken)]).tables[
        "understanding_matrix"
    ]
    assert table[["after", "task", "items"]].to_numpy().tolist() == [
        [1, 1, 6], [2, 1, 6], [2, 2, 4], [3, 1, 6], [3, 2, 4], [3, 3, 5],
    ]  # fmt: skip
    assert table["transcript_wer"][0] == 0
    own = {row: target for row, target in targets_of(split.test).items() if target.intent == "alarm_stop"}
    expected = understanding_measures(list(own.values()), [broken(row, target) for row, target in own.items()])
    assert table.iloc[4][[*expected][1:]].to_dict() == pytest.approx({name: expected[name] for name in [*expected][1:]})
    assert table["slu_f1"][2] == 0, "of an intent without entities"


def test_figures_by_sample_are_means_over_units_and_their_groups_are_kept() -> None:
    split = spoken((6, 4, 5))
    result = judged(split, one=[Writer(split, broken), Writer(split, right), Writer(split, broken)])
    assert result.units is not None
    means = result.units[result.units["row"] == "one"].mean(numeric_only=True)
    for metric in (
        "average_accuracy_by_sample",
        "last_accuracy_by_sample",
        "average_transcript_wer",
        "last_transcript_wer",
        "average_string_wer",
        "last_string_wer",
    ):
        assert means[metric] == pytest.approx(result.value("one", metric)), metric
    assert set(result.units["group"]) == {f"s{number}" for number in range(7)}


def test_predictions_hold_what_was_written_and_what_was_to_be() -> None:
    split = spoken((2, 1, 1))
    frame = judged(split, one=[Writer(split, broken), Writer(split, right), Writer(split, right)]).predictions
    assert frame is not None
    own = frame[frame["row"] == "one"]
    assert own["at"].value_counts().to_dict() == {"t1": 2, "t2": 3, "t3": 4}
    first = own.iloc[0]
    assert first["text"] == "alarm_set _SEP time _FILL five pm _SEP wake me at five pm"
    assert first["written"] == first["text"].replace("alarm", "music")
    assert (first["truth"], first["predicted"]) == ("alarm_set", "music_set")
    assert frame[frame["row"] == "majority"]["written"].isna().all()


@pytest.mark.parametrize(
    ("text", "absent"),
    [
        ({"transcript": "words"}, {"slu_f1"}),
        ({"slots": "slots"}, {"transcript_wer"}),
        ({}, {"slu_f1", "transcript_wer"}),
        ({"intent": "words"}, {"slu_f1", "transcript_wer", "scenario_accuracy"}),
    ],
)
def test_what_the_data_do_not_have_is_not_measured(text: dict[str, Any], absent: set[str]) -> None:
    split = spoken((2, 2, 2), text=text)
    result = judged(split, one=[Writer(split, right)])
    there = set(result.rows["metric"])
    measures = {"slu_f1", "transcript_wer", "string_wer", "scenario_accuracy"}
    assert {name for name in measures if name in there} == measures - absent
    assert {name for name in measures if f"average_{name}" in there} == measures - absent
    assert result.rows["value"].notna().all()
    assert set(result.tables["understanding_matrix"].columns) & measures == measures - absent


# Who writes


def test_a_model_is_asked_for_the_tasks_so_far_and_one_for_all_times_once() -> None:
    split = spoken((4, 4, 4))
    models = [Writer(split, right) for _ in range(3)]
    joint = Writer(split, right)
    judged(split, beams=2, one=[*models], joint=[joint])
    rows = [sorted(row for asked, _, _ in one.asked for row in asked) for one in (*models, joint)]
    assert rows == [list(range(3, stop)) for stop in (7, 11, 15, 15)]
    assert {(beams, longest) for asked in models for _, beams, longest in asked.asked} == {(2, 130)}


def test_the_untrained_model_writes_greedily_and_no_more_than_texts_are_long() -> None:
    split = spoken((4, 4, 4))
    untrained = Writer(split, lambda row, target: "x")
    result = judged(split, random=[untrained], one=[Writer(split, right)])
    longest = int(tokens_of(split.train, tokenizer_of(untrained)).offsets.diff().max())
    assert {(beams, most) for _, beams, most in untrained.asked} == {(1, longest)}
    assert longest < 130
    assert result.value("random", "last_accuracy_by_sample") == 0
    assert result.value("random", "last_slu_f1") == 0
    assert result.warnings == ()


class Classifies(Model):
    def classify(self, x: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        return torch.eye(3)[0].expand(len(x), 3)


def test_models_that_classify_and_models_that_write_stand_in_one_table() -> None:
    split = spoken((4, 4, 4))
    chooser = Classifies(Recalls(), DataInfo.of(split.train), provides=frozenset({"answer", "classify"}))
    result = judged(split, choose=[chooser], write=[Writer(split, right)])
    assert result.value("choose", "last_accuracy_by_sample") == pytest.approx(1 / 3)
    assert result.value("write", "last_accuracy_by_sample") == 1
    assert set(result.rows.query("metric == 'last_string_wer'")["row"]) == {"write"}
    other = split.on(split.train.collection.replaced(text=TextSpec(intent="words", vocabulary=60)))
    with pytest.raises(ModelUnfit, match="it tells the label 'intent', and others write the intent 'words'"):
        judged(other, choose=[chooser], write=[Writer(other, right)])


def test_bad_texts_are_refused_before_anything_trains() -> None:
    split = spoken((2, 2, 2))
    table = split.train.collection.table.copy()
    table.loc[5, "words"] = ""
    bad = split.on(split.train.collection.replaced(table=table))
    with pytest.raises(DataInvalid, match="row 5: its transcript is empty"):
        Continual(ContinualProtocolConfig()).check(bad)


@pytest.mark.parametrize("intent", [None, "words"])
def test_texts_are_read_once_where_models_are_judged(intent: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where another column than the label is the intent, so that either may be told."""
    split = spoken((2, 2, 2), text={**FULL, "intent": intent})
    writer, read = Writer(split, right), list[int]()

    def counted(part: Part) -> dict[int, Target]:
        read.append(len(part))
        return targets_of(part)

    monkeypatch.setattr(continual_samples, "targets_of", counted)
    assert judged(split, one=[writer]).value("one", "last_accuracy_by_sample") == 1
    assert read == [6]


def test_forgetting_and_word_errors_are_the_better_the_smaller() -> None:
    smaller = {metric for metric in Continual.metrics if not Continual.greater_is_better_in(metric)}
    assert smaller == {
        "forgetting", "forgetting_best_ever", "forgetting_first", "average_transcript_wer", "last_transcript_wer",
        "average_string_wer", "last_string_wer", "transcript_wer", "string_wer",
    }  # fmt: skip
    assert not Continual.greater_is_better_in("string_wer@t2")
