"""Noisy waves of several speakers: a class is a frequency, and every speaker's waves carry an offset of their own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tswork.data.collection import Collection, Part


def spoken(
    classes: Sequence[str],
    speakers: Sequence[str],
    *,
    length: int = 24,
    noise: float = 0.3,
    offset: float = 1.0,
    seed: int = 0,
    rate: float | None = 10.0,
) -> Part:
    """One wave a class and speaker given, in order."""
    random = np.random.default_rng(seed)
    names = sorted(set(classes))
    voices = {name: random.normal(size=2) for name in sorted(set(speakers))}
    sequences = []
    for label, speaker in zip(classes, speakers, strict=True):
        clock = np.arange(length)[:, None] + random.uniform(0, 20, size=(1, 2))
        clean = np.sin(clock * (0.3 + 0.9 * names.index(label))) + offset * voices[speaker]
        sequences.append((clean + noise * random.normal(size=(length, 2))).astype(np.float32))
    table = pd.DataFrame({"label": list(classes), "speaker": list(speakers)})
    return Part.whole(Collection.from_sequences(sequences, table=table, label="label", groups=("speaker",), rate=rate))


def of_speakers(part: Part, speakers: Sequence[str]) -> Part:
    """The spans of some speakers."""
    chosen: Tensor = torch.tensor(part.table["speaker"].isin(speakers).tolist())
    return Part(part.collection, part.spans[chosen])
