"""The card of UCI's electricity loads on a small file in its layout: what TS2Vec's and CoST's loaders give, to the last value."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tests.cli.commands import tswork
from tests.data.electricity import published_hours, quarter_hours, write_quarter_hours
from tests.data.serving import serving
from tswork.data.checking import check_data
from tswork.data.collection import Collection, Split
from tswork.data.opening import open_new, open_splits, resolve_spec
from tswork.data.places import Places

CALENDAR = ("minute", "hour", "weekday", "day", "dayofyear", "month", "week")
FILE = Path("electricity") / "LD2011_2014.txt"


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return quarter_hours()


@pytest.fixture(scope="module")
def folder(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root that holds the file."""
    found = tmp_path_factory.mktemp("data")
    write_quarter_hours(frame, found / FILE)
    return found


def opened(folder: Path, **more: object) -> tuple[Split, Collection]:
    places = Places.here(folder, data_root=folder)
    (split,) = open_splits(resolve_spec({"card": "electricity", **more}, places), places, seed=0)
    return split, split.train.collection


def test_the_file_is_written_as_the_archive_has_it(folder: Path) -> None:
    first, second = (folder / FILE).read_bytes().split(b"\r\n")[:2]
    assert first == b'"";"MT_001";"MT_002";"MT_003";"MT_004"'
    assert second.startswith(b'"2011-01-01 00:15:00";0;139,130939225;0;')


def test_every_client_is_a_series_of_its_own_with_the_calendar(folder: Path, frame: pd.DataFrame) -> None:
    split, found = opened(folder)
    hours = published_hours(frame)
    assert list(hours.columns) == ["MT_001", "MT_002", "MT_004"], "MT_003 is all zero up to row 8920"
    assert found.channels == (*CALENDAR, "value")
    assert found.targets == ("value",)
    assert found.table["id"].tolist() == found.table["channel"].tolist() == list(hours.columns)
    assert found.lengths.tolist() == [len(hours)] * 3
    assert found.times is not None
    for row in range(3):
        steps = slice(int(found.offsets[row]), int(found.offsets[row + 1]))
        assert found.times[steps].tolist() == pd.DatetimeIndex(hours.index).as_unit("ns").astype(np.int64).tolist()
    cuts = [0, int(0.6 * len(hours)), int(0.8 * len(hours)), len(hours)]
    for part, (start, stop) in zip(split.parts.values(), pairwise(cuts), strict=True):
        assert part.spans.tolist() == [[row, start, stop] for row in range(3)]


def test_every_client_is_scaled_by_its_own_training_hours_as_by_a_scaler_of_columns(
    folder: Path, frame: pd.DataFrame
) -> None:
    _, found = opened(folder)
    hours = published_hours(frame)
    index = hours.index
    assert isinstance(index, pd.DatetimeIndex)
    calendar = pd.DataFrame(
        {
            "minute": index.minute, "hour": index.hour, "weekday": index.dayofweek, "day": index.day,
            "dayofyear": index.dayofyear, "month": index.month, "week": index.isocalendar().week.to_numpy(np.float64),
        }
    )  # fmt: skip
    train = slice(0, int(0.6 * len(hours)))
    for row, client in enumerate(hours.columns):
        wide = calendar.assign(value=hours[client].to_numpy()).to_numpy(np.float64)
        deviation = wide[train].std(axis=0)
        wanted = (wide - wide[train].mean(axis=0)) / np.where(deviation == 0, 1, deviation)
        np.testing.assert_allclose(found.sequence(row).numpy(), wanted, rtol=1e-4, atol=1e-5)
    assert found.affine is not None
    back = found.sequence(1) * found.affine.scale[1] + found.affine.offset[1]
    np.testing.assert_allclose(back[:, -1].numpy(), hours["MT_002"].to_numpy(), rtol=1e-5)


def test_a_target_leaves_that_one_client(folder: Path) -> None:
    split, found = opened(folder, target=["MT_001"])
    _, all_of_them = opened(folder)
    assert found.table["id"].tolist() == ["MT_001"]
    assert len(split.train) == 1
    assert torch.equal(found.values, all_of_them.sequence(0))


def test_new_loads_are_prepared_like_the_old_ones(folder: Path, tmp_path: Path) -> None:
    places = Places.here(folder, data_root=folder)
    spec = resolve_spec({"card": "electricity"}, places)
    later = quarter_hours("2012-02-01").loc["2012-01-20":].drop(columns="MT_004")
    write_quarter_hours(later, tmp_path / "new.txt")
    new = open_new(spec, tmp_path / "new.txt", places, seed=0).collection
    assert new.table["id"].tolist() == ["MT_001", "MT_002", "MT_003"]
    assert new.channels == (*CALENDAR, "value")


def test_the_check_finds_nothing_severe(folder: Path) -> None:
    places = Places.here(folder, data_root=folder)
    findings = check_data(resolve_spec({"card": "electricity"}, places), places)
    assert [one for one in findings if one.severe] == []


@pytest.fixture
def archive(folder: Path, tmp_path: Path) -> Iterator[str]:
    """The address of the archive on a server of our own."""
    (tmp_path / "served").mkdir()
    with zipfile.ZipFile(tmp_path / "served" / "loads.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.write(folder / FILE, "LD2011_2014.txt")
        packed.writestr("__MACOSX/._LD2011_2014.txt", b"\0")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    with serving(partial(Quiet, directory=str(tmp_path / "served"))) as address:
        yield f"{address}/loads.zip"


def test_fetching_unpacks_the_file_from_the_archive(folder: Path, tmp_path: Path, archive: str) -> None:
    (tmp_path / "data_cards").mkdir()
    member = f"{{name: {FILE.as_posix()}, url: {archive!r}, member: LD2011_2014.txt}}"
    (tmp_path / "data_cards" / "electricity.yaml").write_text(f"card: electricity\nfiles: [{member}]\n")
    done = tswork(tmp_path, "data", "fetch", "electricity", "--root", str(tmp_path), "--data-root", str(tmp_path / "d"))
    assert (done.code, done.out) == (0, f"{tmp_path / 'd' / FILE}\n"), done.err
    assert (tmp_path / "d" / FILE).read_bytes() == (folder / FILE).read_bytes()
    assert [path.name for path in (tmp_path / "d" / "electricity").iterdir()] == ["LD2011_2014.txt"]
    _, fetched = opened(tmp_path / "d")
    assert fetched.digest == opened(folder)[1].digest
