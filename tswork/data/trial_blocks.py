"""Batches of whole trials: what a contrast of patients and trials needs, since a random batch hardly holds two samples of a trial.

Orders of COMET (Wang et al., NeurIPS 2023; github.com/DL4mHealth/COMET at a769779, MIT) and of its authors' LEAD
(github.com/DL4mHealth/LEAD at ec35aad), written anew from what they do.

| shuffle | order of the items |
| --- | --- |
| trial | trials at random, and the items of each at random |
| batch | items sorted by patient and trial are cut into pieces of about a batch; pieces at random, and the items of each |
| random | all items at random |
| group | a patient's items, in their order, are cut into groups of `group_size`; groups at random (LEAD) |

Batches are cut from that order, and the items of each stand at random. Departures
| published | here |
| --- | --- |
| equal slices, which cut a trial at nearly every border | `whole_trials`: batches of about one size that end where a trial does |
| the order is drawn once, so that the same items meet in every epoch | it is drawn anew; `fixed` keeps it (items move inside a batch) |
| `batch` fails for fewer items than a batch; a group may mix patients | one piece; groups end with their patient |
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float64, Int, Int64
from torch import Tensor

from tswork import random
from tswork.data.samplers import OfEpoch, Sampler

Shuffle = Literal["trial", "batch", "random", "group"]

Numbers = Int64[np.ndarray, "_"]


class TrialBlocks(Sampler):
    """Every item once an epoch, in batches that hold many items of a trial or patient.

    `trials` and `patients` are integer codes, one an item; -1 is unknown, and such an item is a trial and a patient of its
    own. With `whole_trials` (only `trial`) batches are smaller: a trial that fits into a batch lies in one, and a longer one in
    as few as hold it. Sizes of batches are multiples of `multiple` (the processes that share them); items beyond are dropped.
    """

    def __init__(
        self,
        trials: Int[Tensor, "item"],
        patients: Int[Tensor, "item"],
        *,
        batch_size: int,
        seed: int,
        shuffle: Shuffle = "trial",
        whole_trials: bool = True,
        fixed: bool = False,
        group_size: int = 2,
        multiple: int = 1,
    ) -> None:
        self.batch_size = max(1, min(batch_size, len(trials)))
        self._items = len(trials)
        self._trial, self._patient = _numbered(trials), _numbered(patients)
        self._sizes = np.bincount(self._trial)
        self._seed = seed
        self._shuffle = shuffle
        self._whole = whole_trials and shuffle == "trial"
        self._fixed = fixed
        self._group_size = group_size
        self._multiple = multiple
        self._batch_of_rest = OfEpoch(self._packed_rests)
        self._batches = OfEpoch(self._drawn)

    def steps(self, epoch: int) -> int:
        return int((self._batch_sizes(epoch) >= self._multiple).sum())

    def at(self, epoch: int, step: int) -> Int[Tensor, "batch"]:
        return self._batches(epoch)[step]

    def _drawn(self, epoch: int) -> list[Tensor]:
        """The batches of an epoch: items sorted by their batch, and at random inside it."""
        batch = self._whole_batch(epoch) if self._whole else self._slice(epoch)
        order = np.lexsort((self._keys("inside", self._items, epoch), batch))
        pieces = torch.from_numpy(order).split(np.bincount(batch).tolist()) if self._items else ()
        cut = [piece[: len(piece) // self._multiple * self._multiple] for piece in pieces]
        return [piece for piece in cut if len(piece)]

    def _batch_sizes(self, epoch: int) -> Numbers:
        if self._whole:
            rests = np.bincount(self._batch_of_rest(epoch), self._sizes % self.batch_size).astype(np.int64)
            return np.concatenate([rests, np.full((self._sizes // self.batch_size).sum(), self.batch_size)])
        return np.diff(np.append(np.arange(0, self._items, self.batch_size), self._items))

    # Whole trials

    def _whole_batch(self, epoch: int) -> Numbers:
        """The batch of each item, where a trial is cut only if it is larger than a batch."""
        full, rests = self._sizes // self.batch_size, self._batch_of_rest(epoch)
        order = np.lexsort((self._keys("items", self._items, self._draw(epoch)), self._trial))
        trial = self._trial[order]
        # Full batches of a long trial first; what is left of it goes with trials that fit.
        filled = (np.arange(self._items) - (self._sizes.cumsum() - self._sizes)[trial]) // self.batch_size
        first = rests.max(initial=-1) + 1 + full.cumsum() - full
        batch = np.empty(self._items, np.int64)
        batch[order] = np.where(filled < full[trial], first[trial] + filled, rests[trial])
        places = np.argsort(self._keys("batches", int(batch.max(initial=-1)) + 1, self._draw(epoch)))
        return np.asarray(places[batch])

    def _packed_rests(self, epoch: int) -> Numbers:
        """The batch of what is left of each trial: trials in random order, in as few batches as hold them, of about one size."""
        rest = self._sizes % self.batch_size
        order = np.argsort(self._keys("trials", len(rest), self._draw(epoch)))
        order = order[rest[order] > 0]
        batch = np.zeros(len(rest), np.int64)
        batch[order] = _packed(rest[order], self.batch_size)
        return batch

    # Equal slices

    def _slice(self, epoch: int) -> Numbers:
        """The batch of each item, where batches are equal slices of an order."""
        order = self._order(self._draw(epoch))
        batch = np.empty(self._items, np.int64)
        batch[order] = np.arange(self._items) // self.batch_size
        return batch

    def _order(self, draw: int) -> Numbers:
        key = self._keys("items", self._items, draw)
        if self._shuffle == "random":
            return np.asarray(np.argsort(key))
        if self._shuffle == "trial":
            return np.asarray(np.lexsort((key, self._keys("trials", len(self._sizes), draw)[self._trial])))
        ordered = np.lexsort((self._trial, self._patient))
        if self._shuffle == "batch":
            count = max(1, self._items // self.batch_size)
            piece = np.repeat(np.arange(count), [len(one) for one in np.array_split(ordered, count)])
            return np.asarray(ordered[np.lexsort((key, self._keys("pieces", count, draw)[piece]))])
        group = _runs(self._patient[ordered], self._group_size)
        return np.asarray(ordered[np.argsort(self._keys("groups", self._items, draw)[group], kind="stable")])

    def _draw(self, epoch: int) -> int:
        return 0 if self._fixed else epoch

    def _keys(self, purpose: str, count: int, draw: int) -> Float64[np.ndarray, "key"]:
        generator = random.generator(self._seed, f"trial blocks {purpose}", draw)
        return np.asarray(torch.rand(count, generator=generator, dtype=torch.float64).numpy())


def _numbered(codes: Int[Tensor, "item"]) -> Numbers:
    """Codes as 0, 1, ...; an item of unknown code has one of its own."""
    known = codes.numpy().astype(np.int64)
    own = known.max(initial=-1) + 1 + np.arange(len(known))
    return np.asarray(np.unique(np.where(known >= 0, known, own), return_inverse=True)[1].reshape(-1))


def _packed(sizes: Numbers, room: int) -> Numbers:
    """The bin of each size, in order: as few bins as there can be, and the largest of them as small as that allows."""
    lowest, highest = int(sizes.max(initial=0)), room
    fewest = len(_ends(sizes, room))
    while lowest < highest:
        middle = (lowest + highest) // 2
        if len(_ends(sizes, middle)) > fewest:
            lowest = middle + 1
        else:
            highest = middle
    return np.searchsorted(np.array(_ends(sizes, highest)), np.arange(len(sizes)), side="right")


def _ends(sizes: Numbers, room: int) -> list[int]:
    """Where bins end that are filled in order until the next size does not fit."""
    total, filled = sizes.cumsum(), 0
    ends: list[int] = []
    while not ends or ends[-1] < len(sizes):
        ends.append(int(np.searchsorted(total, filled + room, side="right")))
        filled = int(total[ends[-1] - 1]) if len(total) else 0
    return ends


def _runs(sorted_codes: Numbers, size: int) -> Numbers:
    """The number of each item's run: items of one code, so many at a time."""
    _, first, code = np.unique(sorted_codes, return_index=True, return_inverse=True)
    inside = np.arange(len(sorted_codes)) - first[code]
    begins = inside % size == 0
    return np.asarray(begins.cumsum() - 1)
