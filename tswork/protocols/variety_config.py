"""Options of `variety_analysis`, and which columns of a table it looks at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pandas.api.types import is_numeric_dtype
from pydantic import Field

from tswork.config import Config, Many
from tswork.data.cells import DECIMAL_COMMA
from tswork.data.collection import Collection
from tswork.encoders.pooling import Pooling
from tswork.errors import Problem, did_you_mean
from tswork.protocols.plain_features import Features

Picture = Literal["pca", "tsne", "umap"]
Page = Literal["none", "points", "sounds"]

RECORDING = ("sample_rate", "source_rate", "format", "codec", "subtype", "bits", "source_channels", "device", "session")
"""Columns that tell how something was recorded, by their usual names."""


class VarietyAnalysisConfig(Config):
    """Options of `variety_analysis`; columns that are not named are looked for by their usual names."""

    head: Literal["own", "probe"] = Field(
        default="own",
        description="what classifies: a model's own `classify` head where it has one, or logistic regression on embeddings"
        " for all; controls always have the regression",
    )
    pooling: Pooling | None = Field(default=None, description="how frames become one vector; none: the model's own way")
    cost: float = Field(default=1.0, gt=0, description="inverse strength of the regression's penalty (C)")
    features: Features = Field(
        default="mfcc_statistics", description="control of plain features under the regression; none: leave it out"
    )
    distance: Literal["euclidean", "cosine"] = Field(
        default="euclidean", description="distance of embeddings, each dimension standardised by the training part"
    )
    neighbours: int = Field(default=10, ge=1, description="neighbours whose classes make the purity")
    max_train: int = Field(default=10_000, ge=2, description="training items above this number are drawn by class")
    max_items: int = Field(
        default=3000, ge=10, description="test items for distances and pictures; more are drawn by class"
    )
    speaker: str | None = Field(default=None, description="column of speakers; none: `speaker` where there is one")
    place: str | None = Field(default=None, description="column of places; none: `location` where there is one")
    latitude: str | None = Field(default=None, description="column of degrees north; none: `lat` where there is one")
    longitude: str | None = Field(default=None, description="column of degrees east; none: `lon` where there is one")
    recording: Many[str] | None = Field(
        default=None,
        description=f"columns that tell how something was recorded; none: those called {', '.join(RECORDING)}",
    )
    slices: Many[str] = Field(default=(), description="columns whose values are judged apart, such as gender")
    leaks: bool = Field(default=True, description="ask what embeddings, silence and metadata give away")
    silence_seconds: float = Field(
        default=0.2, gt=0, description="length of the beginning whose silence is judged alone"
    )
    permutations: int = Field(default=9999, ge=99, description="orders of places in Mantel's test")
    pictures: Many[Picture] = Field(default=("pca",), description="pictures of the embeddings")
    page: Page = Field(
        default="none",
        description="an interactive page of the embeddings with ids and speakers; `sounds` puts the sound itself into it, so"
        " that whoever has the page can hear the speakers",
    )
    page_seconds: float = Field(default=4.0, gt=0, description="longer sounds are cut to this in the page")
    page_megabytes: float = Field(
        default=20.0, gt=0, description="sounds that a page holds at most; the rest stays silent"
    )


@dataclass(frozen=True)
class Columns:
    """The columns of a table that are looked at, by what they are; None and empty where there is none."""

    label: str
    speaker: str | None
    place: str | None
    coordinates: tuple[str, str] | None
    recording: tuple[str, ...]
    groups: tuple[str, ...]

    @staticmethod
    def of(config: VarietyAnalysisConfig, collection: Collection) -> Columns:
        """Those that are named, else those with the usual names."""
        assert collection.label is not None
        there = set(collection.table.columns)
        latitude, longitude = (config.latitude or "lat", config.longitude or "lon")
        recording = RECORDING if config.recording is None else config.recording
        place = config.place or ("location" if "location" in there else None)
        return Columns(
            label=collection.label,
            speaker=config.speaker or ("speaker" if "speaker" in there else None),
            place=None if place == collection.label else place,
            coordinates=(latitude, longitude) if {latitude, longitude} <= there else None,
            recording=tuple(name for name in recording if name in there and name != collection.label),
            groups=collection.groups,
        )

    @property
    def identities(self) -> tuple[str, ...]:
        """Columns that a space may be about instead of the classes: speakers, places, groups, recording conditions."""
        own = [name for name in (self.speaker, self.place) if name is not None]
        return tuple(name for name in dict.fromkeys([*own, *self.groups, *self.recording]) if name != self.label)

    @property
    def same_voice(self) -> str | None:
        """The column whose values tell that two items belong together whatever their class."""
        return self.speaker or (self.groups[0] if self.groups else self.place)


def column_problems(config: VarietyAnalysisConfig, collection: Collection) -> Iterator[Problem]:
    """Columns that are named and are not there, and coordinates that are no degrees."""
    named: dict[str, Sequence[str | None]] = {
        "speaker": [config.speaker],
        "place": [config.place],
        "latitude": [config.latitude],
        "longitude": [config.longitude],
        "recording": config.recording or (),
        "slices": config.slices,
    }
    there = [str(name) for name in collection.table.columns]
    for option, names in named.items():
        for name in names:
            if name is not None and name not in there:
                yield Problem(f"the table has no column {name!r}", option, remedy=did_you_mean(name, there))
    for option, usual, most in (("latitude", "lat", 90), ("longitude", "lon", 180)):
        name = named[option][0] or usual
        if name in there and is_numeric_dtype(collection.table[name]):
            beyond = collection.table[name][collection.table[name].abs() > most]
            if len(beyond):
                text = f"the column {name!r} should hold degrees between -{most} and {most}, and has {beyond.iloc[0]:g}"
                remedy = "Metres of a map's grid are no degrees; leave the cell of a place that is not known empty."
                yield Problem(text, option, remedy=remedy)
        if name in there and not is_numeric_dtype(collection.table[name]):
            first = collection.table[name].dropna().iloc[:1].tolist()
            text = (
                f"the column {name!r} should hold degrees as numbers, and has {first[0]!r}"
                if first
                else f"the column {name!r} is empty"
            )
            comma = bool(first) and DECIMAL_COMMA.fullmatch(str(first[0]).strip()) is not None
            remedy = "Write 45.5 for 45° 30' north or east, -45.5 for south or west."
            yield Problem(text, option, remedy="Give the data block `decimal: ','`." if comma else remedy)
