"""Synthetic varieties of a language: parallel recordings whose regions, speakers and places differ as much as one asks for.

No paper. The layout is that of a dialect atlas such as VIVALDI: in each region some cities, in each city some speakers, and all
of them read the same words, alone. Speech comes from a source and a filter (`formants`); speakers differ in pitch, vocal tract, voice
quality, speed and recorder (`voices`), varieties in vowels, lengths, geminates and melody (`accents`), and places that are near
each other speak alike. How much of either there is, is a knob: at `variety_strength: 0` nothing tells regions apart but which
persons were recorded, so whatever a model then finds on persons it has heard is a leak, and on new ones it is chance.

It is no Italian and no model of any real dialect. Equal options give equal samples on one machine and one version of numpy.

    tswork data make synthetic_varieties dialects -s variety_strength=0.5 -s speakers=6
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, final

import numpy as np
import pandas as pd
from jaxtyping import Float64
from pydantic import Field

from tswork.config import Config, Many
from tswork.data.collection import Collection
from tswork.data.making.accents import SIZES, TRAITS, Accent, Differing, traits_at
from tswork.data.making.base import Made, Maker
from tswork.data.making.maps import Layout, Place, Region, draw_map, kilometres
from tswork.data.making.phones import Questionnaire
from tswork.data.making.speaking import read_aloud
from tswork.data.making.voices import Voice
from tswork.random import derive
from tswork.registry import register

SHOWN_DIGITS = 6
"""Digits of the truth that are written down."""


class SyntheticVarietiesConfig(Config):
    layout: Layout = Field(
        default="free", description="free: regions spread over a map; vivaldi: 19 regions and 287 cities of that atlas"
    )
    varieties: int = Field(default=8, ge=2, le=99, description="regions, each with its variety (layout free)")
    cities: int = Field(default=6, ge=1, le=99, description="cities of a region (layout free)")
    speakers: int = Field(default=2, ge=1, le=99, description="speakers of a city, every second one a woman")
    items: int = Field(default=12, ge=1, le=999, description="words that every speaker reads")
    variety_strength: float = Field(
        default=1.0, ge=0, le=3, description="how much varieties differ; 0: not at all, 1: about 15 % in a formant"
    )
    speaker_strength: float = Field(
        default=1.0,
        ge=0,
        le=3,
        description="how much speakers and their recorders differ; 0: not at all, 1: as people do",
    )
    differ: Many[Differing] = Field(
        default=("vowels", "lengths", "geminates", "melody"), description="in what varieties differ"
    )
    continuum: float = Field(
        default=0.3, ge=0, le=1, description="0: a city speaks as the middle of its region, 1: as its own place has it"
    )
    reach: float = Field(
        default=250.0, gt=0, description="kilometres over which varieties change (their correlation falls to 0.61)"
    )
    rate: int = Field(default=16_000, ge=16_000, le=48_000, multiple_of=200, description="samples a second")
    seed: int = Field(default=0, ge=0, description="of everything that is drawn")


@dataclass(frozen=True)
class _Speaker:
    name: str
    place: Place
    region: str
    female: bool
    voice: Voice


@final
@register("maker", "synthetic_varieties", version=1, config=SyntheticVarietiesConfig)
class SyntheticVarieties(Maker[SyntheticVarietiesConfig]):
    """Words of synthetic speech from regions, cities and speakers, with knobs for how much each of them shows."""

    def make(self) -> Made:
        read = Questionnaire.drawn(self.config.items, seed=self.config.seed)
        recordings = [sound for speaker in self._speakers for sound in self._session(speaker, read)]
        collection = Collection.from_sequences(
            recordings,
            table=self._table(read),
            channels=("sound",),
            rate=float(self.config.rate),
            label="region",
            groups=("location", "speaker"),
            name="synthetic_varieties",
        )
        return Made(collection, self._truth(read))

    @cached_property
    def _map(self) -> tuple[Region, ...]:
        return draw_map(
            self.config.layout, regions=self.config.varieties, cities=self.config.cities, seed=self.config.seed
        )

    @cached_property
    def _speakers(self) -> list[_Speaker]:
        """A speaker's voice depends on the seed and the name alone, so it is the same at any strength of varieties."""
        places = [(city, region.centre.name) for region in self._map for city in region.cities]
        return [
            self._speaker(place, region, number) for place, region in places for number in range(self.config.speakers)
        ]

    def _speaker(self, place: Place, region: str, number: int) -> _Speaker:
        name = f"{place.name}_speaker{number + 1:02}"
        female = number % 2 == 1
        draw = np.random.default_rng(derive(self.config.seed, "voice", name))
        return _Speaker(
            name, place, region, female, Voice.drawn(draw, female=female, strength=self.config.speaker_strength)
        )

    @cached_property
    def _traits(self) -> dict[str, Float64[np.ndarray, "trait"]]:
        """Standardised traits of regions (at their centres) and cities, by name, at strength 1."""
        cities = [city for region in self._map for city in region.cities]
        centres = [region.centre for region in self._map]
        options: dict[str, Any] = {
            "reach": self.config.reach,
            "seed": self.config.seed,
            "differ": self.config.differ,
        }
        found = dict(zip([centre.name for centre in centres], traits_at(centres, **options), strict=True))
        own = dict(zip([city.name for city in cities], traits_at(cities, **options), strict=True))
        share = self.config.continuum
        mixed = {
            city.name: (1 - share) * found[region.centre.name] + share * own[city.name]
            for region in self._map
            for city in region.cities
        }
        return found | mixed

    def _session(self, speaker: _Speaker, read: Questionnaire) -> list[np.ndarray]:
        accent = Accent.of(self.config.variety_strength * SIZES * self._traits[speaker.place.name])
        draw = np.random.default_rng(derive(self.config.seed, "session", speaker.name))
        return list(read_aloud(read, speaker.voice, accent, rate=self.config.rate, draw=draw))

    def _table(self, read: Questionnaire) -> pd.DataFrame:
        return pd.DataFrame(
            [
                {
                    "id": f"{speaker.name}_item{item + 1:03}",
                    "region": speaker.region,
                    "location": speaker.place.name,
                    "speaker": speaker.name,
                    "item": f"item{item + 1:03}",
                    "text": word,
                    "gender": "female" if speaker.female else "male",
                    "lat": speaker.place.latitude,
                    "lon": speaker.place.longitude,
                }
                for speaker in self._speakers
                for item, word in enumerate(read.words)
            ]
        )

    def _truth(self, read: Questionnaire) -> dict[str, Any]:
        """What is known: traits of every place, how far apart regions are in them and on the map, and all voices."""
        centres = [region.centre for region in self._map]
        spoken = np.array([self._traits[centre.name] for centre in centres]) * self.config.variety_strength
        apart = np.sqrt(((spoken[:, None] - spoken) ** 2).sum(axis=-1))
        return {
            "words": list(read.words),
            "traits": list(TRAITS),
            "regions": [centre.name for centre in centres],
            "region_distances": _rounded(apart),
            "region_kilometres": _rounded(kilometres(centres)),
            "places": {name: _rounded(traits) for name, traits in self._traits.items()},
            "voices": {speaker.name: asdict(speaker.voice) for speaker in self._speakers},
        }


def _rounded(values: np.ndarray) -> Any:
    return np.round(values, SHOWN_DIGITS).tolist()
