"""The alarms: silent where nothing is planted, loud where the silence, the level, the rate or the speaker gives the class away."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from tests.protocols.varieties import RATE, Planted, toy_varieties
from tswork.data.collection import Collection, Part, Split
from tswork.protocols import recording_features
from tswork.protocols.leak_probes import Leak, LeakProbes
from tswork.protocols.space_geometry import nearness, nearness_warnings, undefined_nearness
from tswork.protocols.spaces import Space
from tswork.protocols.variety_config import Columns, VarietyAnalysisConfig

CONFIG = VarietyAnalysisConfig(neighbours=5)


def probed(split: Split, *spaces: Space) -> tuple[pd.DataFrame, list[str]]:
    columns = Columns.of(CONFIG, split.train.collection)
    leaks = LeakProbes(CONFIG, columns, split.train, split.test, seed=0)
    for space in spaces:
        leaks.of_space(space)
    leaks.of_recordings()
    return leaks.table(), list(leaks.warnings([space.row for space in spaces]))


def space_of(split: Split, column: str, *, noise: float = 0.1) -> Space:
    """A space in which every value of a column has a place of its own."""
    draw = np.random.default_rng(0)
    homes = draw.normal(size=(len(split.train.collection.categories(column)), 6))
    x = [
        homes[part.codes(column).numpy()] + noise * draw.normal(size=(len(part), 6))
        for part in (split.train, split.test)
    ]
    return Space("ours", "candidate", *x)


def test_nothing_planted_nothing_told() -> None:
    table, told = probed(toy_varieties(places=12, speakers=1, clips=4))
    assert told == []
    asked = table[table["asks"] == "region"].set_index("probe")
    assert set(asked.index) == {"metadata", "bandwidth", "beginning", "silence"}
    assert (asked["balanced_accuracy"] < 0.5).all()
    assert (asked["groups"] == 18).all()


@pytest.mark.parametrize(
    ("planted", "probe", "what"),
    [
        ("silence", "beginning", "the silence of the first 200 ms"),
        ("level", "metadata", "length, level and recording columns"),
        ("rate", "bandwidth", r"the reach of the spectrum \(sample rate or coding\)"),
    ],
)
def test_what_gives_the_class_away_is_told(planted: Planted, probe: str, what: str) -> None:
    table, told = probed(toy_varieties(places=12, speakers=1, clips=4, planted=planted))
    found = table.set_index("probe").loc[probe]
    assert found["alarm"]
    assert found["balanced_accuracy"] > 0.6
    assert any(
        line.startswith(f"leak alarm: region can be told from {what.replace(chr(92), '')} alone") for line in told
    )


def test_a_sample_rate_that_goes_with_the_class_is_found_in_the_table_and_after_resampling() -> None:
    """Half of the recordings were made at a lower rate, and it is the class; all have one rate now."""
    split = toy_varieties(classes=2, places=12, speakers=1, clips=4, planted="rate")
    collection = split.train.collection
    low = collection.table["region"] == "region0"
    told_by_column = split.on(collection.replaced(table=collection.table.assign(sample_rate=np.where(low, 1200, 4000))))
    table, told = probed(told_by_column)
    found = table.set_index("probe")
    assert found.loc["metadata", "balanced_accuracy"] == 1
    assert (found["balanced_accuracy"][["metadata", "bandwidth"]] > 0.95).all()
    assert sum(line.startswith("leak alarm") for line in told) >= 2


def test_a_space_of_speakers_is_told_from_a_space_of_classes() -> None:
    split = toy_varieties(clips=8)
    columns = Columns.of(CONFIG, split.train.collection)
    for column, alarm in (("speaker", True), ("region", False)):
        space = space_of(split, column)
        lines = [
            (space.row, space.role, *one)
            for one in nearness(space, split.test, columns, distance="euclidean", neighbours=5)
        ]
        near = pd.DataFrame(lines, columns=["row", "role", "measure", "column", "value", "by_chance"])
        told = list(nearness_warnings(near, columns))
        assert (
            any("leak alarm: items of ours lie nearer to their speaker than to their region" in one for one in told)
            == alarm
        )
        table, warned = probed(split, space)
        found = table[(table["probe"] == "identity") & (table["asks"] == "speaker") & (table["within"] == "")]
        assert found["part"].tolist() == ["train", "test"]
        assert found["chance"].tolist() == [0.25, 0.25]  # four speakers of each class in each part
        assert (found["balanced_accuracy"] > 0.9).all() == alarm
        assert (
            any(one.startswith("embeddings of ours tell the speaker of clips within one region") for one in warned)
            == alarm
        )


def test_knowing_the_class_is_no_knowledge_of_speakers() -> None:
    """Each class has its own speakers: a space of classes alone must not tell them apart better than by chance."""
    split = toy_varieties(clips=20)
    table, _ = probed(split, space_of(split, "region"))
    found = table[(table["asks"] == "speaker") & (table["within"] == "")]
    assert found["balanced_accuracy"].between(0.1, 0.4).all()


def test_embeddings_that_know_how_items_were_recorded_are_told() -> None:
    split = toy_varieties(places=12, speakers=1, clips=4)
    collection = split.train.collection
    device = np.where(np.arange(len(collection)) % 2 == 0, "phone", "studio")
    split = split.on(collection.replaced(table=collection.table.assign(device=device)))
    table, told = probed(split, space_of(split, "device"))
    found = table[table["probe"] == "recording"].iloc[0]
    assert (found["asks"], found["values"], found["chance"]) == ("device", 2, 0.5)
    assert any(line.startswith("embeddings of ours tell device (balanced accuracy") for line in told)
    _, silent = probed(split, space_of(split, "region"))
    assert not any("device" in line for line in silent)


def test_items_that_sound_at_once_are_not_judged_by_their_silence() -> None:
    split = toy_varieties(speakers=1, clips=4)
    loud = split.train.collection.replaced(values=torch.ones_like(split.train.collection.values))
    table, _ = probed(split.on(loud))
    assert "beginning" not in set(table["probe"])


def test_sound_begins_and_ends_where_it_is_loud() -> None:
    rate, quiet = 8000.0, 1e-4
    values = np.full((2, 8000, 1), quiet)
    values[0, 1600:4000], values[1, 0:8000] = 0.5, quiet
    part = Part.whole(Collection.from_sequences(list(values), rate=rate))
    start, stop = recording_features.sounding(part)
    assert start.tolist() == [1600, 0]
    assert stop.tolist() == [4000, 8000]
    inside = Part(part.collection, torch.tensor([[0, 800, 4800]]))
    assert [end.tolist() for end in recording_features.sounding(inside)] == [[1600], [4000]]


def test_metadata_are_length_peak_level_and_columns() -> None:
    table = pd.DataFrame({"codec": ["mp3", "wav"]})
    sequences = [np.array([[0.0], [1.0], [-1.0], [0.0]]), np.full((8, 1), 0.1)]
    part = Part.whole(Collection.from_sequences(sequences, table=table, rate=RATE))
    found = recording_features.metadata(part, ("codec",))
    np.testing.assert_allclose(found[:, 0], np.log([4, 8]))
    np.testing.assert_allclose(found[:, 1], [1.0, 0.1])
    np.testing.assert_allclose(found[:, 2], [10 * np.log10(0.5), -20], rtol=1e-6)
    assert found[:, 3:].tolist() == [[1, 0], [0, 1]]


def test_few_groups_cannot_ring() -> None:
    leak = Leak("silence", "silence", "region", "test", 500, 4, 2, 0.9, 0.5, 0.9, 0.5)
    assert not leak.alarm
    assert replace(leak, groups=40).alarm
    assert not replace(leak, groups=40, balanced_accuracy=0.55).alarm
    assert replace(leak, groups=2, balanced_accuracy=1.0, chance=0.1).alarm
    assert not replace(leak, groups=1, balanced_accuracy=1.0, chance=0.1).alarm


def test_columns_by_which_nothing_can_be_near_are_named() -> None:
    nan = float("nan")
    lines = [
        (row, "candidate", "silhouette", column, value, 0.0)
        for row, values in (("random", (nan, 0.1, nan)), ("ours", (nan, nan, nan)))
        for column, value in zip(("region", "speaker", "place"), values, strict=True)
    ]
    table = pd.DataFrame(lines, columns=["row", "role", "measure", "column", "value", "by_chance"])
    assert list(undefined_nearness(table)) == [
        "silhouettes by region, place are not defined and stand as NaN: the test items have one value there, or each of them has one"
        " of its own"
    ]
    assert list(undefined_nearness(table[table["column"] == "speaker"])) == []
