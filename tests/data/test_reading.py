"""What all readers are checked for: labels, classes, groups."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.opening import faults, places, read
from tswork.config import configure
from tswork.context import Context
from tswork.data.collection import DataInfo
from tswork.data.opening import open_splits
from tswork.data.spec import DataSpec
from tswork.errors import DataInvalid, TsworkWarning
from tswork.methods.base import build_model


def table(folder: Path, **columns: list[Any]) -> dict[str, Any]:
    rows = len(next(iter(columns.values())))
    np.save(folder / "x.npy", np.random.default_rng(0).normal(size=(rows, 1, 4)))
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    (folder / "t.csv").write_text("\n".join(lines) + "\n")
    return {"reader": "arrays", "path": "x.npy", "table": "t.csv"}


def test_label_and_groups_name_columns_of_the_table(tmp_path: Path) -> None:
    found = read(tmp_path, **table(tmp_path, kind=["a", "b"], who=[1, 2]), label="kind", groups="who")
    assert (found.label, found.groups, found.classes) == ("kind", ("who",), ("a", "b"))


def test_columns_that_are_not_there_are_all_told(tmp_path: Path) -> None:
    assert faults(tmp_path, **table(tmp_path, kind=["a", "b"], who=[1, 2]), label="knd", groups=["whoo", "x"]) == [
        "data.label: there is no column 'knd'. Did you mean 'kind'?",
        "data.groups: there is no column 'whoo'. Did you mean 'who'?",
        "data.groups: there is no column 'x'. Known: id, kind, who.",
    ]


def test_sequences_without_a_label_and_too_few_classes_are_told(tmp_path: Path) -> None:
    block = table(tmp_path, id=["r1", "r2", "r3"], kind=["a", "", "a"])
    assert faults(tmp_path, **block, label="kind") == [
        "data.label (kind): 1 sequence has no label: r2. Fill in the empty cells, leave them out with `unlabelled: drop`,"
        " or train on them without labels with `unlabelled: keep`.",
        "data.label (kind): fewer than two classes (found: a)",
    ]


def test_sequences_without_a_label_are_left_out_or_kept_on_request(tmp_path: Path) -> None:
    block = table(tmp_path, id=["r1", "r2", "r3"], kind=["a", "", "b"])
    with pytest.warns(TsworkWarning, match="unlabelled leaves out 1 of 3 sequences without a label: r2"):
        dropped = read(tmp_path, **block, label="kind", unlabelled="drop")
    assert dropped.table["id"].tolist() == ["r1", "r3"]
    assert dropped.notes == ("unlabelled leaves out 1 of 3 sequences without a label: r2",)
    whole = read(tmp_path, **block)
    assert dropped.sequence(1).equal(whole.sequence(2))
    kept = read(tmp_path, **block, label="kind", unlabelled="keep")
    assert kept.codes("kind").tolist() == [0, -1, 1]
    assert kept.values.equal(whole.values)


@pytest.mark.filterwarnings("ignore:unlabelled leaves out")
def test_classes_have_to_be_left_where_sequences_without_a_label_are_not_refused(tmp_path: Path) -> None:
    block = table(tmp_path, kind=["a", "", ""], other=["", "", ""])
    for choice in ("keep", "drop"):
        assert faults(tmp_path, **block, label="kind", unlabelled=choice)[0].startswith(
            "data.label (kind): fewer than two classes (found: a)"
        )
    with pytest.raises(
        DataInvalid, match=r"data\.unlabelled: 'unlabelled' leaves nothing: all 3 sequences without a label"
    ):
        read(tmp_path, **block, label="other", unlabelled="drop")


def test_the_key_of_data_whose_sequences_all_have_labels_is_what_it_was(tmp_path: Path) -> None:
    block = table(tmp_path, kind=["a", "b"])
    assert "unlabelled" not in DataSpec.parse({**block, "label": "kind"}).keyed()
    assert DataSpec.parse({**block, "label": "kind", "unlabelled": "keep"}).keyed()["unlabelled"] == "keep"


@pytest.mark.parametrize("rule", [{}, {"rule": "per_label"}])
def test_kept_sequences_without_a_label_are_trained_on_without_it_and_not_judged(
    tmp_path: Path, rule: dict[str, str]
) -> None:
    kinds = ["a", "b", ""] * 12
    block = table(tmp_path, kind=kinds, who=[f"p{number // 3}{kind}" for number, kind in enumerate(kinds)])
    spec = DataSpec.parse(
        {
            **block,
            "label": "kind",
            "groups": ["who"],
            "unlabelled": "keep",
            "split": {"by": "groups", "fractions": [0.5, 0.25, 0.25], **rule},
        }
    )
    (split,) = open_splits(spec, places(tmp_path), seed=0)
    parts = split.parts.values()
    assert sum(len(part.known("kind")) for part in parts) == 24
    assert sum(len(part) for part in parts) == (24 if rule else 36)
    supervised = configure("method", {"uses": "supervised", "encoder": {"uses": "recurrent", "dim": 4}}).build()
    context = Context()
    model = build_model(supervised, DataInfo.of(split.train), seed=0)
    batches = supervised.batches(model, split.train, context)
    assert (batches.at(0, 0).codes["kind"] >= 0).all()


def test_a_file_that_is_not_there_is_told_with_every_place_that_was_looked_at(tmp_path: Path) -> None:
    (told,) = faults(tmp_path, reader="arrays", path="nowhere.npz")
    assert told.startswith("nowhere.npz  there is no such file (looked at nowhere.npz, ")
    assert "cache/tswork/data/nowhere.npz" in told
    assert "$TSWORK_DATA" in told
    (tmp_path / "folder").mkdir()
    assert faults(tmp_path, reader="arrays", path="folder") == ["folder  is a folder, not a file"]


def test_a_variable_in_a_path_that_is_not_set_is_told(tmp_path: Path) -> None:
    assert faults(tmp_path, reader="arrays", path="${env:TSWORK_NOWHERE}/x.npz") == [
        "${env:TSWORK_NOWHERE}/x.npz  the environment variable TSWORK_NOWHERE is not set"
    ]


def test_a_label_that_nobody_asked_for_is_left_out_where_it_says_nothing(tmp_path: Path) -> None:
    arrays = {"X_train": np.zeros((2, 1, 3)), "y_train": ["a", "a"], "X_test": np.zeros((1, 1, 3)), "y_test": ["a"]}
    np.savez(tmp_path / "x.npz", **{name: np.asarray(array) for name, array in arrays.items()})  # type: ignore[arg-type]
    assert read(tmp_path, reader="arrays", path="x.npz").label is None
    assert "fewer than two classes" in faults(tmp_path, reader="arrays", path="x.npz", label="label")[0]
