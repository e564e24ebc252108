"""Mel bands in decibels as SpeechBrain computes them, for encoders whose weights were trained on these.

Read in speechbrain/processing/features.py (009d7da): a Hamming window of 25 ms, centred on the first sample and on every 10 ms after it,
so n samples give floor(n / hop) + 1 frames; power; triangles whose two sides are both as wide as the lower one; 10 log10 of at least
1e-10, and nothing more than 80 dB below the loudest band of the clip; then each band's mean over the clip is taken away.

The front end `log_mel` differs in all of these, and an encoder that was trained on one does not understand the other. Samples past a
clip's length are zeros, and neither the loudest band nor the mean knows of them.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from tswork.encoders.base import Frames, full_lengths, valid_steps
from tswork.encoders.front_ends.mel import no_quieter
from tswork.precision import wide

RATE = 16000
WINDOW, HOP = 400, 160
QUIETEST = 1e-10
RANGE = 80.0
"""Decibels between the loudest band of a clip and the least that is told apart."""


class DecibelMel(nn.Module):
    """Samples at 16 kHz to frames of mel bands, each band's mean taken away."""

    def __init__(self, mels: int) -> None:
        super().__init__()
        self.window: Tensor
        self.triangles: Tensor
        self.register_buffer("window", torch.hamming_window(WINDOW), persistent=False)
        self.register_buffer("triangles", triangles(mels), persistent=False)

    def forward(self, x: Float[Tensor, "batch sample"], lengths: Int[Tensor, "batch"] | None = None) -> Frames:
        """Frames of clips that are zero past their lengths."""
        with torch.autocast(x.device.type, enabled=False):
            spectrum = torch.stft(
                wide(x), WINDOW, HOP, WINDOW, self.window, center=True, pad_mode="constant", return_complex=True
            )
            power = torch.view_as_real(spectrum).square().sum(dim=3).transpose(1, 2)
            decibels = 10 * (power @ self.triangles).clamp(min=QUIETEST).log10()
        known = (full_lengths(x[..., None]) if lengths is None else lengths) // HOP + 1
        inside = valid_steps(known, decibels.shape[1])
        outside = ~inside[..., None]
        heard = no_quieter(decibels, inside, below=RANGE).masked_fill(outside, 0.0)
        centred = heard - heard.sum(dim=1, keepdim=True) / known[:, None, None]
        return Frames(centred.masked_fill(outside, 0.0), known)


def triangles(mels: int) -> Float[Tensor, "frequency mel"]:
    """The weight of each frequency in each band."""
    top = 2595 * torch.log10(torch.tensor(1 + RATE / 2 / 700))
    edges = 700 * (10 ** (torch.linspace(0, float(top), mels + 2) / 2595) - 1)
    centre, width = edges[1:-1], edges[1:-1] - edges[:-2]
    slope = (torch.linspace(0, RATE / 2, WINDOW // 2 + 1)[:, None] - centre) / width
    return (1 - slope.abs()).clamp(min=0)
