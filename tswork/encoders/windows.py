"""The last frame of every window of a series: what the published forecasting protocol calls its features.

For each step t that is asked for, the window [t - window + 1, t] is encoded by itself and its last frame is kept; windows that
reach before the series begins are filled with missing values. Nothing after t is read.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tswork.encoders.base import Encoder, Ends

BATCH = 256


@torch.no_grad()
def encode_last_windows(
    encoder: Encoder,
    series: Float[Tensor, "time channel"],
    ends: Int[Tensor, "some"] | None = None,
    *,
    window: int = 201,
    batch: int = BATCH,
) -> Float[Tensor, "some dim"]:
    """Features of the windows that end at these steps (rising, on the host; none: at every step), on the encoder's device.

    Memory is bounded by `batch` windows. The encoder is put into evaluation mode for the call.
    """
    device = next(encoder.parameters()).device
    portions = list(_portions(torch.arange(len(series)) if ends is None else ends, batch, device))
    was_training = encoder.training
    encoder.eval()
    try:
        return encoder.last_of_windows(series.to(device), portions, window=window)
    finally:
        encoder.train(was_training)


def _portions(ends: Int[Tensor, "some"], batch: int, device: torch.device) -> Iterator[Ends]:
    """So many steps at a time."""
    for portion in ends.split(batch):
        first, stop = int(portion[0]), int(portion[-1]) + 1
        yield Ends(first, stop, None if stop - first == len(portion) else (portion - first).to(device))
