"""Language varieties from files to a table: made recordings, the shipped pipelines on them, and what shared speakers are worth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.cli.commands import tswork
from tswork.config import configure
from tswork.data.collection import Collection, Split
from tswork.data.making.base import Made
from tswork.data.opening import open_splits
from tswork.data.places import Places
from tswork.data.splits import make_splits
from tswork.errors import LeakFound, TsworkWarning
from tswork.metrics import probes
from tswork.pipeline.checking import check_plan
from tswork.pipeline.loading import load_pipeline
from tswork.pipeline.plan import make_plan
from tswork.pipeline.spec import Member, Pipeline
from tswork.protocols.plain_features import plain_features

PIPELINES = Path(__file__).resolve().parents[2] / "pipelines" / "varieties"


def shipped(name: str, folder: Path, *overrides: str, data_root: Path | None = None) -> Pipeline:
    places = Places.here(folder, data_root=data_root)
    return load_pipeline(PIPELINES / f"{name}.yaml", places=places, overrides=overrides)


def atlas() -> Collection:
    """VIVALDI's regions and cities, one speaker and one word each."""
    made: Made = configure(
        "maker", {"uses": "synthetic_varieties", "layout": "vivaldi", "speakers": 1, "items": 1}
    ).build().make()  # fmt: skip
    return made.collection


def cities(split: Split, part: str) -> set[str]:
    return set(split.parts[part].table["location"])


def test_regions_of_vivaldi_are_divided_by_city_as_its_pipeline_says(tmp_path: Path) -> None:
    member = shipped("vivaldi", tmp_path).members[0]
    assert member.data.split is not None
    with pytest.warns(TsworkWarning, match=r"cam \(1\), laz \(1\)"):
        (split,) = make_splits(atlas(), member.data.split, seed=0)
    found = {part: cities(split, part) for part in split.parts}
    assert {part: len(names) for part, names in found.items()} == {"train": 225, "validation": 30, "test": 30}
    assert not found["train"] & found["test"]
    assert {len(set(part.table["region"])) for part in split.parts.values()} == {17}


@pytest.mark.slow
def test_made_recordings_go_through_the_shipped_pipeline_to_a_table(tmp_path: Path) -> None:
    options = [part for one in ("varieties=3", "cities=3", "items=2") for part in ("-s", one)]
    assert tswork(tmp_path, "data", "make", "synthetic_varieties", "--data-root", "data", *options).code == 0
    assert tswork(tmp_path, "data", "check", "synthetic_varieties", "--data-root", "data").code == 0
    short = [
        part
        for stage in ("ce", "both", "contrast_then_ce")
        for part in ("-s", f"stages.{stage}.iterations=1", "-s", f"stages.{stage}.pooling=mean")
    ]
    small = ["-s", "sweep.seed=[0]", "-s", "encoder.channels=8", "-s", "encoder.dim=8"]
    done = tswork(
        tmp_path,
        "run",
        str(PIPELINES / "synthetic.yaml"),
        "--data-root",
        "data",
        "--root",
        ".",
        "--json",
        *short,
        *small,
    )
    assert done.code == 0, done.err
    for row in ("majority", "mfcc_statistics", "random", "ce", "both", "contrast_then_ce"):
        assert 0 <= done.document["results"][f"analysis/{row}/macro_f1"] <= 1


@pytest.mark.real_data
def test_digits_with_shared_speakers_are_refused_unless_a_reason_is_given(data_root: Path, tmp_path: Path) -> None:
    plain = make_plan(shipped("fsdd_accent_leak", tmp_path, "data.split.allow_leak=null", data_root=data_root))
    with pytest.raises(LeakFound, match="4 values of 'speaker' are in train and test: jackson, lucas, theo, yweweler"):
        check_plan(plain, torch.device("cpu"))
    check_plan(make_plan(shipped("fsdd_accent_leak", tmp_path, data_root=data_root)), torch.device("cpu"))


def accuracy_of_plain_features(member: Member, places: Places, memory: dict[str, Any]) -> float:
    """Logistic regression on cepstral statistics, over all splits of a member."""
    right = []
    for split in open_splits(member.data, places, seed=0):
        collection = split.train.collection
        if "x" not in memory:
            whole = type(split.train).whole(collection)
            memory["x"], memory["y"] = plain_features("mfcc_statistics", whole), collection.codes("accent").numpy()
        train, test = (part.spans[:, 0].numpy() for part in (split.train, split.test))
        arrays = probes.fit("logistic", memory["x"][train], memory["y"][train])
        right.append(probes.decide("logistic", arrays, memory["x"][test], 2)[0] == memory["y"][test])
    return float(np.concatenate(right).mean())


@pytest.mark.real_data
@pytest.mark.slow
def test_an_accent_of_shared_speakers_is_the_speaker(data_root: Path, tmp_path: Path) -> None:
    """Random clips: about 0.99. Four divisions of two and two speakers: much less, and honest."""
    memory: dict[str, Any] = {}

    def accuracy(name: str) -> float:
        loaded = shipped(name, tmp_path, data_root=data_root)
        return float(np.mean([accuracy_of_plain_features(one, loaded.places, memory) for one in loaded.members]))

    assert accuracy("fsdd_accent_leak") > 0.98
    assert accuracy("fsdd_accent") < 0.9
