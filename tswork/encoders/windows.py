"""The last frame of every window of a series: what the published forecasting protocol calls its features.

For each step t the window [t - window + 1, t] is encoded by itself and its last frame is kept; windows that reach before the
series begins are filled with missing values. Nothing after t is read.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from tswork.encoders.base import Encoder
from tswork.encoders.dilated_conv import DilatedConv
from tswork.encoders.dilated_windows import last_of_windows
from tswork.encoders.latent import project_visible

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
    device = next(encoder.parameters()).device
    try:
        if isinstance(encoder, DilatedConv):
            # Steps are projected once; a missing step is a zero vector, and so is a step before the series.
            latent = project_visible(encoder.project, series[None].to(device), None, None)[0]
            padded = torch.cat([latent.new_zeros(window - 1, latent.shape[1]), latent])
            return last_of_windows(encoder, padded, window=window, batch=batch)
        padded = torch.cat([series.new_full((window - 1, series.shape[1]), torch.nan), series]).to(device)
        windows = padded.unfold(0, window, 1).transpose(1, 2)
        return torch.cat([encoder.last(chunk.contiguous()) for chunk in windows.split(batch)])
    finally:
        encoder.train(was_training)
