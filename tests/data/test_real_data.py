"""Every shipped card opens real files with the shapes, lengths and gaps that their publishers state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests.data.opening import read
from tswork.data.cards import resolve
from tswork.data.checking import check_data
from tswork.data.collection import Collection, Split
from tswork.data.opening import open_splits
from tswork.data.places import Places
from tswork.data.reading import read_collection
from tswork.data.spec import DataSpec, read_spec
from tswork.errors import LeakFound
from tswork.source import Source

pytestmark = pytest.mark.real_data

SERIES = {
    # card: steps, channels, the last channel, seconds between steps, steps of the parts
    "etth1": (17_420, 7, "OT", 3600, (8640, 2880, 2880)),
    "etth2": (17_420, 7, "OT", 3600, (8640, 2880, 2880)),
    "ettm1": (69_680, 7, "OT", 900, (34_560, 11_520, 11_520)),
    "wth": (35_064, 12, "WetBulbCelsius", 3600, (21_038, 7013, 7013)),
    "exchange_rate": (7588, 8, "OT", 86_400, (5311, 759, 1518)),
}
UEA = {
    # set: training and test cases, channels, shortest and longest, classes
    "ArticularyWordRecognition": (275, 300, 9, 144, 144, 25),
    "AtrialFibrillation": (15, 15, 2, 640, 640, 3),
    "BasicMotions": (40, 40, 6, 100, 100, 4),
    "ERing": (30, 270, 4, 65, 65, 6),
    "EyesOpenShut": (56, 42, 14, 128, 128, 2),
    "HandMovementDirection": (160, 74, 10, 400, 400, 4),
    "JapaneseVowels": (270, 370, 12, 7, 29, 9),
    "PenDigits": (7494, 3498, 2, 8, 8, 10),
    "RacketSports": (151, 152, 6, 30, 30, 4),
    "SelfRegulationSCP1": (268, 293, 6, 896, 896, 2),
    "StandWalkJump": (12, 15, 4, 2500, 2500, 3),
    "UWaveGestureLibrary": (120, 320, 3, 315, 315, 8),
}
UCR = {
    "ACSF1": (100, 100, 1, 1460, 1460, 10),
    "ArrowHead": (36, 175, 1, 251, 251, 3),
    "AsphaltObstacles": (390, 391, 1, 111, 736, 4),
    "Beef": (30, 30, 1, 470, 470, 5),
    "CBF": (30, 900, 1, 128, 128, 3),
    "Chinatown": (20, 343, 1, 24, 24, 2),
    "Coffee": (28, 28, 1, 286, 286, 2),
    "ECG200": (100, 100, 1, 96, 96, 2),
    "GunPoint": (50, 150, 1, 150, 150, 2),
    "ItalyPowerDemand": (67, 1029, 1, 24, 24, 2),
    "Lightning2": (60, 61, 1, 637, 637, 2),
    "OSULeaf": (200, 242, 1, 427, 427, 6),
    "OliveOil": (30, 30, 1, 570, 570, 4),
    "PickupGestureWiimoteZ": (50, 50, 1, 29, 361, 10),
    "SyntheticControl": (300, 300, 1, 60, 60, 6),
}


def spec(card: str, **more: Any) -> DataSpec:
    found, problems = read_spec(resolve(Source({"card": card, **more}), Places.here(Path.cwd())))
    assert found is not None, problems
    return found


def opened(card: str, **more: Any) -> tuple[Collection, Split]:
    places = Places.here(Path.cwd())
    (split,) = open_splits(spec(card, **more), places, seed=0)
    return read_collection(spec(card, **more), places), split


@pytest.mark.parametrize("card", SERIES)
def test_series_have_the_published_shape_and_regular_time(data_root: Path, card: str) -> None:
    steps, channels, last, seconds, parts = SERIES[card]
    found, split = opened(card)
    assert found.values.shape == (steps, channels)
    assert found.channels[-1] == last
    assert not torch.isnan(found.values).any()
    assert found.times is not None
    assert found.times.diff().unique().tolist() == [seconds * 10**9]
    assert tuple(int(part.lengths.sum()) for part in split.parts.values()) == parts
    assert check_data(spec(card), Places.here(Path.cwd())) == []


def test_etth1_splits_and_scaled_values_agree_with_pandas(data_root: Path) -> None:
    frame = pd.read_csv(next((data_root / "ett").glob("ETTh1.csv*")), parse_dates=["date"])
    _, split = opened("etth1")
    collection = split.test.collection
    train = frame.iloc[:8640, 1:]
    wanted = (frame.iloc[:, 1:] - train.mean()) / train.std(ddof=0)
    np.testing.assert_allclose(collection.values[:, 7:].numpy(), wanted.to_numpy(), rtol=1e-4, atol=1e-4)
    hours = frame["date"].dt.hour.to_numpy().astype(np.float64)
    np.testing.assert_allclose(
        collection.values[:, collection.channels.index("hour")].numpy(),
        (hours - hours[:8640].mean()) / hours[:8640].std(),
        atol=1e-5,
    )
    assert split.test.spans.tolist() == [[0, 11_520, 14_400]]
    assert collection.affine is not None
    back = collection.values * collection.affine.scale + collection.affine.offset
    np.testing.assert_allclose(back[:, 7:].numpy(), frame.iloc[:, 1:].to_numpy(), rtol=1e-4, atol=1e-3)


def test_etth1_univariate_reads_the_target_and_the_calendar(data_root: Path) -> None:
    _, split = opened("etth1", target=["OT"])
    assert split.train.collection.channels == ("minute", "hour", "weekday", "day", "dayofyear", "month", "week", "OT")
    assert split.train.collection.targets == ("OT",)


def test_m4_hourly_goes_on_with_the_48_values_that_were_to_be_forecast(data_root: Path) -> None:
    found, split = opened("m4_hourly")
    assert len(found) == 414
    assert (int(found.lengths.min()), int(found.lengths.max())) == (748, 1008)
    assert split.test.lengths.unique().tolist() == [48]
    assert not torch.isnan(found.values).any()
    test = pd.read_csv(next((data_root / "m4").glob("Hourly-test.csv*")), index_col=0)
    np.testing.assert_allclose(found.sequence(7)[-48:, 0].numpy(), test.loc["H8"].to_numpy(), rtol=1e-6)
    assert [one for one in check_data(spec("m4_hourly"), Places.here(Path.cwd())) if one.severe] == []


@pytest.mark.parametrize(("card", "name"), [*(("uea", name) for name in UEA), *(("ucr", name) for name in UCR)])
def test_archive_sets_have_the_published_sizes(data_root: Path, card: str, name: str) -> None:
    train, test, channels, shortest, longest, classes = {**UEA, **UCR}[name]
    found, split = opened(card, set=name)
    assert (len(split.train), len(split.test)) == (train, test)
    assert len(found.channels) == channels
    assert (int(found.lengths.min()), int(found.lengths.max())) == (shortest, longest)
    assert len(found.classes) == classes
    assert not torch.isnan(found.values).any()


def test_plaid_repeats_training_cases_and_is_refused(data_root: Path) -> None:
    with pytest.raises(LeakFound, match="5 sequences of test have the same content as one of train: train-"):
        opened("ucr", set="PLAID")
    _, split = opened("ucr", set="PLAID", split={"allow_leak": "as published"})
    assert len(split.leaks) == 1
    assert [len(part) for part in (split.train, split.test)] == [537, 537]


def test_the_same_set_from_aeon_and_from_the_archive_holds_the_same_values(data_root: Path) -> None:
    bundled, archive = opened("aeon", set="ArrowHead")[0], opened("ucr", set="ArrowHead")[0]
    torch.testing.assert_close(bundled.values, archive.values)
    assert bundled.table["label"].tolist() == archive.table["label"].tolist()


def test_eeg_of_patients_and_trials_opens_with_codes_and_offsets(data_root: Path) -> None:
    found = read(
        data_root, reader="arrays", path="eeg_alcohol/eeg_alcohol.npz", values="codes", scale="lsb_uV", offset="offset_uV",
        channel_names="channel", label="label", groups=["subject"], rate=256.0, channels=["FP1", "CZ", "O1"],
        prepare=[{"uses": "segment", "seconds": 0.5}],
    )  # fmt: skip
    assert (len(found), found.channels, found.lengths.unique().tolist()) == (600, ("FP1", "CZ", "O1"), [256])
    arrays = np.load(data_root / "eeg_alcohol" / "eeg_alcohol.npz")
    names = arrays["channel"].tolist()
    wanted = arrays["codes"][7, names.index("CZ")] * arrays["lsb_uV"] + arrays["offset_uV"][7, names.index("CZ")]
    np.testing.assert_allclose(found.sequence(7)[:, 1].numpy(), wanted, rtol=1e-5, atol=1e-3)
    assert found.table["subject"].nunique() == 20


def test_half_hourly_demand_opens_with_a_card_of_ones_own(data_root: Path) -> None:
    found = read(
        data_root, reader="series_csv", path="vic_elec/vic_elec.csv", time="time_utc", target=["demand_mwh"],
        covariates=["temperature_c", "holiday"],
    )  # fmt: skip
    assert (len(found.values), found.channels) == (52_608, ("temperature_c", "holiday", "demand_mwh"))
