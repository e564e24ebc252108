"""Recordings of patients: every patient has a level of noise and trials, the class decides the frequency."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tswork.data.collection import Collection, Part


def recordings(*, patients: int = 4, trials: int = 3, lengths: Sequence[int] = (32,), seed: int = 0) -> Part:
    """Two channels; columns `patient`, `trial` and `label` (one a patient); lengths are dealt in turn."""
    random = np.random.default_rng(seed)
    sequences, rows = [], []
    for number in range(patients * trials):
        patient = number // trials
        clock = np.arange(lengths[number % len(lengths)])[:, None] + random.uniform(0, 20, size=(1, 2))
        clean = np.sin(clock * (0.3 + 0.9 * (patient % 2))) + 0.2 * patient
        sequences.append((clean + 0.3 * random.normal(size=clean.shape)).astype(np.float32))
        rows.append({"patient": f"p{patient}", "trial": number, "label": "ab"[patient % 2]})
    collection = Collection.from_sequences(sequences, table=pd.DataFrame(rows), label="label", groups=("patient",))
    return Part.whole(collection)
