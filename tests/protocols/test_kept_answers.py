"""A judgement of continual learning that is interrupted: models are not asked again, and no bit of the result differs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch

from tests.protocols.test_continual import Recalls
from tests.protocols.test_continual_texts import Classifies, Writer, mistaken, right, spoken
from tswork.context import Context
from tswork.data.collection import DataInfo, Split
from tswork.errors import Interrupted
from tswork.methods.model import Model
from tswork.protocols.base import Result
from tswork.protocols.continual import Continual, ContinualProtocolConfig
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
