"""Tensors that stand for those of a device, and a watch that refuses what would wait for it; everything is on the CPU in truth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as tree

from tswork.data.batches import Batch

AS_NUMBERS = {
    "__bool__",
    "__int__",
    "__float__",
    "__index__",
    "item",
    "tolist",
    "numpy",
    "cpu",
    "equal",
    "allclose",
    "is_nonzero",
}
"""What gives values of the device to the host."""
AS_SHAPES = {"nonzero", "argwhere", "masked_select", "unique", "unique_consecutive", "bincount"}
"""What has a result whose shape depends on them, as an index by a mask has."""


class There(Tensor):
    """A tensor of the device."""

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]


class Watch(TorchFunctionMode):
    """Within it nothing may wait for the device; what comes of its tensors is on the device, too."""

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if not any(isinstance(one, There) for one in tree.tree_leaves((args, kwargs))):
            return function(*args, **(kwargs or {}))
        name = getattr(function, "__name__", "")
        masked = name in ("__getitem__", "__setitem__") and any(
            isinstance(one, Tensor) and one.dtype == torch.bool for one in tree.tree_leaves(args[1])
        )
        if name in AS_NUMBERS | AS_SHAPES or masked:
            raise AssertionError(f"{name}{' by a mask' if masked else ''} waits for the device")
        return tree.tree_map(there, function(*args, **(kwargs or {})))


def there(value: Any) -> Any:
    """A tensor as one of the device; anything else as it is."""
    return value.as_subclass(There) if isinstance(value, Tensor) and not isinstance(value, There) else value


def sent(batch: Batch) -> Batch:
    """A batch whose tensors are on the device, but for those that stay on the host."""
    codes = {column: there(values) for column, values in batch.codes.items()}
    return replace(batch, x=there(batch.x), lengths=there(batch.lengths), codes=codes)
