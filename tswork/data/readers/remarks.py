"""What decoders noted of single recordings, as notes of the collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tswork.data.faults import some


def gathered(noted: Sequence[tuple[str, Mapping[str, int]]]) -> tuple[str, ...]:
    """One note a kind from recordings (name, how often each kind of thing was so): `a, b: samples were clipped (12)`."""
    names: dict[str, dict[str, int]] = {}
    for name, notes in noted:
        for text, count in notes.items():
            names.setdefault(text, {})[name] = count
    return tuple(f"{text} ({sum(of.values()):,} in {some(list(of))})" for text, of in names.items())
