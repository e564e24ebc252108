"""Names that tell results apart: what was asked for is compared, and what differs stands behind the name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tswork.store import canonical_json, key_of

SHOWN = 3
"""So many differing options stand behind a name; the others are counted."""


def names_of(items: Sequence[tuple[str, Any]]) -> list[str]:
    """A name for each (name, block): the name alone where all blocks of that name are equal, else with what differs.

    >>> names_of([("ts2vec", {"encoder": {"dim": 8}}), ("ts2vec", {"encoder": {"dim": 16}}), ("random", {})])
    ['ts2vec (encoder.dim=8)', 'ts2vec (encoder.dim=16)', 'random']
    """
    blocks: dict[str, dict[str, Any]] = {}
    for name, block in items:
        blocks.setdefault(name, {})[canonical_json(block)] = block
    shown: dict[tuple[str, str], str] = {}
    for name, different in blocks.items():
        texts = differences(list(different.values()))
        for (key, block), text in zip(different.items(), texts, strict=True):
            # Long values and long lists are shortened; where that makes two alike, a hash keeps them apart.
            sure = f"{text} #{key_of(block)[:6]}" if texts.count(text) > 1 else text
            shown[name, key] = f"{name} ({sure})" if sure else name
    return [shown[name, canonical_json(block)] for name, block in items]


def differences(blocks: Sequence[Any]) -> list[str]:
    """For each block the options in which it differs from one of the others, as `key=value, ...`."""
    flat = [dict(_flat(block, "")) for block in blocks]
    keys = list(dict.fromkeys(key for one in flat for key in one))
    differing = [key for key in keys if len({canonical_json(one.get(key)) for one in flat}) > 1]
    return [_text({key: one[key] for key in differing if key in one}) for one in flat]


def _text(options: Mapping[str, Any]) -> str:
    parts = [f"{key}={_short(value)}" for key, value in options.items()]
    more = [f"{len(parts) - SHOWN} more"] if len(parts) > SHOWN else []
    return ", ".join([*parts[:SHOWN], *more])


def _short(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_short(item) for item in value) + "]"
    text = "none" if value is None else str(value)
    return text if len(text) <= 24 else text[:11] + "…" + text[-12:]


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, (list, tuple)) and any(isinstance(item, Mapping) for item in value):
        for number, item in enumerate(value):
            yield from _flat(item, f"{path}[{number}]")
    else:
        yield path, value
