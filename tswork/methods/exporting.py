"""Encoders as exported programs with free batch and time, checked against the encoder at two lengths."""

from __future__ import annotations

import warnings

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tswork.encoders.base import Encoder
from tswork.errors import ModelUnfit
from tswork.methods.model import evaluating
from tswork.wording import counted

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
    """A program that gives the frames of whole sequences, of any number and of any length above one frame.

    Raises `ModelUnfit` with the reason when the encoder does not declare it, cannot be exported, or the program disagrees.
    """
    name = type(encoder).__name__
    if not encoder.exportable:
        raise ModelUnfit(name, encoder.why_not_exportable)
    with evaluating(encoder):
        program = _traced(encoder, channels)
        run = program.module()
        for batch, frames in ((1, 17), (3, 64)):
            x = _example(encoder, batch, frames, channels)
            difference = float((run(x) - encoder(x).values).abs().max())
            if difference > TOLERANCE:
                raise ModelUnfit(
                    name, f"the exported program differs by {difference:.2g} at {counted(x.shape[1], 'step')}"
                )
    return program


def _traced(encoder: Encoder, channels: int) -> torch.export.ExportedProgram:
    # Tracing takes a size of one for a constant, so one frame is left out.
    free = {"x": {0: torch.export.Dim("batch"), 1: torch.export.Dim("time", min=encoder.stride + 1)}}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch's own tracing
            return torch.export.export(
                _Frames(encoder),
                (_example(encoder, 2, 32, channels),),
                dynamic_shapes=free,
                prefer_deferred_runtime_asserts_over_guards=True,  # what it cannot prove of lengths is checked at run time
            )
    except Exception as error:
        raise ModelUnfit(type(encoder).__name__, f"cannot be exported: {str(error).partition(chr(10))[0]}") from error


def _example(encoder: Encoder, batch: int, frames: int, channels: int) -> Float[Tensor, "batch time channel"]:
    return torch.randn(batch, frames * encoder.stride, channels, device=next(encoder.parameters()).device)
