"""How features of several layers lie side by side in the channels of a collection."""

from __future__ import annotations

import re
from collections.abc import Sequence

ONE = "feature_"
"""What names of channels begin with where one feature vector stands at each step."""
LAYER = re.compile(r"layer_(\d+)/(\d+)")


def feature_channels(dim: int, layers: int = 1) -> tuple[str, ...]:
    """`feature_0000`, ... of one layer, `layer_00/0000`, ... of several, one layer after another."""
    if layers == 1:
        return tuple(f"{ONE}{number:04d}" for number in range(dim))
    return tuple(f"layer_{layer:02d}/{number:04d}" for layer in range(layers) for number in range(dim))


def layers_of(channels: Sequence[str]) -> int:
    """How many layers stand side by side in channels that were named so: 1 of one, 0 where they are no features."""
    if channels and all(name.startswith(ONE) for name in channels):
        return 1
    found = [match for name in channels if (match := LAYER.fullmatch(name)) is not None]
    layers = {int(match[1]) for match in found}
    whole = len(found) == len(channels) > 0 and len(channels) % len(layers) == 0
    return (
        len(layers) if whole and tuple(channels) == feature_channels(len(channels) // len(layers), len(layers)) else 0
    )
