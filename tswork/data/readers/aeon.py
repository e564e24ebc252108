"""Sets bundled with the aeon package, `.ts` files in the archive's format, and aeon's downloader.

`set: ArrowHead` is looked for inside the installed package, then below the data roots as
`ArrowHead/ArrowHead_TRAIN.ts`; `download: true` lets aeon fetch it into the user's cache. The archive's own training and test
halves stand in the table's `split` column.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import Field

from tswork.config import NOT_KEYED, Config
from tswork.data.collection import Collection
from tswork.data.part_words import SPLIT
from tswork.data.places import Places
from tswork.data.readers.base import Reader
from tswork.data.readers.halves import LABEL, pack_cases, true_length
from tswork.data.spec import DataSpec
from tswork.errors import DataInvalid, Location, PackageMissing, Problem, did_you_mean
from tswork.registry import register

HALVES = {"TRAIN": "train", "TEST": "test"}


class AeonConfig(Config):
    set: str = Field(pattern=r"^[\w-]+$", description="name of the set, such as ArrowHead")
    download: bool = Field(
        default=False, json_schema_extra=NOT_KEYED, description="let aeon fetch a set that is not there"
    )


@register("reader", "aeon", version=1, config=AeonConfig)
class Aeon(Reader[AeonConfig]):
    """Classification sets bundled with aeon, or in its .ts format below a data root."""

    def files(self, spec: DataSpec, places: Places) -> Sequence[Path]:
        name = self.config.set
        folders = [bundled_folder() / name, *(folder / name for folder in places.data_folders), places.beside / name]
        for folder in folders:
            files = [folder / f"{name}_{half}.ts" for half in HALVES]
            if all(file.is_file() for file in files):
                return files
        if self.config.download:
            return _download(name, places)
        remedy = f"{did_you_mean(name, bundled_sets())} Or set `download: true`."
        raise DataInvalid(
            [Problem(f"the set {name!r} is neither bundled with aeon nor below a data root", "data.set", remedy=remedy)]
        )

    def read(self, spec: DataSpec, places: Places) -> Collection:
        from aeon.datasets import load_from_ts_file

        cases: list[np.ndarray] = []
        labels: list[str] = []
        halves: list[str] = []
        for file, half in zip(self.files(spec, places), HALVES.values(), strict=True):
            try:
                values, classes = load_from_ts_file(str(file))
            except (OSError, ValueError, IndexError) as error:
                problem = Problem(f"is not a whole .ts file: {error}", location=Location(str(file)))
                raise DataInvalid([problem]) from error
            for case in values:
                steps = np.asarray(case, dtype=np.float32).T
                cases.append(steps[: true_length(steps)])
            labels.extend(map(str, classes))
            halves.extend([half] * len(values))
        table = pd.DataFrame({"id": np.arange(len(cases)), LABEL: labels, SPLIT: halves})
        collection = pack_cases(cases, table, spec.options)
        return collection.replaced(label=LABEL if LABEL in collection.table.columns else None)


def bundled_folder() -> Path:
    """The data folder inside the installed aeon package, found without importing aeon."""
    found = find_spec("aeon")
    if found is None or not found.submodule_search_locations:
        raise PackageMissing("aeon", "the reader 'aeon'", "pip install aeon")
    return Path(next(iter(found.submodule_search_locations))) / "datasets" / "data"


def bundled_sets() -> list[str]:
    """Names of the classification sets inside the installed aeon package."""
    return sorted(
        file.parent.name
        for file in bundled_folder().glob("*/*_TRAIN.ts")
        if file.name == f"{file.parent.name}_TRAIN.ts"
    )


def _download(name: str, places: Places) -> Sequence[Path]:
    from aeon.datasets import load_classification

    load_classification(name, extract_path=str(places.cache))
    return [places.cache / name / f"{name}_{half}.ts" for half in HALVES]
