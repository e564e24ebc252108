"""Sets that come with aeon, and `.ts` files below a data root."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.data.opening import faults, read
from tswork.data.readers.aeon import bundled_folder, bundled_sets

TS = """\
@problemName Toy
@timestamps false
@univariate true
@equalLength {equal}
@classLabel true a b
@data
{rows}
"""


def write(folder: Path, name: str, train: str, test: str, *, equal: str = "true") -> None:
    (folder / name).mkdir(parents=True)
    for half, rows in (("TRAIN", train), ("TEST", test)):
        (folder / name / f"{name}_{half}.ts").write_text(TS.format(rows=rows, equal=equal))


def test_a_bundled_set_is_read_as_published() -> None:
    found = read(Path.cwd(), reader="aeon", set="ArrowHead")
    assert (len(found), len(found.classes), found.lengths.unique().tolist()) == (211, 3, [251])
    assert (found.table["split"] == "train").sum() == 36
    assert not torch.isnan(found.values).any()


def test_sets_below_a_data_root_or_beside_the_pipeline_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "far", "Toy", "1,2,3:a\n4,5,6:b", "7,8,9:a")
    monkeypatch.setenv("TSWORK_DATA", str(tmp_path / "far"))
    assert read(tmp_path, reader="aeon", set="Toy").values.flatten().tolist() == list(range(1, 10))
    write(tmp_path, "Near", "1,2:a\n4,5:b", "7,8:a")
    assert len(read(tmp_path, reader="aeon", set="Near")) == 3


def test_sets_of_unequal_lengths_keep_them(tmp_path: Path) -> None:
    write(tmp_path, "Ragged", "1,2,3:a\n4:b", "7,8:a", equal="false")
    assert read(tmp_path, reader="aeon", set="Ragged").lengths.tolist() == [3, 1, 2]


def test_an_unknown_set_is_answered_with_the_nearest_name(tmp_path: Path) -> None:
    told = faults(tmp_path, reader="aeon", set="Arowhead")
    assert told == [
        "data.set: the set 'Arowhead' is neither bundled with aeon nor below a data root. Did you mean 'ArrowHead'? Or set"
        " `download: true`."
    ]


def test_a_torn_file_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "Torn", "1,2,3:a\n4,x,6:b", "7,8,9:a")
    assert "Torn_TRAIN.ts  is not a whole .ts file" in faults(tmp_path, reader="aeon", set="Torn")[0]


def test_all_bundled_sets_have_both_halves() -> None:
    assert "ArrowHead" in bundled_sets()
    assert all((bundled_folder() / name / f"{name}_TEST.ts").is_file() for name in bundled_sets())
