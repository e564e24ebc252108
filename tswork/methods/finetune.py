"""One task after another, and nothing is done about forgetting: the lower bound of continual learning. No paper."""

from __future__ import annotations

from tswork.methods.continual import ContinualConfig, ContinualMethod
from tswork.registry import register


@register("method", "finetune", version=2, config=ContinualConfig)
class Finetune(ContinualMethod[ContinualConfig]):
    """Each task is learned with its own samples alone."""
