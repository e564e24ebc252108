"""The table of places of the VIVALDI recordings: how many cities each region has, as the authors of SALVI count them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tswork.data.collection import Collection
from tswork.data.making.maps import VIVALDI

CITIES = {name: count for name, (count, *_) in VIVALDI.items()}
DROPPED = ("cam", "laz")


def atlas(*, cities: dict[str, int] | None = None, clips: int = 2, order: int | None = None) -> Collection:
    """A collection of a few steps a clip: two speakers a city, each in that city only; `order` shuffles the rows."""
    rows = [
        {"id": f"{city}_{clip}", "region": region, "city": city, "speaker": f"{city}_s{clip % 2}"}
        for region, count in (cities or CITIES).items()
        for city in (f"{region}{number:02d}" for number in range(count))
        for clip in range(clips)
    ]
    table = pd.DataFrame(rows)
    if order is not None:
        table = table.sample(frac=1, random_state=order).reset_index(drop=True)
    values = np.random.default_rng(0).normal(size=(len(table), 3, 1)).astype(np.float32)
    return Collection.from_array(values).replaced(table=table, label="region", groups=("city", "speaker"))
