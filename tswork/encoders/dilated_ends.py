"""The last few frames of windows by dilated convolutions, exact, from the steps they depend on and from what windows share.

`dilated_conv` looks at one step of a window and thins its grid out; here many steps at the window's end are wanted, so nothing
thins out. What saves work is this:

- of each block only the steps that the wanted ones depend on are computed, and of its convolutions only the taps that meet a
  step of the window: from a dilation of the window's length on that is the centre tap alone, at the wanted steps alone;
- windows of one series share its inside: after block k only those steps of a window know of its ends that lie within
  2 * (2^(k+1) - 1) steps of one. So while these ends do not meet, blocks run once over the series, and a window computes its two
  ends by itself (62 of 201 steps each after five blocks).

Arrays are `(step, window, hidden)`: a run of steps of all windows is one matrix without a copy, and so is a step of all windows
that share a series.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from tswork.encoders.base import Ends
from tswork.encoders.dilated_conv import Block


def frames_at_end(
    blocks: Sequence[Block],
    hidden: Float[Tensor, "step window hidden"],
    count: int,
    *,
    inside: Bool[Tensor, "step window 1"] | None = None,
) -> Float[Tensor, "count window dim"]:
    """What these blocks make of windows at their last `count` steps; steps not inside count as zeros."""
    for block, (inner, outer) in zip(blocks, _needed(blocks, len(hidden), count), strict=True):
        steps = len(hidden)
        activated = _only(functional.gelu(hidden), inside)
        middle = _only(functional.gelu(_convolved(block.first, activated, steps - inner, steps)), inside)
        kept = hidden[steps - outer :]
        if block.skip is not None:
            kept = functional.linear(kept, block.skip.weight[..., 0], block.skip.bias)
        hidden = kept + _convolved(block.second, middle, inner - outer, inner)
    return _only(hidden, inside)


def frames_at_end_of_windows(
    blocks: Sequence[Block], latent: Float[Tensor, "time hidden"], ends: Ends, *, window: int, count: int
) -> Float[Tensor, "count window dim"]:
    """The same for windows of a series; the window of end t begins at row t of `latent`."""
    series, windows = latent[ends.first : ends.stop + window - 1], ends.stop - ends.first

    def of_windows(steps: Float[Tensor, "time 1 hidden"], start: int, stop: int) -> Float[Tensor, "step window hidden"]:
        """Steps `start` to `stop` of every window, as a view of the series where ends follow one another."""
        every = steps[:, 0].unfold(0, windows, 1).transpose(1, 2)[start:stop]
        return every if ends.places is None else every[:, ends.places]

    layer = series[:, None]
    left = right = of_windows(layer, 0, 0)
    shared = 0
    for block in blocks:
        d, own = block.dilation, len(left)
        if block.skip is not None or 2 * (own + 2 * d) > window:
            break
        activated = functional.gelu(layer)
        middle = functional.gelu(_convolved(block.first, activated, 0, len(layer)))
        # The left end computes from step 0 of a window on, the right end up to its last: `far` is where that one begins.
        inner = own + d
        outer = inner + d
        far = window - outer
        seen = torch.cat([functional.gelu(left), of_windows(activated, own, outer)])
        seen = functional.gelu(_convolved(block.first, seen, 0, inner))
        seen = torch.cat([seen, of_windows(middle, inner, outer + d)])
        left = torch.cat([left, of_windows(layer, own, outer)]) + _convolved(block.second, seen, 0, outer)
        seen = torch.cat([of_windows(activated, far, window - own), functional.gelu(right)])
        seen = functional.gelu(_convolved(block.first, seen, d, outer))
        seen = torch.cat([of_windows(middle, far - d, window - inner), seen])
        right = torch.cat([of_windows(layer, far, window - own), right]) + _convolved(block.second, seen, d, outer + d)
        layer = layer + _convolved(block.second, middle, 0, len(layer))
        shared += 1
    between = of_windows(layer, len(left), window - len(right))
    return frames_at_end(blocks[shared:], torch.cat([left, between, right]), count)


def last_block_and_sum(
    block: Block, kernel: Float[Tensor, "count dim wide_out"], bias: Float[Tensor, "wide_out"]
) -> Callable[[Float[Tensor, "count window hidden"]], Float[Tensor, "window wide_out"]]:
    """The last block, where its dilation leaves only the centre taps, and a weighted sum of the frames that it gives.

    Nothing but sums follows the block's second GELU, so its second convolution and its skip are multiplied into the kernel once
    and for all: a third less work for each window, for the price of as many windows as a frame is wide.
    """
    assert block.skip is not None
    assert block.skip.bias is not None
    assert block.second.bias is not None
    whole = bias + (block.second.bias + block.skip.bias) @ kernel.sum(dim=0)
    inner = (block.second.weight[..., 1].T @ kernel).flatten(0, 1)
    straight = (block.skip.weight[..., 0].T @ kernel).flatten(0, 1)
    first, first_bias = block.first.weight[..., 1], block.first.bias

    def finish(hidden: Float[Tensor, "count window hidden"]) -> Float[Tensor, "window wide_out"]:
        rows = hidden.transpose(0, 1).contiguous()
        middle = functional.gelu(functional.linear(functional.gelu(rows), first, first_bias))
        return torch.addmm(whole, rows.flatten(1), straight) + middle.flatten(1) @ inner

    return finish


def _needed(blocks: Sequence[Block], window: int, count: int) -> list[tuple[int, int]]:
    """For each block, at how many of the last steps its first and its second convolution are needed."""
    needed: list[tuple[int, int]] = []
    for block in reversed(blocks):
        beyond = block.dilation if block.dilation < window else 0
        inner = min(window, count + beyond)
        needed.append((inner, count))
        count = min(window, inner + beyond)
    return needed[::-1]


def _convolved(
    convolution: nn.Conv1d, x: Float[Tensor, "step window wide_in"], start: int, stop: int
) -> Float[Tensor, "fewer window wide_out"]:
    """The convolution at steps `start` to `stop`, its neighbours outside of x being zero, one product for each tap."""
    d, steps, windows = convolution.dilation[0], len(x), x.shape[1]
    left, centre, right = convolution.weight.unbind(2)
    assert convolution.bias is not None
    result = torch.addmm(convolution.bias, x[start:stop].flatten(0, 1), centre.T)
    first = max(start, d)  # the first that has a left neighbour
    if first < stop:
        result[(first - start) * windows :].addmm_(x[first - d : stop - d].flatten(0, 1), left.T)
    beyond = min(stop, steps - d)  # the first without a right neighbour
    if start < beyond:
        result[: (beyond - start) * windows].addmm_(x[start + d : beyond + d].flatten(0, 1), right.T)
    return result.view(stop - start, windows, -1)


def _only(values: Tensor, inside: Tensor | None) -> Tensor:
    return values if inside is None else values * inside[len(inside) - len(values) :]
