"""AutoTCL: the view that a window is contrasted with is learned, by another network that is trained in turns with the encoder.

Paper: Zheng et al., "Parametric Augmentation for Time Series Contrastive Learning", ICLR 2024. Reference code:
github.com/AslanDing/AutoTCL at 2ca0060 (no licence), read for its behaviour, written anew.

An augmentation network turns a window x into the view `v = g(x) * h(x) * x`: h masks what does not matter, g changes what is
left without losing it (`tswork.augment.parametric`). Noise on top of it is the timestamp mask. Two updates take turns:
- every `ratio` steps the augmentation network, by the principle of relevant information: the discrepancy between embeddings
  of x and v, plus the sparsity of h, plus its consistency in time. The encoder is frozen, dropout and batch statistics too;
- at every step the encoder, by global and local InfoNCE (`tswork.methods.window_contrast`). No gradient flows into the view.

Defaults follow the paper, with the repairs below; `variant: reference` has the defaults of the released code, which gave the
published tables. Each line is an option of its own, and one that is written down overrides its default.
| option | `variant: paper` | `variant: reference` |
| --- | --- | --- |
| `mask` | `binomial`: half of the projected steps hidden, in window and view | `all_true`: none (an argument in the wrong place) |
| `discrepancy_frames` | `encoder`: what the encoder's loss compares | `trunk`: those before the mixture (the same slip) |
| `gate` | `logits`: any keep rate | `probabilities`: squashed twice, from about a half to three quarters |
| `transform` | `exp` of a bounded number, never zero | `sigmoid`, which can reach zero |
| `local_windows` | `all` | `first`: the first of the batch alone |
| `consistency` | `near_alike`: neighbours alike, distant steps different | `far_alike`: its signs reversed, steps of all windows mixed |
| `sparsity_over` | `mean` of the channels | `sum` of the channels, with the same threshold |
| `sparsity_weight` | 0.1 | 0.003 |
| `consistency_weight` | 0.01 | 0 |

Covariates are changed like targets, as in the released code: where they pass unchanged, they tell by themselves which window a
view is of, and the encoder learns a calendar and forgets the series (`gate_covariates: false`).

Sparsity and consistency are those of the sigmoid of the mask's logits, before noise. Ablations: `factor: none` (no h),
`transform: none` (no g), `mask: all_true` (no noise), `views: []` (no augmentation but the noise), `views: [cutout]` or
`[jitter]`, `objective: adversarial`.

In several processes discrepancy and global loss compare the windows of all; sparsity and consistency are the mean over them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor
from torch.optim import Optimizer

from tswork.augment.base import View, ViewSpec, changed_by
from tswork.augment.channels import ChangedChannels
from tswork.augment.parametric import Factor, ParametricAugmentation, ParametricView, Transform
from tswork.augment.parametric_health import gate_health
from tswork.config import Configured, Many, Uses, VariantConfig, configure
from tswork.context import Context
from tswork.data.batches import Batch
from tswork.data.collection import DataInfo, Part
from tswork.encoders.base import Frames
from tswork.encoders.pooling import pool
from tswork.errors import ModelUnfit
from tswork.figures.learned_view import learned_view
from tswork.methods.base import Update, build_encoder, parameter_groups
from tswork.methods.model import Model, evaluating, frozen
from tswork.methods.window_contrast import WindowContrast, WindowContrastConfig
from tswork.objectives.autotcl import global_info_nce, kernel_mmd, sparsity, temporal_consistency
from tswork.recorder import NullRecorder
from tswork.registry import register
from tswork.training.distributed import gather_with_gradient
from tswork.training.optimisers import AdamW

REFERENCE: dict[str, Any] = {
    "mask": "all_true",
    "discrepancy_frames": "trunk",
    "gate": "probabilities",
    "transform": "sigmoid",
    "local_windows": "first",
    "consistency": "far_alike",
    "sparsity_over": "sum",
    "sparsity_weight": 0.003,
    "consistency_weight": 0.0,
}
"""Defaults of `variant: reference` that differ from the paper's."""


class AutoTCLConfig(WindowContrastConfig, VariantConfig):
    reference = REFERENCE

    augmenter_learning_rate: float = Field(
        default=1e-2, gt=0, description="learning rate of AdamW for the augmentation network"
    )
    ratio: int = Field(default=1, ge=1, description="steps of the encoder for one of the augmentation network")
    trunk: Annotated[Configured, Uses("encoder")] = Field(
        default_factory=lambda: configure("encoder", {"uses": "causal_mixture", "dim": 16, "hidden": 64, "depth": 3}),
        description="what both heads of the augmentation network share",
    )
    factor: Factor = Field(default="hard", description="mask h: rounded to 0 or 1, soft, or none")
    gate: Literal["logits", "probabilities"] = Field(
        default="logits", description="what noise is added to: logits, or their sigmoid (squashed twice)"
    )
    noise_bias: float = Field(
        default=0.05, ge=0, le=0.5, description="bounds the noise of the mask; 0: no bound, 0.5: no noise"
    )
    stretch: float = Field(default=0.05, ge=0, description="how far gates are stretched beyond 0 and 1 before clipping")
    transform: Transform = Field(default="exp", description="transform g: exp of a bounded number, sigmoid, or none")
    transform_bound: float = Field(default=1.0, gt=0, description="exp: g lies between exp(-bound) and exp(bound)")
    gate_covariates: bool = Field(
        default=True, description="whether channels that are no targets (a calendar, say) are changed too"
    )
    objective: Literal["information", "adversarial"] = Field(
        default="information",
        description="of the augmentation network: relevant information, or against the global loss",
    )
    discrepancy_weight: float = Field(default=1.0, ge=0, description="weight of the discrepancy of embeddings")
    discrepancy_frames: Literal["encoder", "trunk"] = Field(
        default="encoder", description="embeddings that are compared: the encoder's, or those of its trunk"
    )
    sparsity_weight: float = Field(default=0.1, ge=0, description="weight of the sparsity of the mask")
    sparsity_threshold: float = Field(default=0.4, ge=0, description="keep rate that costs nothing")
    sparsity_over: Literal["mean", "sum"] = Field(default="mean", description="keep rate: mean or sum over channels")
    consistency_weight: float = Field(default=0.01, ge=0, description="weight of the mask's consistency in time")
    consistency: Literal["near_alike", "far_alike"] = Field(
        default="near_alike", description="which steps should have like masks: neighbours, or (released) distant ones"
    )
    views: Many[ViewSpec] | None = Field(
        default=None, description="fixed changes in place of the learned view; []: no change; none: it is learned"
    )


@register("method", "autotcl", version=1, config=AutoTCLConfig)
class AutoTCL(WindowContrast[AutoTCLConfig]):
    """Contrast of windows with views that a network learns in turns with the encoder (AutoTCL, ICLR 2024)."""

    def __init__(self, config: AutoTCLConfig) -> None:
        super().__init__(config)
        self._made = 0
        """Steps of the encoder so far, which say when it is the augmentation network's turn."""
        self._views = [view.build() for view in config.views or ()]

    def build(self, info: DataInfo, *, generator: torch.Generator) -> Model:
        model, config = super().build(info, generator=generator), self.config
        if config.views is not None:
            model.heads["changed_channels"] = ChangedChannels(info, covariates=config.gate_covariates)
            return model
        if config.factor == "none" and config.transform == "none":
            reason = "it has neither mask nor transform, so that there is no view to learn"
            raise ModelUnfit("autotcl", reason, "Leave one of `factor` and `transform`, or set `views: []`.")
        if config.discrepancy_frames == "trunk" and not hasattr(model.encoder, "trunk"):
            reason = f"the encoder {config.encoder.name} has no trunk whose frames could be compared"
            raise ModelUnfit("autotcl", reason, "Set `discrepancy_frames: encoder`, or use `causal_mixture`.")
        model.heads["augmenter"] = ParametricAugmentation(
            build_encoder(config.trunk, info, generator=generator),
            info,
            noise_bias=config.noise_bias,
            stretch=config.stretch,
            factor=config.factor,
            transform=config.transform,
            bound=config.transform_bound,
            gate="paper" if config.gate == "logits" else "reference",
            gate_covariates=config.gate_covariates,
        )
        return model

    def optimisers(self, model: Model) -> Mapping[str, Optimizer]:
        config, augmenter = self.config, _augmenter(model)
        if augmenter is None:
            return super().optimisers(model)
        groups = parameter_groups(model, config, only=[model.encoder])
        return {
            "encoder": AdamW(groups, lr=config.learning_rate, weight_decay=config.weight_decay),
            "augmenter": AdamW(
                augmenter.parameters(), lr=config.augmenter_learning_rate, weight_decay=config.weight_decay
            ),
        }

    def begin(self, model: Model, task: int, part: Part, context: Context) -> None:
        self._made = 0

    def updates(self, model: Model, batch: Batch, context: Context) -> Iterator[Update]:
        augmenter = _augmenter(model)
        if augmenter is not None and self._made % self.config.ratio == 0:
            view = augmenter(batch.x, batch.unequal_lengths, generator=context.own_generator("augmenter"))
            yield Update("augmenter", self._asked(model, batch, view, context))
        self._made += 1
        view = self.changed(model, batch, context, purpose="view")
        yield Update("model" if augmenter is None else "encoder", self.contrast(model, batch, view, context))

    @torch.no_grad()
    def changed(self, model: Model, batch: Batch, context: Context, *, purpose: str) -> View:
        augmenter, generator = _augmenter(model), context.own_generator(purpose)
        given = View(batch.x, batch.lengths)
        if augmenter is not None:
            return View(augmenter(batch.x, batch.unequal_lengths, generator=generator).x, batch.lengths)
        changed = changed_by(self._views, given, generator=generator)
        restored: View = model.heads["changed_channels"](changed, given)
        return restored

    def _asked(
        self, model: Model, batch: Batch, view: ParametricView, context: Context
    ) -> dict[str, Float[Tensor, ""]]:
        """What the augmentation network minimises; nothing of the encoder takes part but what it computes."""
        config, lengths = self.config, batch.unequal_lengths
        with frozen(model.encoder):
            z_x, z_v = (gather_with_gradient(self._embedded(model, x, lengths)) for x in (batch.x, view.x))
        if config.objective == "adversarial":
            against = global_info_nce(z_x[:, None], z_v[:, None], temperature=config.temperature)
            return {"adversarial": -against}
        terms = {"discrepancy": config.discrepancy_weight * kernel_mmd(z_x, z_v)}
        if config.factor != "none":
            kept = sparsity(view.keep, threshold=config.sparsity_threshold, over=config.sparsity_over, lengths=lengths)
            terms["sparsity"] = config.sparsity_weight * kept
        if config.factor != "none" and config.consistency_weight:
            terms["consistency"] = config.consistency_weight * temporal_consistency(
                view.keep,
                variant="paper" if config.consistency == "near_alike" else "reference",
                generator=context.own_generator("consistency"),
                lengths=lengths,
            )
        return terms

    def _embedded(
        self, model: Model, x: Float[Tensor, "batch time channel"], lengths: Tensor | None
    ) -> Float[Tensor, "batch dim"]:
        adversarial = self.config.objective == "adversarial"
        encoder: Any = model.encoder
        look = encoder.trunk if self.config.discrepancy_frames == "trunk" and not adversarial else encoder
        frames: Frames = look(x, lengths)
        return pool(frames, "max")

    def health(self, model: Model, batch: Batch, context: Context) -> Mapping[str, Tensor]:
        augmenter = _augmenter(model)
        if augmenter is None:
            return {}
        view = augmenter(batch.x, batch.unequal_lengths, generator=context.own_generator("panel"))
        return gate_health(augmenter, view, batch.lengths, model.info)

    def finish(self, model: Model, task: int, part: Part, context: Context) -> None:
        """Draw what became of an example window."""
        augmenter = _augmenter(model)
        if augmenter is None or isinstance(context.recorder, NullRecorder):
            return
        batch = self.batches(model, part, context).at(0, 0)
        with evaluating(model):
            view = augmenter(batch.x, batch.unequal_lengths, generator=context.own_generator("example"))
        length, chosen = int(batch.lengths[0]), list(augmenter.gated_channels)
        x, v, h, g = (one[0, :length, chosen].float().cpu().numpy() for one in (batch.x, view.x, view.h, view.g))
        names = [model.info.channels[index] for index in chosen]
        context.recorder.figure("augmentation", learned_view(x, v, h, g, names))

    def state_dict(self) -> dict[str, Any]:
        return {"made": self._made}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._made = state["made"]


def _augmenter(model: Model) -> ParametricAugmentation | None:
    """The network that learns the view; None where views are fixed."""
    head = dict(model.heads.items()).get("augmenter")
    return head if isinstance(head, ParametricAugmentation) else None
