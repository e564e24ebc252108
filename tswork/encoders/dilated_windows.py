"""The last frame of every window of a series by dilated convolutions, exact, from what windows share.

Each window is encoded by itself, with zeros outside. Yet after block k only those steps of a window know of its ends that lie
within 2 * (2^(k+1) - 1) steps of one; all others have the values that a pass over the whole series gives. On the grid that the
last frame depends on (every 2^k-th step, see `dilated_conv`), that leaves two points at each end that belong to a window
alone. So the first blocks run once over the series, and for a window they compute two points at each of its ends; from the
level on where the ends meet, a window's grid (at most a dozen points) goes up the stack by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from tswork.encoders.base import Ends
from tswork.encoders.dilated_conv import Block, DilatedConv

OWN = 2
"""Points at each end of a grid that belong to a window alone."""
SMALLEST_SHARED = 11
"""Points of the smallest grid whose ends can be computed apart: one reads six from the left, the other five from the right."""


def last_of_windows(
    encoder: DilatedConv, latent: Float[Tensor, "time hidden"], ends: Sequence[Ends], *, window: int
) -> Float[Tensor, "some dim"]:
    """The last frames of windows of projected steps, a portion at a time; the window of end t begins at row t of `latent`."""
    layers = _shared_layers(encoder, latent, window)
    return torch.cat([_of_portion(encoder, layers, window, some) for some in ends])


def _shared_layers(
    encoder: DilatedConv, latent: Float[Tensor, "time hidden"], window: int
) -> list[Float[Tensor, "time hidden"]]:
    """What goes into each block while grids are large enough to be shared, over the whole series."""
    layers = [latent]
    for block in encoder.stack[:-1]:
        if _points(window, level=len(layers) - 1) < SMALLEST_SHARED:
            break
        layers.append(block(layers[-1].T[None], None)[0].T.contiguous())
    return layers


def _of_portion(
    encoder: DilatedConv, layers: list[Float[Tensor, "time hidden"]], window: int, some: Ends
) -> Float[Tensor, "batch dim"]:
    top = len(layers) - 1
    if top == 0:
        grid = some.of(layers[0].unfold(0, window, 1))
        return encoder.last_of_latent(grid.transpose(1, 2))

    def shared(level: int, points: range) -> list[Tensor]:
        """Points of every window's grid, counted from its last; each is a slice of the series where ends follow one another."""
        return [some.of(layers[level][window - 1 - point * 2**level :]) for point in points]

    last = window - 1
    left = torch.stack(shared(0, range(last, last - OWN, -1)), dim=1)
    right = torch.stack(shared(0, range(OWN - 1, -1, -1)), dim=1)
    for level in range(top):
        block, last = encoder.stack[level], _points(window, level) - 1
        outer = range(last - OWN, last - 5 - last % 2, -1)
        left = _left_end(block, torch.cat([left, torch.stack(shared(level, outer), dim=1)], dim=1))
        right = _right_end(block, torch.cat([torch.stack(shared(level, range(4, 1, -1)), dim=1), right], dim=1))
    between = shared(top, range(_points(window, top) - 1 - OWN, OWN - 1, -1))
    grid = torch.cat([left, *(point[:, None] for point in between), right], dim=1)
    return encoder.last_of_latent(grid, level=top)


def _left_end(block: Block, points: Float[Tensor, "batch point hidden"]) -> Float[Tensor, "batch 2 hidden"]:
    """The first two points of the thinner grid. Of five points they are the first and the third, of six the second and fourth."""
    skipped = points.shape[1] - 5
    inner = _convolve(block.first, functional.pad(functional.gelu(points), (0, 0, 1, 0)))
    inner = functional.pad(functional.gelu(inner), (0, 0, 1 - skipped, 0))
    return points[:, skipped : skipped + 3 : 2] + _convolve(block.second, inner, stride=2)


def _right_end(block: Block, points: Float[Tensor, "batch 5 hidden"]) -> Float[Tensor, "batch 2 hidden"]:
    """The last two points of the thinner grid: the third and the last of five."""
    inner = _convolve(block.first, functional.pad(functional.gelu(points), (0, 0, 0, 1)))
    inner = functional.pad(functional.gelu(inner), (0, 0, 0, 1))
    return points[:, 2::2] + _convolve(block.second, inner, stride=2)


def _convolve(
    convolution: nn.Conv1d, points: Float[Tensor, "batch point hidden"], *, stride: int = 1
) -> Float[Tensor, "batch fewer hidden"]:
    """A convolution of kernel 3 over a few neighbouring points of the grid, as one matrix product."""
    taps = points.unfold(1, 3, stride).flatten(2)
    return functional.linear(taps, convolution.weight.flatten(1), convolution.bias)


def _points(window: int, level: int) -> int:
    """Points of a window's grid that goes into the block of that level."""
    return (window - 1 >> level) + 1
