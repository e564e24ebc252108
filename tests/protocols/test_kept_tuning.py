"""A judgement that is interrupted: what was fine-tuned is not trained again, and no bit of the result differs."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.protocols.patients import toy_patients
from tests.protocols.test_finetune_fraction import config, encoder
from tswork.context import Context
from tswork.data.collection import Split
from tswork.errors import Interrupted, TsworkWarning
from tswork.methods.model import Model
from tswork.protocols import fine_tuning, kept_tuning
from tswork.protocols.base import Result
from tswork.protocols.fine_tuning import Tuned, fine_tune
from tswork.protocols.finetune_fraction import FinetuneFraction
from tswork.recorder import MemoryRecorder
from tswork.store import Store
from tswork.training.loop import Trained, train

OPTIONS: dict[str, dict[str, Any]] = {
    "one rate": {"epochs": (2,), "scratch": {"learning_rate": 3e-2}},
    "several rates": {"epochs": (2,), "fractions": (0.5,), "learning_rates": (1e-4, 1e-2), "scratch": {"epochs": [3]}},
    "frozen": {"epochs": (2,), "fractions": (0.5,), "train": "head"},
}
NAMES = {
    "one rate": [f"{row}@{at}" for at in ("100%", "30%") for row in ("ours", "random", "from_scratch")],
    "several rates": [f"{row}@50%/{rate}" for row in ("ours", "random", "from_scratch") for rate in ("0.0001", "0.01")],
    "frozen": ["ours@50%", "random@50%"],
}
"""The fine-tunings of each, in the order in which they are trained."""


@cache
def material() -> tuple[Split, dict[str, Model]]:
    split = toy_patients(patients=12, segments=4, parts=(6, 9))
    return split, {"ours": encoder(split), "random": encoder(split, seed=1)}


def judge(name: str, folder: Path | None, *, seed: int = 0, **options: Any) -> tuple[Result, MemoryRecorder]:
    split, models = material()
    recorder = MemoryRecorder()
    context = Context(recorder=recorder, seed=seed, pieces=None if folder is None else Store(folder))
    protocol = FinetuneFraction(config(**{**OPTIONS[name], **options}))
    return protocol.evaluate({row: [model] for row, model in models.items()}, split, context), recorder


def assert_equal(found: tuple[Result, MemoryRecorder], expected: tuple[Result, MemoryRecorder]) -> None:
    """To the bit: figures, predictions, tables, weights and curves."""
    (result, recorder), (whole, its) = found, expected
    pd.testing.assert_frame_equal(result.rows, whole.rows, check_exact=True)
    for one, other in ((result.units, whole.units), (result.predictions, whole.predictions)):
        assert one is not None
        assert other is not None
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert result.tables.keys() == whole.tables.keys()
    for table, frame in whole.tables.items():
        pd.testing.assert_frame_equal(result.tables[table], frame, check_exact=True)
    assert result.heads.keys() == whole.heads.keys()
    for row, arrays in whole.heads.items():
        for name, array in arrays.items():
            np.testing.assert_array_equal(result.heads[row][name], array)
    assert result.warnings == whole.warnings
    assert list(recorder.curves.items()) == list(its.curves.items())


class Stopping:
    """Fine-tunes, notes it, and is interrupted before the training after so many."""

    def __init__(self, after: int | None) -> None:
        self.after, self.trained = after, list[str]()

    def __call__(self, *arguments: Any, name: str) -> Tuned:
        if len(self.trained) == self.after:
            raise Interrupted("interrupted")
        self.trained.append(name)
        return fine_tune(*arguments, name=name)


@pytest.fixture
def stopping(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Stopping]:
    def install(after: int | None = None) -> Stopping:
        counting = Stopping(after)
        monkeypatch.setattr(kept_tuning, "fine_tune", counting)
        return counting

    return install


@pytest.mark.parametrize(
    ("name", "after"), [("one rate", 1), ("one rate", 4), ("several rates", 1), ("several rates", 4), ("frozen", 1)]
)
def test_an_interrupted_judgement_goes_on_after_the_last_finished_network(
    name: str, after: int, tmp_path: Path, stopping: Any
) -> None:
    whole = judge(name, None)
    first = stopping(after)
    with pytest.raises(Interrupted):
        judge(name, tmp_path)
    rest = stopping()
    found = judge(name, tmp_path)
    assert (first.trained, rest.trained) == (NAMES[name][:after], NAMES[name][after:])
    assert_equal(found, whole)
    nothing_left = stopping(0)
    assert_equal(judge(name, tmp_path), whole)
    assert nothing_left.trained == []


def test_an_interrupted_training_goes_on_within_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, trainings = judge("one rate", None), list[Trained]()

    class Signalling(MemoryRecorder):
        def scalars(self, values: Any, *, step: int) -> None:
            super().scalars(values, step=step)
            if step == 1 and "random@100%/loss" in values:
                os.kill(os.getpid(), signal.SIGINT)

    def noted(*arguments: Any, **keywords: Any) -> Trained:
        trainings.append(train(*arguments, **keywords))
        return trainings[-1]

    split, models = material()
    with pytest.raises(Interrupted, match="random@100%: interrupted after step 2; run it again to go on from there"):
        FinetuneFraction(config(**OPTIONS["one rate"])).evaluate(
            {row: [model] for row, model in models.items()},
            split,
            Context(recorder=Signalling(), pieces=Store(tmp_path)),
        )
    monkeypatch.setattr(fine_tuning, "train", noted)
    assert_equal(judge("one rate", tmp_path), whole)
    assert [one.resumed_from for one in trainings] == [2, None, None, None, None]


@pytest.mark.parametrize("options", [{"learning_rate": 1e-3}, {"epochs": (1,)}, {"stratify": True}, {"seed": 1}])
def test_networks_of_other_options_are_not_taken(options: dict[str, Any], tmp_path: Path, stopping: Any) -> None:
    judge("frozen", tmp_path)
    counting = stopping()
    found = judge("frozen", tmp_path, **options)
    assert counting.trained == NAMES["frozen"]
    assert_equal(found, judge("frozen", None, **options))


def test_a_damaged_network_is_trained_again_with_a_warning(tmp_path: Path, stopping: Any) -> None:
    whole = judge("frozen", tmp_path)
    first, *_ = sorted(tmp_path.rglob(kept_tuning.WEIGHTS))
    content = bytearray(first.read_bytes())
    content[-1] ^= 1
    first.write_bytes(content)
    counting = stopping()
    with pytest.warns(TsworkWarning, match="was altered after it was written and is made again"):
        found = judge("frozen", tmp_path)
    assert len(counting.trained) == 1
    assert_equal(found, whole)


def test_of_several_rates_only_the_chosen_network_stays(tmp_path: Path) -> None:
    judge("several rates", tmp_path)
    assert len(list(tmp_path.rglob(kept_tuning.WEIGHTS))) == 3
