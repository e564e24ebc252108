"""The last frame of every window of a series: what the published forecasting protocol calls its features.

For each step t the window [t - window + 1, t] is encoded by itself and its last frame is kept; windows that reach before the
series begins are filled with missing values. Nothing after t is read.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from tswork.encoders.base import Encoder

BATCH = 256


@torch.no_grad()
def encode_last_windows(
    encoder: Encoder, series: Float[Tensor, "time channel"], *, window: int = 201, batch: int = BATCH
) -> Float[Tensor, "time dim"]:
    """Features of all windows that end in the series, one a step, on the encoder's device.

    Memory is bounded by `batch` windows. The encoder is put into evaluation mode for the call.
    """
    was_training = encoder.training
    encoder.eval()
    try:
        return encoder.last_of_windows(series.to(next(encoder.parameters()).device), window=window, batch=batch)
    finally:
        encoder.train(was_training)
