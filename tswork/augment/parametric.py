"""The augmentation network of AutoTCL: a view `v = g(x) * h(x) * x` that is learned.

Paper: Zheng et al., "Parametric Augmentation for Time Series Contrastive Learning", ICLR 2024, section 3: the factor mask h
keeps the informative part of a series, the transform g changes it without loss. Both are heads on one trunk that gives a
frame a step. The mask is drawn from the hard concrete distribution (Louizos et al., "Learning Sparse Neural Networks through
L0 Regularization", ICLR 2018) with logistic noise of bounded size; a straight-through estimator passes its gradient.
Reference code: github.com/AslanDing/AutoTCL at 2ca0060, read for its behaviour, written anew.

| | paper | reference |
| --- | --- | --- |
| gate | logits plus noise | the sigmoid of the logits plus noise, so squashed twice |
| | stretched to `(-stretch, 1 + stretch)` | stretched to `(-stretch, 1)` |
| | any keep rate, from nothing to all | keep rates between about a half and three quarters |
| transform g | `exp` of a bounded number: never zero, so nothing is lost | a sigmoid, which can reach zero |
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from tswork.augment.channels import changing_channels
from tswork.data.collection import DataInfo
from tswork.encoders.base import Encoder
from tswork.errors import ModelUnfit
from tswork.precision import wide
from tswork.wording import counted

Variant = Literal["paper", "reference"]
Factor = Literal["hard", "soft", "none"]
Transform = Literal["exp", "sigmoid", "none"]


def sample_gate(
    logits: Float[Tensor, "*shape"],
    *,
    noise_bias: float,
    stretch: float,
    hard: bool = True,
    generator: torch.Generator | None = None,
    variant: Variant = "paper",
) -> Float[Tensor, "*shape"]:
    """Draw a gate between 0 and 1 for each logit, in float32 or wider.

    A uniform number between `noise_bias` and `1 - noise_bias` becomes logistic noise (0.5: none at all); the sigmoid of logit
    and noise is stretched by `stretch` and clipped. `hard` rounds it to 0 or 1 (one half down, one above) and passes the
    gradient of the unrounded gate. The reference squashes the logit before it adds the noise, and stretches downwards only.

    >>> sample_gate(torch.zeros(1), noise_bias=0.5, stretch=0.05, hard=False, variant="reference")  # 1.05 sigmoid(0.5) - 0.05
    tensor([0.6036])
    """
    logits = wide(logits)
    share = torch.rand(logits.shape, generator=generator, device=logits.device, dtype=logits.dtype)
    uniform = (1 - noise_bias) - (1 - 2 * noise_bias) * share
    noise = uniform.log() - (-uniform).log1p()
    released = variant == "reference"
    squashed = ((logits.sigmoid() if released else logits) + noise).sigmoid()
    upper = 1.0 if released else 1.0 + stretch
    soft = (squashed * (upper + stretch) - stretch).clamp(0, 1)
    if not hard:
        return soft
    # The difference is exactly zero, so that the gate is exactly 0 or 1.
    rounded: Tensor = (soft > 0.5).to(soft.dtype) + (soft - soft.detach())
    return rounded


class ParametricView(NamedTuple):
    """A view and what it is made of; h and g are 1 for channels that are not gated."""

    x: Float[Tensor, "batch time channel"]
    h: Float[Tensor, "batch time channel"]
    g: Float[Tensor, "batch time channel"]
    keep: Float[Tensor, "batch time gated"]
    """The sigmoid of the mask's logits, for gated channels: what is asked to be sparse and consistent in time."""


class ParametricAugmentation(nn.Module):
    """Two heads on a trunk: `v = g * h * x`, where missing values stay missing and padding stays zero.

    `trunk` is any encoder that gives one frame a step. `factor` says whether the mask is rounded (`none`: no mask), `transform`
    how g follows from its head (`none`: no transform; `exp` lies between `exp(-bound)` and `exp(bound)`). Without
    `gate_covariates` channels that are no targets pass unchanged. Raises `ModelUnfit` for a trunk with fewer frames than steps.
    """

    def __init__(
        self,
        trunk: Encoder,
        info: DataInfo,
        *,
        noise_bias: float = 0.05,
        stretch: float = 0.05,
        factor: Factor = "hard",
        transform: Transform = "exp",
        bound: float = 1.0,
        gate: Variant = "paper",
        gate_covariates: bool = False,
    ) -> None:
        super().__init__()
        if trunk.stride != 1:
            reason = f"it gives one frame in {counted(trunk.stride, 'step')}, and the augmentation needs a gate for each step"
            raise ModelUnfit(type(trunk).__name__, reason, "Use a trunk of stride 1.")
        named = changing_channels(info, covariates=gate_covariates)
        self._gated_channels = tuple(info.channels.index(name) for name in named)
        self.gated: Tensor
        self.register_buffer("gated", torch.tensor(self._gated_channels), persistent=False)
        self.trunk = trunk
        self.factor_head = nn.Linear(trunk.dim, len(named)) if factor != "none" else None
        self.transform_head = nn.Linear(trunk.dim, len(named)) if transform != "none" else None
        self._channels = len(info.channels)
        self._gate: Variant = gate
        self._noise_bias, self._stretch = noise_bias, stretch
        self._hard = factor == "hard"
        self._bound = bound if transform == "exp" else None

    def forward(
        self,
        x: Float[Tensor, "batch time channel"],
        lengths: Int[Tensor, "batch"] | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> ParametricView:
        """The view of a batch; gates are drawn anew at every call."""
        frames: Tensor = self.trunk(x, lengths).values
        ones = x.new_ones(*x.shape[:2], len(self.gated))
        h, g, keep = ones, ones, ones
        if self.factor_head is not None:
            logits = wide(self.factor_head(frames))
            keep = logits.sigmoid()
            h = sample_gate(
                logits,
                noise_bias=self._noise_bias,
                stretch=self._stretch,
                hard=self._hard,
                generator=generator,
                variant=self._gate,
            )
        if self.transform_head is not None:
            g = self._transformed(wide(self.transform_head(frames)))
        h, g = self._on_all(h), self._on_all(g)
        missing = torch.isnan(x)
        # A product with NaN would send NaN back to the gates.
        view = torch.where(missing, torch.nan, g * h * torch.where(missing, 0.0, x))
        return ParametricView(view, h, g, keep)

    @property
    def gated_channels(self) -> tuple[int, ...]:
        """Positions of the channels that are changed."""
        return self._gated_channels

    @property
    def transform_range(self) -> tuple[float, float]:
        """What g lies between."""
        return (0.0, 1.0) if self._bound is None else (math.exp(-self._bound), math.exp(self._bound))

    def _transformed(self, numbers: Float[Tensor, "batch time gated"]) -> Float[Tensor, "batch time gated"]:
        return numbers.sigmoid() if self._bound is None else (self._bound * numbers.tanh()).exp()

    def _on_all(self, gates: Float[Tensor, "batch time gated"]) -> Float[Tensor, "batch time channel"]:
        """Gates on the channels they belong to, and 1 on the others."""
        if len(self._gated_channels) == self._channels:
            return gates
        return gates.new_ones(*gates.shape[:2], self._channels).index_copy(2, self.gated, gates)
