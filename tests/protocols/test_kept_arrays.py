"""A judgement that is interrupted: what models said, wrote and embedded is not asked again, and no bit of the result differs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests.protocols.test_continual import Recalls
from tests.protocols.test_continual_texts import Classifies, Writer, mistaken, right, spoken
from tests.protocols.toys import Filters
from tests.protocols.varieties import toy_varieties
from tswork.config import configure
from tswork.context import Context
from tswork.data.collection import DataInfo, Part, Split
from tswork.encoders.base import Frames
from tswork.errors import Interrupted
from tswork.methods.model import Model
from tswork.protocols import kept_arrays
from tswork.protocols.base import Protocol, Result
from tswork.protocols.continual import Continual, ContinualProtocolConfig
from tswork.protocols.plain_features import Features, plain_features
from tswork.store import Store

COUNTS = (4, 4, 4)


class Chooses(Classifies):
    """Counts how often it is asked, and is interrupted when it is asked at all while it may not be."""

    def __init__(self, split: Split) -> None:
        super().__init__(Recalls(), DataInfo.of(split.train), provides=frozenset({"answer", "classify"}))
        self.asked, self.stops = 0, False

    def classify(self, x: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        if self.stops:
            raise Interrupted("interrupted")
        self.asked += 1
        return super().classify(x, lengths)


class Stops(Writer):
    """A writer that is interrupted."""

    def transcribe(
        self, x: torch.Tensor, lengths: torch.Tensor | None = None, *, beams: int = 1, longest: int = 130
    ) -> list[str]:
        raise Interrupted("interrupted")


def judge(folder: Path | None, split: Split, **candidates: list[Model]) -> Result:
    context = Context(pieces=None if folder is None else Store(folder))
    return Continual(ContinualProtocolConfig(beams=2)).evaluate(candidates, split, context)


def assert_equal(found: Result, expected: Result) -> None:
    for one, other in (
        (found.rows, expected.rows),
        (found.units, expected.units),
        (found.predictions, expected.predictions),
    ):
        assert one is not None
        assert other is not None
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    for name, table in expected.tables.items():
        pd.testing.assert_frame_equal(found.tables[name], table, check_exact=True)


def test_what_models_wrote_before_an_interruption_is_not_written_again(tmp_path: Path) -> None:
    split = spoken(COUNTS)

    def writers() -> list[Writer]:
        say = [right, mistaken((0.5, 1, 1), COUNTS), mistaken((0.25, 0.75, 1), COUNTS)]
        return [Writer(split, one) for one in say]

    whole = judge(None, split, one=[*writers()])
    first = writers()
    with pytest.raises(Interrupted):
        judge(tmp_path, split, one=[first[0], first[1], Stops(split, right)])
    rest = writers()
    assert_equal(judge(tmp_path, split, one=[*rest]), whole)
    assert [bool(one.asked) for one in (*first[:2], *rest)] == [True, True, False, False, True]


def test_scores_of_classes_that_are_there_are_not_computed_again(tmp_path: Path) -> None:
    split = spoken(COUNTS)
    models = [Chooses(split) for _ in range(3)]
    whole = judge(None, split, one=[*models])
    models[2].stops = True
    with pytest.raises(Interrupted):
        judge(tmp_path, split, one=[*models])
    models[2].stops = False
    before = [one.asked for one in models]
    assert_equal(judge(tmp_path, split, one=[*models]), whole)
    assert [one.asked - earlier for one, earlier in zip(models, before, strict=True)] == [0, 0, 1]


def test_rows_are_kept_apart(tmp_path: Path) -> None:
    split = spoken(COUNTS)
    models = {"good": [Writer(split, right)], "bad": [Writer(split, lambda row, target: "")]}
    whole = judge(None, split, **models)  # type: ignore[arg-type]
    for _ in range(2):
        assert_equal(judge(tmp_path, split, **models), whole)  # type: ignore[arg-type]
    assert whole.value("good", "last_accuracy_by_sample") == 1
    assert whole.value("bad", "last_accuracy_by_sample") == 0


class Embeds(Filters):
    """Counts what it embeds, and is interrupted at a part while it may not."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 5)
        self.batches, self.allowed = 0, 1_000

    def forward(self, *arguments: Any, **keywords: Any) -> Frames:
        if self.batches >= self.allowed:
            raise Interrupted("interrupted")
        self.batches += 1
        return super().forward(*arguments, **keywords)


@pytest.mark.parametrize("protocol", ["probe_classify", "variety_analysis"])
def test_embeddings_and_features_that_are_there_are_not_computed_again(
    protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = toy_varieties(classes=2, clips=3)
    options = {"features": "statistics"} if protocol == "probe_classify" else {"features": "mfcc_statistics"}
    encoder, featured = Embeds(len(split.train.collection.channels)), list[str]()
    model = Model(encoder, DataInfo.of(split.train))

    def evaluated(folder: Path | None) -> Result:
        judging: Protocol[Any] = configure("protocol", {"uses": protocol, **options}).build()
        context = Context(pieces=None if folder is None else Store(folder))
        return judging.evaluate({"one": [model], "two": [model]}, split, context)

    def noted(features: Features, part: Part) -> np.ndarray:
        featured.append(features)
        return plain_features(features, part)

    monkeypatch.setattr(kept_arrays, "plain_features", noted)
    whole, a_row = evaluated(None), encoder.batches // 2
    assert len(featured) == 2
    encoder.batches, encoder.allowed = 0, a_row + a_row // 2
    with pytest.raises(Interrupted):
        evaluated(tmp_path)
    encoder.batches, encoder.allowed = 0, 1_000
    assert_equal(evaluated(tmp_path), whole)
    assert encoder.batches == a_row - a_row // 2, "of the second row the test part was left"
    assert len(featured) == 4, "features were kept"
