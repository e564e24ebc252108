"""Data cards: YAML files that describe a data set once, so that a pipeline names it and overrides what it wants."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tswork.data.places import Places
from tswork.errors import DataInvalid, Problem, did_you_mean
from tswork.source import Source, merge, read_yaml

SIZES = ("counts", "fractions", "dates", "lists")


def resolve(block: Source, places: Places) -> Source:
    """A data block with its card merged in; the block's own keys win, and its `groups` are added to the card's.

    What a card calls a group (a patient) stays one whatever a pipeline divides by; `split: {allow_leak: REASON}` is the way
    to share it.

    `card: NAME` is sought in `places.card_folders`, `card: ./file.yaml` beside the file that names it. A card may itself
    begin with another card. Every value keeps the place of the file it came from, so that relative paths stay relative to
    that file. Raises `DataInvalid` when a card is not found, `PipelineInvalid` when one cannot be read.
    """
    return _resolve(block, places, ())


def _resolve(block: Source, places: Places, chain: tuple[Path, ...]) -> Source:
    if not isinstance(block.data, dict) or "card" not in block.data:
        return block
    name = block.data["card"]
    place = block.locate(("card",))
    if not isinstance(name, str):
        raise DataInvalid([Problem("should name a card or a file", "data.card", place)])
    path = find_card(name, places, other_than=chain[-1:])
    if path is None:
        remedy = did_you_mean(name, list_cards(places))
        raise DataInvalid([Problem(f"there is no card {name!r}", "data.card", place, remedy)])
    if path in chain:
        raise DataInvalid([Problem("cards name each other in a circle", "data.card", place)])
    card = _resolve(read_yaml(path), places.moved(path.parent), (*chain, path))
    own = Source({key: value for key, value in block.data.items() if key != "card"}, block.marks)
    named = Source({"name": path.stem, **(card.data if isinstance(card.data, dict) else {})}, card.marks)
    return _with_groups_of(card, merge(_without_overridden_split(named, own), own))


def _with_groups_of(card: Source, block: Source) -> Source:
    """The block with the groups of its card before its own."""
    theirs, ours = (
        [one] if isinstance(one, str) else one
        for one in (source.data.get("groups") if isinstance(source.data, dict) else None for source in (card, block))
    )
    if not isinstance(theirs, list) or not isinstance(ours, list):
        return block
    both = [*theirs, *(name for name in ours if name not in theirs)]
    return block if both == ours else Source({**block.data, "groups": both}, block.marks)


def _without_overridden_split(card: Source, own: Source) -> Source:
    """A block that says how to split (`by`) replaces the card's split whole; one that gives sizes replaces the card's sizes."""
    theirs, ours = (block.data.get("split") for block in (card, own))
    if not isinstance(theirs, dict) or not isinstance(ours, dict):
        return card
    if "by" in ours:
        kept = {}
    else:
        kept = {key: value for key, value in theirs.items() if key not in SIZES or not set(SIZES) & set(ours)}
    return Source({**card.data, "split": kept}, card.marks)


def find_card(name: str, places: Places, *, other_than: Sequence[Path] = ()) -> Path | None:
    """The file of a card, by name or by relative path; a card that names its own name means the next one that is called so."""
    if name.endswith((".yaml", ".yml")) or "/" in name:
        path = (places.beside / name).resolve()
        return path if path.is_file() else None
    if not re.fullmatch(r"[\w-]+", name):
        return None
    candidates = ((folder / f"{name}.yaml").resolve() for folder in places.card_folders)
    return next(
        (path for path in candidates if path not in other_than and path.is_file() and _looks_like_card(path)), None
    )


def list_cards(places: Places) -> dict[str, Path]:
    """All cards by name; an earlier folder hides a later one's."""
    cards: dict[str, Path] = {}
    for folder in reversed(places.card_folders):
        for path in sorted(folder.glob("*.yaml")) if folder.is_dir() else ():
            if _looks_like_card(path):
                cards[path.stem] = path
    return dict(sorted(cards.items()))


def _looks_like_card(path: Path) -> bool:
    """Pipelines stand beside cards; a card names a reader or another card on its first level."""
    with path.open("rb") as file:
        head = file.read(20_000)
    return re.search(rb"(?m)^(reader|card):", head) is not None
