"""Sets of patients in the layout of COMET: `Feature/feature_ID.npy` (trial, time, channel) and `Label/label.npy` (label, patient).

One array a patient, one row of the label table a patient. The published loader takes row j for the j-th file in the order of names
and never reads the id in the row, so that a missing zero (`feature_2` after `feature_10`) gives every later patient another one's
label. Here files and rows are joined by the id, and a table in another order than the ids is refused: the two readings differ.
Missing values are refused, unless the block fills them in or has a step `quality` that says what becomes of them.

Paper: Wang et al., Contrast Everything: A Hierarchical Contrastive Framework for Medical Time-Series, NeurIPS 2023. Layout of
github.com/DL4mHealth/COMET at a769779.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float32, Int64
from pydantic import Field

from tswork.config import Config, FilePath, Many
from tswork.data.channels import choose_channels, renaming_problems
from tswork.data.collection import Collection
from tswork.data.faults import each, fault, refuse, some
from tswork.data.places import Places
from tswork.data.readers.base import Reader
from tswork.data.readers.codes import with_names
from tswork.data.readers.numpy_files import array_header, check_numbers, numpy_file
from tswork.data.spec import DataSpec
from tswork.errors import DataInvalid, Location, Problem
from tswork.registry import register
from tswork.wording import counted, worded

LABELS = Path("Label/label.npy")
FEATURES = "Feature"
NAMED = re.compile(r"feature_(\d+)\.npy")


class CometNpyConfig(Config):
    path: FilePath = Field(description="the folder of the set, which holds Feature/ and Label/")
    channel_names: Many[str] | None = Field(default=None, description="names of the channels, in order; none: numbered")
    names: dict[str, Many[str]] = Field(
        default_factory=dict, description="names of the label's codes 0, 1, ... in order: `{label: [healthy, ill]}`"
    )


@register("reader", "comet_npy", version=1, config=CometNpyConfig)
class CometNpy(Reader[CometNpyConfig]):
    """Trials of patients, one npy file a patient and a table of labels: the layout of COMET's processed sets."""

    def files(self, spec: DataSpec, places: Places) -> Sequence[Path]:
        patients = self._patients(spec, places)
        return [patients.labels, *patients.files]

    def inspect(self, spec: DataSpec, places: Places) -> None:
        self._shapes(self._patients(spec, places))

    def read(self, spec: DataSpec, places: Places) -> Collection:
        patients = self._patients(spec, places)
        shapes = self._shapes(patients)
        steps, width = shapes[0][1:]
        given = self.config.channel_names or [f"channel_{number}" for number in range(width)]
        ours = {theirs: our for our, theirs in spec.options.columns.items()}
        names = [ours.get(name, name) for name in given]
        place = Location(str(patients.labels))
        table = with_names(_table(patients, [shape[0] for shape in shapes]), self.config.names, {}, patients.labels)
        table = table.rename(columns=ours)
        channels, faults = choose_channels(names, spec.options, place=place)
        refuse([*renaming_problems([*map(str, table.columns), *names], spec.options, place), *faults])
        count, options = len(table), spec.options
        values, missing = _values(patients, shapes, [names.index(name) for name in channels])
        if options.missing != "interpolate" and not any(step.name == "quality" for step in options.prepare):
            refuse(missing)
        return Collection(
            values=torch.from_numpy(values),
            offsets=torch.arange(count + 1) * steps,
            table=table,
            channels=tuple(channels),
            rate=spec.options.rate,
            label=ours.get("label", "label"),
            groups=(ours.get("patient", "patient"),),
            targets=tuple(spec.options.target),
            name=spec.options.name,
        )

    def _patients(self, spec: DataSpec, places: Places) -> _Patients:
        """The label table joined with the files by patient id. Raises `DataInvalid` with all that does not match."""
        labels = spec.file("path", places, path=self.config.path / LABELS)
        folder = labels.parent.parent / FEATURES
        if not folder.is_dir():
            raise fault(folder, "there is no such folder", f"Put it beside {LABELS.parent}/.")
        label, ids = _label_table(labels)
        names = sorted(file.name for file in folder.glob("*.npy"))
        matches = {name: NAMED.fullmatch(name) for name in names}
        found = {name: int(match[1]) for name, match in matches.items() if match}
        faults = list(_unmatched(names, found, ids, labels, folder))
        refuse(faults)
        by_id = {one: name for name, one in found.items()}
        return _Patients(labels, [folder / by_id[one] for one in ids.tolist()], ids, label)

    def _shapes(self, patients: _Patients) -> list[tuple[int, int, int]]:
        """(trial, time, channel) of every patient, from the files' heads. Raises `DataInvalid` with all that do not fit."""
        faults: list[Problem] = []
        shapes = {}
        for file in patients.files:
            try:
                with numpy_file(file) as opened:
                    shape, dtype = array_header(opened)
                check_numbers(dtype, file)
                if 0 not in shape:
                    _mapped(file)
                shapes[file] = shape
            except DataInvalid as other:
                faults += other.problems
        usual = Counter(shape[1:] for shape in shapes.values()).most_common(1)
        wrong = [
            (file, shape) for file, shape in shapes.items() if len(shape) != 3 or 0 in shape or shape[1:] != usual[0][0]
        ]

        def differs(one: tuple[Path, tuple[int, ...]]) -> Problem:
            text = f"has the shape {one[1]}; (trial, time, channel) with {usual[0][0]} as most patients is expected"
            return Problem(text, location=Location(str(one[0])))

        faults += each(wrong, differs, rest="files of another shape")
        names = self.config.channel_names
        if names is not None and not faults and len(names) != usual[0][0][1]:
            text = f"{counted(len(names), 'channel name does', 'channel names do')} not fit {counted(usual[0][0][1], 'channel')}"
            faults.append(Problem(text, "data.channel_names", Location(str(patients.files[0].parent))))
        refuse(faults)
        return [(shape[0], shape[1], shape[2]) for shape in shapes.values()]


@dataclass(frozen=True, eq=False)
class _Patients:
    """Patients in the order of their ids."""

    labels: Path
    files: list[Path]
    ids: Int64[np.ndarray, "patient"]
    label: Int64[np.ndarray, "patient"]


def _mapped(path: Path) -> np.ndarray:
    """An array whose values stay in their file. Raises `DataInvalid` when the file is shorter than its head says."""
    with numpy_file(path):
        mapped: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return mapped


def _label_table(path: Path) -> tuple[Int64[np.ndarray, "patient"], Int64[np.ndarray, "patient"]]:
    """Labels and ids, which must rise. Raises `DataInvalid`."""
    with numpy_file(path) as file:
        table = np.load(file, allow_pickle=False)
    check_numbers(table.dtype, path)
    if table.ndim != 2 or table.shape[1] != 2 or not len(table):
        raise fault(path, f"has the shape {table.shape}; (patient, 2) is expected: label and patient id")
    if not (np.isfinite(table) & (table == np.floor(table))).all():
        row = int(np.argwhere(~(np.isfinite(table) & (table == np.floor(table))))[0][0])
        raise fault(path, f"row {row} holds {table[row].tolist()}; labels and patient ids are whole numbers")
    label, ids = table.astype(np.int64).T
    falls = np.flatnonzero(np.diff(ids) <= 0)
    if len(falls):
        one, other = ids[falls[0] : falls[0] + 2].tolist()
        text = f"row {falls[0] + 1} is of patient {other}, after patient {one} in row {falls[0]}"
        remedy = "Sort the rows by patient id: the published loader joins rows and files by their order."
        raise fault(path, text, remedy)
    return label, ids


def _unmatched(
    names: Sequence[str], found: Mapping[str, int], ids: Int64[np.ndarray, "patient"], labels: Path, folder: Path
) -> list[Problem]:
    """Files without a row, rows without a file, and two files of one patient."""
    place, table = Location(str(folder)), Location(str(labels))
    faults: list[Problem] = []
    other = [name for name in names if name not in found]
    if other:
        faults.append(
            Problem(f"holds {some(other)}; files are called feature_ID.npy", location=place, remedy="Move them away.")
        )
    known = set(ids.tolist())
    extra = [name for name, one in found.items() if one not in known]
    if extra:
        text = f"{some(extra)} {worded(len(extra), 'has', 'have')} no row in {labels.parent.name}/{labels.name}"
        faults.append(Problem(text, location=place, remedy="Add the row, or move the file away."))
    by_id: dict[int, list[str]] = {}
    for name, one in found.items():
        by_id.setdefault(one, []).append(name)
    several = [(one, those) for one, those in by_id.items() if len(those) > 1]
    faults += [Problem(f"{' and '.join(those)} are both of patient {one}", location=place) for one, those in several]
    lacking = [(row, one) for row, one in enumerate(ids.tolist()) if one not in by_id]

    def absent(pair: tuple[Any, ...]) -> Problem:
        text = f"row {pair[0]} is of patient {pair[1]}, who has no file feature_{pair[1]:02d}.npy in {folder.name}/"
        return Problem(text, location=table, remedy="Get the set again.")

    return [*faults, *each(lacking, absent, rest="patients without a file")]


def _table(patients: _Patients, trials: Sequence[int]) -> pd.DataFrame:
    """One row a trial; `trial` counts through all patients, so that it is nobody else's."""
    stems = [file.stem.removeprefix("feature_") for file in patients.files]
    return pd.DataFrame(
        {
            "id": [f"{stem}/{trial}" for stem, count in zip(stems, trials, strict=True) for trial in range(count)],
            "patient": np.repeat(patients.ids, trials),
            "trial": np.arange(sum(trials)),
            "label": np.repeat(patients.label, trials),
        }
    )


def _values(
    patients: _Patients, shapes: Sequence[tuple[int, int, int]], channels: Sequence[int]
) -> tuple[Float32[np.ndarray, "time channel"], list[Problem]]:
    """Values of all trials in one array, and a problem for every patient that misses some; files are mapped, so that no second copy
    is held."""
    values = np.empty((sum(count * steps for count, steps, _ in shapes), len(channels)), np.float32)
    faults: list[tuple[Path, str]] = []
    start = 0
    for file, (count, steps, width) in zip(patients.files, shapes, strict=True):
        stop = start + count * steps
        with np.errstate(over="ignore"):
            values[start:stop] = _mapped(file).reshape(count * steps, width)[:, channels]
        missing = np.isnan(values[start:stop])
        if missing.any():
            step, channel = np.argwhere(missing)[0].tolist()
            trial, step = divmod(step, steps)
            where = f"the first at trial {trial}, step {step}, channel {channels[channel]}"
            faults.append((file, f"{counted(int(missing.sum()), 'value is', 'values are')} missing ({where})"))
        start = stop
    remedy = (
        "Give `missing: interpolate`, or say what becomes of such trials: `prepare: [{uses: quality, missing: drop}]`."
    )

    def lacking(one: tuple[Path, str]) -> Problem:
        return Problem(one[1], "", Location(str(one[0])), remedy)

    return values, list(each(faults, lacking, rest="files with missing values"))
