"""The protocol of continual learning: the accuracy matrix, what stands for all times, units, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from tests.protocols.toys import toy_classes
from tswork.context import Context
from tswork.data.collection import DataInfo, Part, Split
from tswork.data.tasks_spec import TasksSpec
from tswork.encoders.base import Encoder, Frames, full_lengths
from tswork.errors import DataInvalid, ModelUnfit
from tswork.methods.model import Model
from tswork.protocols.base import Result
from tswork.protocols.continual import Continual, ContinualProtocolConfig
from tswork.recorder import MemoryRecorder

SPLIT = toy_classes(items=90, classes=3, ragged=False)


class Recalls(Encoder):
    """The mean of a series, which in `told` says its class."""

    dim = 1

    def __init__(self) -> None:
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(()))

    def forward(
        self, x: torch.Tensor, lengths: torch.Tensor | None = None, *, keep: torch.Tensor | None = None
    ) -> Frames:
        return Frames(x.mean(dim=1, keepdim=True) + self.nothing, full_lengths(x).clamp(max=1))


class Knows(nn.Module):
    """Logits that are right for some classes; for others the first of those known."""

    def __init__(self, known: list[int]) -> None:
        super().__init__()
        self._known = known

    def forward(self, embedded: torch.Tensor) -> torch.Tensor:
        truth = embedded[:, 0].round().long()
        right = torch.isin(truth, torch.tensor(self._known))
        chosen = torch.where(right, truth, self._known[0])
        return nn.functional.one_hot(chosen, 3).float()


def told(sizes: tuple[int, ...] = (1, 1, 1)) -> Split:
    """Series that say their class."""
    collection = SPLIT.train.collection
    codes = collection.codes("kind").repeat_interleave(collection.lengths).float()[:, None]
    return SPLIT.on(collection.replaced(values=codes, tasks=TasksSpec(sizes=sizes)))


def model(known: list[int]) -> Model:
    return Model(
        Recalls(), DataInfo.of(SPLIT.train), heads={"classify": Knows(known)}, provides=frozenset({"classify"})
    )


def judged(*, split: Split | None = None, **candidates: list[Model]) -> Result:
    return Continual(ContinualProtocolConfig()).evaluate(candidates, split or told(), Context())


def test_a_model_that_knows_its_last_class_alone_forgets_all_others() -> None:
    result = judged(
        forgetful=[model([0]), model([1]), model([2])], perfect=[model([0]), model([0, 1]), model([0, 1, 2])]
    )
    assert [result.value("forgetful", "accuracy", f"t{time}") for time in (1, 2, 3)] == pytest.approx([1, 1 / 2, 1 / 3])
    assert result.value("forgetful", "last_accuracy_by_task") == pytest.approx(1 / 3)
    assert result.value("forgetful", "average_accuracy_by_sample") == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert result.value("forgetful", "forgetting") == 1
    assert result.value("forgetful", "backward_transfer") == -1
    assert result.value("perfect", "average_accuracy_by_sample") == 1
    assert result.value("perfect", "forgetting") == 0


def test_a_model_chooses_among_the_classes_seen_so_far() -> None:
    """It would say class 2 for all; after two tasks it has not met it, and says the first of the others."""
    result = judged(later=[model([2]), model([2]), model([2])])
    assert result.value("later", "accuracy", "t1") == 1
    assert result.value("later", "accuracy", "t2") == pytest.approx(0.5)
    assert result.value("later", "accuracy", "t3") == pytest.approx(1 / 3)


def test_one_model_stands_for_all_times_and_the_majority_is_of_the_classes_seen() -> None:
    result = judged(joint=[model([0, 1, 2])], random=[model([0])])
    assert result.value("joint", "average_accuracy_by_task") == 1
    roles = result.rows.drop_duplicates("row").set_index("row")["role"].to_dict()
    assert roles == {"majority": "control", "joint": "candidate", "random": "control"}
    assert [result.value("majority", "accuracy", f"t{time}") for time in (1, 2, 3)] == pytest.approx([1, 1 / 2, 1 / 3])
    assert result.warnings == ()
    (warning,) = judged(poor=[model([0])], random=[model([0])]).warnings
    assert warning.startswith("poor does not beat the control majority in average_accuracy_by_sample")


def test_the_matrix_is_a_table_and_tasks_may_be_of_unequal_size() -> None:
    result = judged(split=told((1, 2)), one=[model([0]), model([1, 2])])
    table = result.tables["accuracy_matrix"]
    own = table[table["row"] == "one"].drop(columns="row").reset_index(drop=True)
    expected = pd.DataFrame({"after": [1, 2, 2], "task": [1, 1, 2], "items": [10, 10, 20], "accuracy": [1.0, 0.0, 1.0]})
    pd.testing.assert_frame_equal(own, expected, check_dtype=False)
    assert result.value("one", "last_accuracy_by_sample") == pytest.approx(20 / 30)
    assert result.value("one", "last_accuracy_by_task") == pytest.approx(1 / 2)


def test_figures_by_sample_are_means_over_units() -> None:
    result = judged(split=told((1, 2)), one=[model([0]), model([1])])
    assert result.units is not None
    for metric in ("average_accuracy_by_sample", "last_accuracy_by_sample"):
        means = result.units.groupby("row")[metric].mean()
        for row in ("one", "majority"):
            assert means[row] == pytest.approx(result.value(row, metric))
    assert result.predictions is not None
    counts = result.predictions[result.predictions["row"] == "one"]["at"].value_counts()
    assert counts.to_dict() == {"t1": 10, "t2": 30}


def test_forward_transfer_is_on_the_next_task_among_all_classes_less_that_of_the_untrained_model() -> None:
    early = [model([0, 1]), model([0, 1]), model([0, 1, 2])]  # knows the second class before it comes, not the third
    result = judged(early=early, joint=[model([0, 1, 2])], random=[model([0])])
    assert result.value("early", "forward_transfer_all_classes") == pytest.approx((1 + 0) / 2)
    assert result.value("early", "accuracy", "t1") == 1
    less = judged(early=early, random=[model([1])])
    assert less.value("early", "forward_transfer_all_classes") == pytest.approx((1 - 1 + 0) / 2)
    told = result.rows[result.rows["metric"] == "forward_transfer_all_classes"]["row"].tolist()
    assert told == ["early"], "who has one model for all times, and who was never trained, has none"
    assert "forward_transfer_all_classes" not in set(judged(early=early).rows["metric"])


def test_every_candidate_has_its_matrix_drawn() -> None:
    recorder = MemoryRecorder()
    candidates = {"random": [model([0])], "er": [model([0]), model([0, 1]), model([0, 1, 2])]}
    Continual(ContinualProtocolConfig()).evaluate(candidates, told(), Context(recorder=recorder))
    assert list(recorder.figures) == ["accuracy_matrix/er"]


def test_samples_without_a_task_take_no_part() -> None:
    split = told()
    collection = split.train.collection
    group = collection.table["kind"].where(np.arange(90) % 6 != 0)  # half of the first class has none
    divided = collection.replaced(table=collection.table.assign(topic=group), tasks=TasksSpec(column="topic"))
    result = judged(split=split.on(divided), one=[model([0]), model([0, 1]), model([0, 1, 2])])
    assert result.value("one", "last_accuracy_by_sample") == 1
    assert result.tables["accuracy_matrix"].groupby("task")["items"].first().tolist() == [5, 10, 10]
    assert "15 items without a class or a task were left out" in result.warnings


def test_models_that_do_not_fit_the_tasks_are_refused() -> None:
    with pytest.raises(ModelUnfit, match="it has 2 models, and there are 3 tasks"):
        judged(two=[model([0]), model([1])])
    with pytest.raises(DataInvalid, match="the data are not divided into tasks"):
        judged(split=SPLIT, one=[model([0])])


def test_test_data_without_samples_of_a_task_are_refused() -> None:
    split = told()
    some = Part(split.test.collection, split.test.spans[split.test.codes("kind") != 1])
    few = Split(split.train, split.validation, some)
    with pytest.raises(DataInvalid, match="there are no test samples of the classes of task 2"):
        judged(split=few, one=[model([0])])
    assert np.isfinite(judged(one=[model([0])]).rows["value"]).all()
