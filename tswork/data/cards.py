"""Data cards: YAML files that describe a data set once, so that a pipeline names it and overrides what it wants."""

from __future__ import annotations

import re
from pathlib import Path

from tswork.data.places import Places
from tswork.errors import DataInvalid, Problem, did_you_mean
from tswork.source import Source, merge, read_yaml

MAX_CHAIN = 8


def resolve(block: Source, places: Places) -> Source:
    """A data block with its card merged in; the block's own keys win.

    `card: NAME` is sought in `places.card_folders`, `card: ./file.yaml` beside the file that names it. A card may itself
    begin with another card. Relative paths of an inline block stay relative to `places.beside`; files of a card are
    sought below the data roots. Raises `DataInvalid` when a card is not found, `PipelineInvalid` when one cannot be read.
    """
    return _resolve(block, places, 0)


def _resolve(block: Source, places: Places, depth: int) -> Source:
    if not isinstance(block.data, dict) or "card" not in block.data:
        return block
    name = block.data["card"]
    place = block.locate(("card",))
    if not isinstance(name, str):
        raise DataInvalid([Problem("should name a card or a file", "data.card", place)])
    if depth > MAX_CHAIN:
        raise DataInvalid([Problem("cards name each other in a circle", "data.card", place)])
    path = find_card(name, places)
    if path is None:
        remedy = did_you_mean(name, list_cards(places))
        raise DataInvalid([Problem(f"there is no card {name!r}", "data.card", place, remedy)])
    card = _resolve(read_yaml(path), places.moved(path.parent), depth + 1)
    own = Source({key: value for key, value in block.data.items() if key != "card"}, block.marks)
    named = Source({"name": path.stem, **(card.data if isinstance(card.data, dict) else {})}, card.marks)
    return merge(_absolute(named, path.parent), own)


def find_card(name: str, places: Places) -> Path | None:
    """The file of a card, by name or by relative path."""
    if name.endswith((".yaml", ".yml")) or "/" in name:
        path = Path(name) if Path(name).is_absolute() else places.beside / name
        return path if path.is_file() else None
    if not re.fullmatch(r"[\w-]+", name):
        return None
    candidates = (folder / f"{name}.yaml" for folder in places.card_folders)
    return next((path for path in candidates if path.is_file() and _looks_like_card(path)), None)


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


def _absolute(card: Source, folder: Path) -> Source:
    """Paths that a card gives as `./file` are beside the card."""
    data = {
        key: str(folder / value[2:]) if isinstance(value, str) and value.startswith("./") else value
        for key, value in card.data.items()
    }
    return Source(data, card.marks)
