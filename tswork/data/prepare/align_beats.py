"""Electrocardiograms as trials of aligned heart beats, as COMET (Wang et al., NeurIPS 2023) prepares the PTB database.

Each beat is cut out around its R peak with the width of the recording's median RR interval and filled up with zeros on both sides to
`steps`; `beats` successive ones make a trial, whose id stands in the column `trial`. `segment` with the same `steps` then makes every
beat a sample:

    prepare: [{uses: resample, rate: 250}, {uses: standard_score}, {uses: align_beats}, {uses: segment, steps: 300}]

| | published | here |
| --- | --- | --- |
| R peaks | neurokit2, lead by lead | `r_peaks`: one list of beats for all leads, each lead's peak near it |
| beat | median over leads of their i-th peaks, so one that is missed shifts the rest of its lead | median over leads of one beat's peaks |
| median RR | median over leads of each lead's median | median over the intervals between beats |
| slow hearts | recordings with a median RR above 300 steps are dropped | the same, named in a warning |
| trials | 10 successive beats, the remainder dropped | the same; beats that reach over an end of the recording are not used |
| filling | zeros, which the standard score of the trial then shifts | zeros; `{uses: standard_score, zeros: leave}` keeps them |

Recordings that give no whole trial are left out with a warning. The median RR interval is that of the whole recording.
"""

from __future__ import annotations

import warnings
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, Int, Int64
from pydantic import Field
from torch import Tensor

from tswork.config import Config
from tswork.data.backends import as_float
from tswork.data.collection import Collection
from tswork.data.locating import named
from tswork.data.prepare.base import Preparation
from tswork.data.prepare.pieces import piece_table
from tswork.data.prepare.r_peaks import LOWEST, r_peaks
from tswork.data.prepare.requirements import complete, positions, rate_of, uncontinued
from tswork.data.selecting import affine_of
from tswork.errors import DataInvalid, Problem, TsworkWarning
from tswork.registry import register
from tswork.wording import counted


class AlignBeatsConfig(Config):
    steps: int = Field(default=300, ge=2, description="time steps of a filled-up beat; slower hearts are left out")
    beats: int = Field(default=10, ge=1, description="successive beats of a trial")
    column: str = Field(default="trial", min_length=1, description="table column for the trial's id")


@register("preparation", "align_beats", version=1, config=AlignBeatsConfig)
class AlignBeats(Preparation[AlignBeatsConfig]):
    """Cuts electrocardiograms into trials of successive heart beats, aligned at their R peaks and filled up to one length."""

    def apply(self, collection: Collection) -> Collection:
        uncontinued(collection, "align_beats")
        complete(collection, "align_beats")
        rate = rate_of(collection, "align_beats")
        if rate < LOWEST:
            text = f"'align_beats' needs {LOWEST:g} samples a second or more to find beats; there are {rate:g}"
            raise DataInvalid([Problem(text, "data.rate")])
        values = as_float(collection.values).numpy()
        trials, slow = [], []
        for number, (start, stop) in enumerate(pairwise(collection.offsets.tolist())):
            centres, width = beats_of(values[start:stop], rate)
            slow += [number] if width > self.config.steps else []
            trials.append(_aligned(values[start:stop], centres, width, self.config.steps, self.config.beats))
        count = torch.tensor([len(found) for found in trials])
        self._warn(collection, count, slow)
        row = torch.repeat_interleave(torch.arange(len(collection)), count)
        place = positions(torch.zeros_like(count), count)
        return collection.replaced(
            values=torch.from_numpy(np.concatenate(trials).reshape(-1, values.shape[1])),
            offsets=torch.arange(len(row) + 1) * (self.config.steps * self.config.beats),
            times=None,
            rate=rate,
            table=piece_table(collection, row, place, column=self.config.column, step="align_beats"),
            affine=affine_of(collection, row),
        )

    def _warn(self, collection: Collection, count: Int[Tensor, "sequence"], slow: list[int]) -> None:
        """Name what is left out. Raises `DataInvalid` when nothing is left."""
        empty = torch.nonzero(count == 0).flatten().tolist()
        few = [row for row in empty if row not in set(slow)]
        texts = [
            (slow, f"with a median RR interval above {counted(self.config.steps, 'step')}"),
            (few, f"with fewer than {counted(self.config.beats, 'whole beat')}"),
        ]
        said = [
            f"{len(rows)} of {counted(len(collection), 'recording')} {text}: {named(collection, rows)}"
            for rows, text in texts
            if rows
        ]
        if len(empty) == len(collection):
            remedy = "Look at `rate`, or give other `steps` and `beats`."
            text = f"'align_beats' leaves no recording: {'; '.join(said)}"
            raise DataInvalid([Problem(text, "data.prepare", remedy=remedy)])
        if said:
            warnings.warn(f"align_beats leaves out {'; '.join(said)}", TsworkWarning, stacklevel=3)


def beats_of(recording: Float[np.ndarray, "time lead"], rate: float) -> tuple[Int64[np.ndarray, "beat"], int]:
    """The centre of every beat (the median over leads of its R peaks) and the median interval, in steps; 0 without one."""
    peaks = r_peaks(recording, rate=rate)
    centres = np.median(peaks[:, (peaks >= 0).all(0)], axis=1).astype(np.int64) if len(peaks) else np.empty(0, np.int64)
    return centres, round(float(np.median(np.diff(centres)))) if len(centres) > 1 else 0


def _aligned(
    recording: Float[np.ndarray, "time lead"], centres: Int64[np.ndarray, "beat"], width: int, steps: int, beats: int
) -> Float[np.ndarray, "trial step lead"]:
    """Whole trials of beats of one width, each in the middle of `steps`."""
    empty = np.empty((0, beats * steps, recording.shape[1]), np.float32)
    if not 0 < width <= steps:
        return empty
    begin = centres - width // 2
    begin = begin[(begin >= 0) & (begin + width <= len(recording))]
    trials = len(begin) // beats
    if not trials:
        return empty
    found = np.zeros((trials * beats, steps, recording.shape[1]), np.float32)
    left = steps // 2 - width // 2
    found[:, left : left + width] = recording[begin[: trials * beats, None] + np.arange(width)]
    return found.reshape(trials, beats * steps, recording.shape[1])
