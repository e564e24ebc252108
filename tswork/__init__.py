"""tswork: contrastive representation learning on time series and speech, from a pipeline file to an honest table.

The public door; nothing behind it is imported before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tswork.door import build_encoder, embed, embed_new, list_components, open_collection, plan, predict, run

__version__ = "0.1.0"
__all__ = ["build_encoder", "embed", "embed_new", "list_components", "open_collection", "plan", "predict", "run"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from tswork import door

        return getattr(door, name)
    raise AttributeError(f"module 'tswork' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
