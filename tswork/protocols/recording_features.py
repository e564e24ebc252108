"""What an item shows beside what was said: how it was recorded, how far its spectrum reaches, and how its silence sounds.

A class that can be told from any of this is confounded with the way its recordings were made, and a classifier may have learned
that.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tswork.data.batches import Batches
from tswork.data.collection import Part
from tswork.data.samplers import ByLength
from tswork.metrics.bandwidth import rolloffs
from tswork.metrics.mfcc_statistics import FEATURES, WINDOW_SECONDS
from tswork.protocols.plain_features import plain_features

TINY = 1e-10
LOUD = 1e-4
"""A frame is silence below this share of the power of the loudest one: 40 dB."""
FRAME_SECONDS = 0.01


def metadata(part: Part, recording: tuple[str, ...]) -> Float[np.ndarray, "item feature"]:
    """Length, peak and level (dB) of each item, and each value of the recording columns as 0 or 1."""
    sampler = ByLength(part.lengths, equal=True)
    batches = Batches(part, sampler=sampler)
    loudness = np.zeros((len(part), 2))
    for step in range(batches.steps(0)):
        x = batches.at(0, step).x.double().nan_to_num()
        power = x.square().mean(dim=(1, 2)) if x.shape[1] else torch.zeros(len(x), dtype=torch.float64)
        peak = x.abs().amax(dim=(1, 2)) if x.shape[1] else torch.zeros(len(x), dtype=torch.float64)
        loudness[sampler.at(0, step).numpy()] = torch.stack([peak, 10 * torch.log10(power + TINY)], dim=1).numpy()
    columns = [np.log(np.maximum(part.lengths.numpy(), 1))[:, None], loudness]
    for name in recording:
        codes = part.codes(name).numpy()
        columns.append((codes[:, None] == np.arange(len(part.collection.categories(name)))).astype(float))
    return np.concatenate(columns, axis=1)


def bandwidth(part: Part) -> Float[np.ndarray, "item feature"]:
    """How far the spectrum of each item reaches, in Hz."""
    assert part.collection.rate is not None
    sampler = ByLength(part.lengths, equal=True)
    batches = Batches(part, sampler=sampler)
    rows = [
        (sampler.at(0, step).numpy(), rolloffs(batches.at(0, step).x.double().numpy(), rate=part.collection.rate))
        for step in range(batches.steps(0))
    ]
    found = np.full((len(part), rows[0][1].shape[1] if rows else 0), np.nan)
    for items, values in rows:
        found[items] = values
    return found


def beginning(part: Part, seconds: float) -> Float[np.ndarray, "item feature"]:
    """MFCC statistics of at most the first so many seconds of each item, up to where its sound begins; NaN where it does at once."""
    assert part.collection.rate is not None
    start = part.spans[:, 1]
    return _of_pieces(part, start, torch.minimum(sounding(part)[0], start + round(seconds * part.collection.rate)))


def silence(part: Part) -> Float[np.ndarray, "item feature"]:
    """MFCC statistics of the silence before and after each item's sound, and how long they last; NaN where there is none."""
    assert part.collection.rate is not None
    start, stop = sounding(part)
    before, after = (_of_pieces(part, *ends) for ends in ((part.spans[:, 1], start), (stop, part.spans[:, 2])))
    lasting = torch.stack([start - part.spans[:, 1], part.spans[:, 2] - stop], dim=1) / part.collection.rate
    return np.concatenate([before, after, lasting.double().numpy()], axis=1)


def sounding(part: Part) -> tuple[Tensor, Tensor]:
    """The step at which each item's first loud frame begins, and that at which its last one ends, counted in its sequence.

    Frames of 10 ms; an item of silence alone sounds from end to end.
    """
    assert part.collection.rate is not None
    frame = max(1, round(FRAME_SECONDS * part.collection.rate))
    sampler = ByLength(part.lengths, equal=True)
    batches = Batches(part, sampler=sampler)
    start, stop = part.spans[:, 1].clone(), part.spans[:, 2].clone()
    for step in range(batches.steps(0)):
        items, x = sampler.at(0, step), batches.at(0, step).x.double().nan_to_num()
        frames = x.shape[1] // frame
        if not frames:
            continue
        power = x[:, : frames * frame].reshape(len(x), frames, -1).square().mean(dim=2)
        loud = power >= LOUD * power.amax(dim=1, keepdim=True)
        first, last = loud.int().argmax(dim=1), frames - 1 - loud.flip(1).int().argmax(dim=1)
        start[items] = part.spans[items, 1] + first * frame
        ended = part.spans[items, 1] + (last + 1) * frame
        stop[items] = torch.where(last == frames - 1, part.spans[items, 2], ended)
    return start, stop


def _of_pieces(part: Part, start: Tensor, stop: Tensor) -> Float[np.ndarray, "item feature"]:
    """MFCC statistics of a piece of each item; NaN where it is shorter than one window."""
    assert part.collection.rate is not None
    enough = stop - start >= round(WINDOW_SECONDS * part.collection.rate)
    pieces = torch.stack([part.spans[:, 0], start, stop], dim=1)[enough]
    found = np.full((len(part), FEATURES * len(part.collection.channels)), np.nan)
    if len(pieces):
        found[enough.numpy()] = plain_features("mfcc_statistics", Part(part.collection, pieces))
    return found
