"""Encoders as exported programs with free batch and time, checked against the encoder at two lengths."""

from __future__ import annotations

import warnings

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tswork.encoders.base import Encoder
from tswork.errors import ModelUnfit

TOLERANCE = 1e-3


class _Frames(nn.Module):
    """`(batch, time, channel)` in, frames out: whole sequences without padding."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Float[Tensor, "batch time channel"]) -> Tensor:
        values: Tensor = self.encoder(x, None).values
        return values


def export_encoder(encoder: Encoder, *, channels: int) -> torch.export.ExportedProgram:
    """A program that gives the frames of whole sequences of any number and length.

    Raises `ModelUnfit` with the reason when the encoder does not declare it, cannot be exported, or the program disagrees.
    """
    if not encoder.exportable:
        raise ModelUnfit(type(encoder).__name__, "does not declare itself exportable")
    encoder.eval()
    device = next(encoder.parameters()).device
    free = {"x": {0: torch.export.Dim("batch"), 1: torch.export.Dim("time", min=2)}}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch's own tracing
            example = torch.randn(2, 32, channels, device=device)
            program = torch.export.export(_Frames(encoder), (example,), dynamic_shapes=free)
    except Exception as error:
        raise ModelUnfit(type(encoder).__name__, f"cannot be exported: {str(error).partition(chr(10))[0]}") from error
    run = program.module()
    for batch, time in ((1, 17), (3, 64)):
        x = torch.randn(batch, time, channels, device=device)
        with torch.no_grad():
            difference = float((run(x) - encoder(x).values).abs().max())
        if difference > TOLERANCE:
            raise ModelUnfit(
                type(encoder).__name__, f"the exported program differs by {difference:.2g} at {time} steps"
            )
    return program
