"""Sequences that are too short for an encoder, refused before anything is computed of them."""

from __future__ import annotations

import torch

from tswork.data.collection import Part
from tswork.data.locating import named
from tswork.encoders.base import Encoder
from tswork.errors import ModelUnfit
from tswork.wording import counted, worded


def check_lengths(encoder: Encoder, part: Part) -> None:
    """Refuse sequences that are too short for a single frame. Raises `ModelUnfit` with some of them."""
    short = torch.nonzero(part.lengths < encoder.min_length).flatten()
    if len(short) and encoder.min_length > 1:
        shortest = f"{len(short)} of {counted(len(part), 'sequence')} {worded(len(short), 'is', 'are')} shorter"
        shortest = f"{shortest}: {named(part.collection, part.spans[short, 0].tolist())}"
        reason = f"needs {counted(encoder.min_length, 'step')} for one frame, and {shortest}"
        raise ModelUnfit(
            type(encoder).__name__, reason, "Leave them out with the preparation `select`, or mend the data."
        )
