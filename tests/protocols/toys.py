"""Small models and data for the tests of protocols."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tswork.data.collection import Affine, Collection, DataInfo, Part, Split
from tswork.encoders.base import Encoder, Frames, full_lengths
from tswork.methods.model import Model


class Filters(Encoder):
    """tanh of random filters over the last eight steps: causal, and indifferent to padding and missing values."""

    def __init__(self, channels: int, dim: int, *, seed: int = 0, padding_invariant: bool = True) -> None:
        super().__init__()
        self.dim = dim
        self.padding_invariant = padding_invariant
        weight = torch.randn(dim, channels, 8, generator=torch.Generator().manual_seed(seed)) / 4
        self.weight = nn.Parameter(weight)

    def forward(
        self,
        x: Float[Tensor, "batch time channel"],
        lengths: Int[Tensor, "batch"] | None = None,
        *,
        keep: Bool[Tensor, "batch time"] | None = None,
    ) -> Frames:
        padded = nn.functional.pad(x.nan_to_num().transpose(1, 2), (7, 0))
        frames = nn.functional.conv1d(padded, self.weight).tanh().transpose(1, 2)
        return Frames(frames, full_lengths(x) if lengths is None else lengths)


def toy_model(part: Part, *, dim: int = 5, seed: int = 0, padding_invariant: bool = True) -> Model:
    info = DataInfo.of(part)
    return Model(Filters(len(info.channels), dim, seed=seed, padding_invariant=padding_invariant), info)


def toy_series(
    *, lengths: tuple[int, ...] = (260,), targets: int = 2, shares: tuple[float, float] = (0.5, 0.25), seed: int = 0
) -> Split:
    """Noisy waves with one covariate before the targets, split in time, hourly, with a known way to original units."""
    random = np.random.default_rng(seed)
    values = []
    for length in lengths:
        clock = np.arange(length)
        waves = [
            np.sin(clock / (2 + target)) + 0.4 * random.normal(size=length).cumsum() / 8 for target in range(targets)
        ]
        noise = 0.3 * random.normal(size=(length, targets))
        values.append(np.column_stack([np.cos(2 * np.pi * clock / 24), np.stack(waves, axis=1) + noise]))
    names = tuple(f"y{target}" for target in range(targets))
    total = sum(lengths)
    collection = Collection(
        values=torch.as_tensor(np.concatenate(values), dtype=torch.float32),
        offsets=torch.tensor([0, *np.cumsum(lengths)]),
        table=pd.DataFrame({"name": [f"s{index}" for index in range(len(lengths))]}),
        channels=("clock", *names),
        targets=names,
        times=torch.cat([torch.arange(length) * 3_600_000_000_000 for length in lengths]),
        affine=Affine(torch.full((1, 1 + targets), 10.0), torch.full((1, 1 + targets), 100.0)),
        name="toy",
    )
    assert len(collection.values) == total
    first = [int(length * shares[0]) for length in lengths]
    second = [start + int(length * shares[1]) for start, length in zip(first, lengths, strict=True)]
    borders = [[0] * len(lengths), first, second, list(lengths)]
    train, validation, test = (
        Part(collection, torch.tensor([[index, a, b] for index, (a, b) in enumerate(zip(*pair, strict=True))]))
        for pair in pairwise(borders)
    )
    return Split(train, validation, test)


def toy_classes(
    *, items: int = 90, classes: int = 3, seed: int = 0, ragged: bool = True, groups: int | None = None
) -> Split:
    """Waves whose frequency is the class, of unequal lengths; the first two thirds are for training."""
    random = np.random.default_rng(seed)
    lengths = random.integers(20, 40, size=items) if ragged else np.full(items, 30)
    labels = np.arange(items) % classes
    waves = [
        np.sin(np.arange(length) * (0.3 + 0.35 * label) + random.uniform(0, 6)) + 0.5 * random.normal(size=length)
        for length, label in zip(lengths, labels, strict=True)
    ]
    table = pd.DataFrame({"kind": [f"k{label}" for label in labels]})
    if groups:
        table["person"] = [f"p{index // (items // groups)}" for index in range(items)]
    collection = Collection(
        values=torch.as_tensor(np.concatenate(waves), dtype=torch.float32)[:, None],
        offsets=torch.tensor([0, *np.cumsum(lengths)]),
        table=table,
        channels=("x",),
        label="kind",
        groups=("person",) if groups else (),
    )
    border = 2 * items // 3
    train, test = Part.of(collection, torch.arange(border)), Part.of(collection, torch.arange(border, items))
    return Split(train, Part(collection, torch.empty(0, 3, dtype=torch.int64)), test)
