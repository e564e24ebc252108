"""Dilated convolutions: the encoder of TS2Vec.

Paper: Yue et al., "TS2Vec: Towards Universal Representation of Time Series", AAAI 2022, section 3.2 and appendix.
A linear projection of each step, then residual blocks `x + conv(gelu(conv(gelu(x))))` of kernel 3 whose dilation doubles from
block to block, with zero padding on both sides (not causal), and dropout on the output. The last block widens to `dim` with
a 1x1 convolution on its skip. Steps are hidden by zeroing the projected row, so a hidden step is the zero vector after the
bias.

Departures
| published | here |
| --- | --- |
| padding enters the convolutions as data | with lengths given, steps past a length are zeroed before every convolution |
| rows with missing values are zeroed in the caller's tensor | the caller's tensor is left alone |

Where a dilation is at least as long as the window, both neighbours of every step lie outside and the centre tap alone is used.
`last` is exact too and needs a fraction of the work: for the last step of a window, a block of dilation d depends only on steps
congruent to it modulo d, and on that grid its convolution is an ordinary one of kernel 3. Walking up the stack the grid
thins out by two from block to block (201, 101, 51, 26, 13, 7, 4, 2, 1, 1, 1 steps for a window of 201).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from tswork.data.collection import DataInfo
from tswork.encoders.base import Encoder, Ends, Frames, full_lengths, valid_steps
from tswork.encoders.latent import project_series, project_visible
from tswork.encoders.with_front_end import EncoderConfig
from tswork.registry import register


class DilatedConvConfig(EncoderConfig):
    dim: int = Field(default=320, ge=1, description="width of a frame")
    hidden: int = Field(default=64, ge=1, description="width of the hidden blocks")
    depth: int = Field(
        default=10, ge=1, le=20, description="hidden blocks; block i has dilation 2^i, one wider block follows"
    )
    dropout: float = Field(default=0.1, ge=0, lt=1, description="dropout on the frames in training")


@register("encoder", "dilated_conv", version=1, config=DilatedConvConfig)
class DilatedConv(Encoder):
    """Residual dilated convolutions over the whole window (TS2Vec)."""

    masks = "latent"
    exportable = True

    def __init__(self, config: DilatedConvConfig, info: DataInfo) -> None:
        super().__init__()
        self.dim, self.latent_dim = config.dim, config.hidden
        self.project = nn.Linear(len(info.channels), config.hidden)
        widths = [config.hidden] * (config.depth + 1) + [config.dim]
        last = len(widths) - 2
        self.blocks = nn.ModuleList(
            Block(wide, widths[index + 1], dilation=2**index, widens=index == last)
            for index, wide in enumerate(widths[:-1])
        )
        self.dropout = nn.Dropout(config.dropout)

    @property
    def frame_dropout(self) -> nn.Dropout:
        return self.dropout

    def forward(
        self,
        x: Float[Tensor, "batch time channel"],
        lengths: Int[Tensor, "batch"] | None = None,
        *,
        keep: Bool[Tensor, "batch time *latent"] | None = None,
    ) -> Frames:
        # In one order of memory from here on: among tensors of two orders the backward pass of a block takes up to twice as long.
        hidden = project_visible(self.project, x, lengths, keep).transpose(1, 2).contiguous()
        inside = None if lengths is None else valid_steps(lengths, x.shape[1])[:, None, :].to(hidden.dtype)
        for block in self.blocks:
            hidden = block(hidden, inside)
        frames = self.dropout(hidden.transpose(1, 2))
        return Frames(frames, full_lengths(x) if lengths is None else lengths)

    def last(
        self, x: Float[Tensor, "batch time channel"], lengths: Int[Tensor, "batch"] | None = None
    ) -> Float[Tensor, "batch dim"]:
        if self.training:
            return super().last(x, lengths)  # dropout belongs to whole sequences
        return self.last_of_latent(*self.latent_that_ends_together(x, lengths))

    def last_of_windows(
        self, series: Float[Tensor, "time channel"], ends: Sequence[Ends], *, window: int
    ) -> Float[Tensor, "some dim"]:
        from tswork.encoders.dilated_windows import last_of_windows  # which is made of this encoder's blocks

        if self.training:
            return super().last_of_windows(series, ends, window=window)
        latent = project_series(self.project, series, before=window - 1)
        return last_of_windows(self, latent, ends, window=window)

    @property
    def stack(self) -> list[Block]:
        """The blocks, the one next to the projection first."""
        return [block for block in self.blocks if isinstance(block, Block)]

    def latent_that_ends_together(
        self, x: Float[Tensor, "batch time channel"], lengths: Int[Tensor, "batch"] | None
    ) -> tuple[Float[Tensor, "batch time hidden"], Bool[Tensor, "batch time"] | None]:
        """Projected sequences that end at the last step, and which steps are theirs; those in front must stay zero all the way up."""
        if lengths is None:
            return project_visible(self.project, x, None, None), None
        steps = torch.arange(x.shape[1], device=x.device) - (x.shape[1] - lengths)[:, None]
        visible = steps >= 0
        index = steps.clamp(min=0)[..., None].expand(-1, -1, x.shape[2])
        return project_visible(self.project, x.gather(1, index), None, visible), visible

    def last_of_latent(
        self,
        latent: Float[Tensor, "batch step hidden"],
        visible: Bool[Tensor, "batch step"] | None = None,
        *,
        level: int = 0,
    ) -> Float[Tensor, "batch dim"]:
        """The last frame of projected windows, from the steps it depends on alone; steps not visible are outside.

        With a `level`, what goes into the block of that number, on its grid: every `2^level`-th step up to the last.
        """
        hidden = latent.transpose(1, 2)
        inside = None if visible is None else visible[:, None, :].to(hidden.dtype)
        for block in self.stack[level:]:
            hidden = block.thin(hidden, inside)
            inside = None if inside is None else _every_second(inside)
        return hidden[..., -1]


class Block(nn.Module):
    """`x + conv(gelu(conv(gelu(x))))`, with a 1x1 convolution on the skip where the width changes or `widens` says so."""

    def __init__(self, wide_in: int, wide_out: int, *, dilation: int, widens: bool) -> None:
        super().__init__()
        self.dilation = dilation
        self.first = nn.Conv1d(wide_in, wide_out, 3, padding=dilation, dilation=dilation)
        self.second = nn.Conv1d(wide_out, wide_out, 3, padding=dilation, dilation=dilation)
        self.skip = nn.Conv1d(wide_in, wide_out, 1) if widens or wide_in != wide_out else None

    def forward(
        self, hidden: Float[Tensor, "batch wide_in time"], inside: Float[Tensor, "batch 1 time"] | None
    ) -> Float[Tensor, "batch wide_out time"]:
        kept = hidden if self.skip is None else self.skip(hidden)
        inner = convolved_activation(self.first, hidden, inside)
        result: Tensor = kept + convolved_activation(self.second, inner, inside)
        return result

    def thin(
        self, grid: Float[Tensor, "batch wide_in step"], inside: Float[Tensor, "batch 1 step"] | None
    ) -> Float[Tensor, "batch wide_out thinner"]:
        """The block on a grid of its own dilation that ends at the last step; every second step is kept, the last among them."""
        activated = _only(functional.gelu(grid), inside)
        if grid.shape[-1] == 1:  # both neighbours lie outside, so only the centre tap sees data
            inner = _only(functional.gelu(_centre(self.first, activated)), inside)
            second = _centre(self.second, inner)
        else:
            inner = functional.gelu(functional.conv1d(activated, self.first.weight, self.first.bias, padding=1))
            inner = _only(inner, inside)
            # Strided so that it starts at step 0 of an odd grid and at step 1 of an even one, and always ends at the last.
            padded = functional.pad(inner, (grid.shape[-1] % 2, 1))
            second = functional.conv1d(padded, self.second.weight, self.second.bias, stride=2)
        kept = _every_second(grid)
        result: Tensor = second + (kept if self.skip is None else self.skip(kept))
        return result


LARGE = 2**19
"""Activations of so many numbers on a CPU are computed again in the backward pass; on a GPU, and for few, memory is no matter."""


def convolved_activation(
    convolution: nn.Conv1d, hidden: Float[Tensor, "batch wide_in time"], inside: Float[Tensor, "batch 1 time"] | None
) -> Float[Tensor, "batch wide_out time"]:
    """`conv(gelu(hidden))`; a large activation is not kept for the backward pass, beside what it is computed from."""
    activated = _only(functional.gelu(hidden), inside)
    kept = not hidden.requires_grad or hidden.numel() < LARGE or hidden.device.type != "cpu"
    if kept or torch.compiler.is_exporting():
        return _convolved(convolution, activated)
    source, place, shape = hidden.detach(), activated.data_ptr(), activated.shape

    def pack(saved: Tensor) -> Tensor | None:
        return None if saved.data_ptr() == place and saved.shape == shape else saved

    def unpack(packed: Tensor | None) -> Tensor:
        return _only(functional.gelu(source), inside) if packed is None else packed

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        return _convolved(convolution, activated)


def _only(values: Tensor, inside: Tensor | None) -> Tensor:
    return values if inside is None else values * inside


def _every_second(grid: Tensor) -> Tensor:
    """Every second step, the last among them."""
    return grid[..., (grid.shape[-1] - 1) % 2 :: 2]


def _convolved(convolution: nn.Conv1d, values: Tensor) -> Tensor:
    """The convolution, by its centre tap alone where no step has a neighbour."""
    if not torch.compiler.is_exporting() and values.shape[-1] <= convolution.dilation[0]:
        return _centre(convolution, values)
    result: Tensor = convolution(values)
    return result


def _centre(convolution: nn.Conv1d, values: Tensor) -> Tensor:
    return functional.conv1d(values, convolution.weight[..., 1:2], convolution.bias)
