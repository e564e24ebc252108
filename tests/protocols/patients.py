"""Generated patients: the frequency of a wave tells the class, an offset the patient."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from tswork.data.collection import Collection, Part, Split


def toy_patients(
    *,
    patients: int = 18,
    segments: int = 6,
    classes: int = 2,
    time: int = 32,
    noise: float = 0.4,
    rate: float | None = 32.0,
    parts: tuple[int, int] = (10, 14),
    seed: int = 0,
) -> Split:
    """Segments of patients of one class each; patients before the first of `parts` train, those before the second validate."""
    draw = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), segments)
    kind = patient % classes
    clock = np.arange(time)[:, None] + draw.uniform(0, 20, size=(len(patient), 1, 2))
    waves = np.sin(clock * (0.4 + 0.5 * kind)[:, None, None]) + 0.3 * draw.normal(size=(patients, 1, 2))[patient]
    values = (waves + noise * draw.normal(size=waves.shape)).astype(np.float32)
    table = pd.DataFrame({"diagnosis": [f"d{one}" for one in kind], "patient": [f"p{one:02d}" for one in patient]})
    collection = Collection.from_sequences(
        list(values), table=table, label="diagnosis", groups=("patient",), rate=rate, name="patients"
    )
    borders = [(0, parts[0]), parts, (parts[1], patients)]
    rows = [torch.from_numpy(np.flatnonzero((patient >= first) & (patient < stop))) for first, stop in borders]
    train, validation, test = (Part.of(collection, found) for found in rows)
    return Split(train, validation, test, groups=("patient",))
