"""The view that changes nothing, for methods whose other view differs."""

from __future__ import annotations

import torch

from tswork.augment.base import Augmentation, View
from tswork.config import NoOptions
from tswork.registry import register


@register("view", "identity", version=1, config=NoOptions)
class Identity(Augmentation[NoOptions]):
    """Leaves the batch as it is."""

    def __call__(self, view: View, *, generator: torch.Generator) -> View:
        return view
