"""Who the samples of a training part are of: patients and their trials as codes, and what of them cannot be contrasted.

Names of trials are often numbers that begin anew with every patient, so a trial is a pair of patient and name.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from tswork.data.batches import Batches
from tswork.data.collection import Part
from tswork.data.faults import refuse
from tswork.errors import DataInvalid, Problem, TsworkWarning, did_you_mean
from tswork.wording import counted, worded

FEW = 0.1
"""Share of batches of a single patient or trial up to which nobody is warned: the last batch of an epoch may be small."""


class Groups(NamedTuple):
    """The patient and the trial of each sample; -1 is unknown."""

    patient: Int[Tensor, "sample"]
    trial: Int[Tensor, "sample"]


def pair_codes(patient: Int[Tensor, "sample"], trial: Int[Tensor, "sample"]) -> Int[Tensor, "sample"]:
    """One code for each pair of a patient and a trial's name; unknown where either is.

    >>> pair_codes(torch.tensor([0, 1, 1, -1]), torch.tensor([5, 5, 6, 5])).unique().numel()  # three trials, and one unknown
    4
    """
    return torch.where((patient >= 0) & (trial >= 0), patient * 2**31 + trial, -1)


def groups_of(part: Part, *, patient: str | None, trial: str | None) -> Groups:
    """The groups of a part's samples; without a column of trials a patient is one trial, without patients nothing is known.

    Raises `DataInvalid` when a column does not exist.
    """
    known = [str(name) for name in part.collection.table.columns]
    missing = {option: name for option, name in (("patient", patient), ("trial", trial)) if name and name not in known}
    if missing:
        raise DataInvalid([_no_column(option, name, known) for option, name in missing.items()])
    unknown = torch.full((len(part),), -1, dtype=torch.int64)
    patients = unknown if patient is None else part.codes(patient)
    return Groups(patients, patients if trial is None else pair_codes(patients, part.codes(trial)))


def _no_column(option: str, name: str, known: list[str]) -> Problem:
    message = f"the table has no column {name!r}, which should name the {option} of each sample"
    hint = did_you_mean(name, known)
    return Problem(message, path="train", remedy=f"{hint} Say `{option}: COLUMN`, or let the reader make one.".strip())


def group_faults(levels: Mapping[str, Int[Tensor, "sample"]]) -> list[Problem]:
    """What of each level (its name, and the codes of the samples' groups) leaves nothing to contrast."""
    faults = []
    for level, codes in levels.items():
        _, sizes = torch.unique(codes[codes >= 0], return_counts=True)
        other = f"set `{level}_weight: 0`"
        if len(sizes) == 0:
            message, remedy = f"no sample has a known {level}", f"Fill the column, or {other}."
        elif len(sizes) == 1 and bool((codes >= 0).all()):
            message = f"all {counted(len(codes), 'sample is', 'samples are')} of one {level}"
            message = f"{message}: without others to tell apart, equal representations are best"
            remedy = f"Train on several, or {other}."
        elif int(sizes.max()) == 1:
            message = f"no {level} has two samples, so that level {level} has nothing to bring together"
            remedy = f"Cut the data with the preparation `segment`, or {other}."
        else:
            continue
        faults.append(Problem(message, path="train", remedy=remedy))
    return faults


def check_batches(batches: Batches, levels: Mapping[str, Int[Tensor, "sample"]]) -> None:
    """Refuse batches that all hold one group only, and warn when many do: there, equal representations are best."""
    drawn = [batches.sampler.at(0, step) for step in range(batches.steps(0))]
    faults = []
    for level, codes in levels.items():
        alone = sum(bool((codes[batch] == codes[batch[0]]).all()) and int(codes[batch[0]]) >= 0 for batch in drawn)
        if alone <= FEW * len(drawn):
            continue
        all_of_them = alone == len(drawn)
        of = f"of the {counted(len(drawn), 'batch', 'batches')} of an epoch"
        message = f"{'all' if all_of_them else alone} {of} {worded(alone, 'holds', 'hold')} samples of one {level} only"
        remedy = "Raise `batch_size`, or set `shuffle: random` or `whole_trials: false`."
        if all_of_them:
            faults.append(Problem(message, path="train", remedy=remedy))
        else:
            text = f"comet: {message}, where equal representations are best. {remedy}"
            warnings.warn(text, TsworkWarning, stacklevel=4)
    refuse(faults)
