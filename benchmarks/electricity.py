"""The series that benchmarks encode and train on: ETTh1 where its file is at hand, else noise of the same shape."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch

from tests.protocols.electricity import CALENDAR, electricity
from tswork.data.collection import Collection, Part

STEPS, TRAIN = 17_420, 8_640


def univariate() -> tuple[Part, str]:
    """Seven calendar covariates and the oil temperature of all 17,420 hours, and what to call them in a table."""
    root = os.environ.get("TSWORK_DATA")
    if root and (Path(root) / "ett" / "ETTh1.csv.gz").is_file():
        collection = electricity(Path(root), "ETTh1", ("OT",)).train.collection
        return Part.whole(collection.replaced(values=collection.values.float())), "ETTh1"
    noise = np.random.default_rng(0).normal(size=(1, STEPS, len(CALENDAR) + 1)).astype(np.float32)
    collection = Collection.from_array(noise, channels=(*CALENDAR, "OT"), targets=("OT",))
    return Part.whole(collection), "noise of the shape of ETTh1"


def training() -> tuple[Part, str]:
    """Its first twelve months."""
    part, name = univariate()
    return Part(part.collection, torch.tensor([[0, 0, TRAIN]])), name
