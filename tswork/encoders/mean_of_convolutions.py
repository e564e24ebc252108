"""The mean of causal convolutions of several lengths, trained one by one and computed as a single one.

Each is `y[t] = bias + sum over j of x[t - j] @ weight[j]`, from zeros before the first step. All meet at the present step, so their
mean is the causal convolution whose kernel and bias are the mean of theirs, kernels being zero beyond their own length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from tswork.encoders.causal_convolution import causal_convolution


class MeanOfConvolutions(nn.Module):
    """The mean of causal convolutions with so many taps each."""

    def __init__(self, wide_in: int, wide_out: int, *, kernels: Iterable[int]) -> None:
        super().__init__()
        lengths = sorted(kernels)
        self.taps = lengths[-1]
        self.weights = nn.ParameterList(torch.empty(taps, wide_in, wide_out) for taps in lengths)
        self.biases = nn.ParameterList(torch.empty(wide_out) for _ in lengths)
        for taps, weight, bias in zip(lengths, self.weights, self.biases, strict=True):
            bound = (wide_in * taps) ** -0.5  # as torch's own convolutions begin
            nn.init.uniform_(weight, -bound, bound)
            nn.init.uniform_(bias, -bound, bound)

    def forward(self, frames: Float[Tensor, "batch time wide_in"]) -> Float[Tensor, "batch time wide_out"]:
        return causal_convolution(frames, self.kernel()) + self.bias()

    def at_end(self, count: int) -> Callable[[Float[Tensor, "count batch wide_in"]], Float[Tensor, "batch wide_out"]]:
        """What gives the last step alone, from the last `count` steps, the oldest first; kernels are folded here, once."""
        kernel, bias = self.kernel()[:count].flatten(0, 1), self.bias()
        return lambda frames: torch.addmm(bias, frames.flip(0).transpose(0, 1).flatten(1), kernel)

    def kernel(self) -> Float[Tensor, "tap wide_in wide_out"]:
        """The single convolution's kernel; its first tap meets the present step."""
        share = 1 / len(self.weights)
        folded: Tensor = self.weights[0][:0]
        for weight in self.weights:  # from the shortest to the longest
            folded = torch.add(functional.pad(folded, (0, 0, 0, 0, 0, len(weight) - len(folded))), weight, alpha=share)
        return folded

    def bias(self) -> Float[Tensor, "wide_out"]:
        """The single convolution's bias."""
        return torch.stack(list(self.biases)).mean(dim=0)
