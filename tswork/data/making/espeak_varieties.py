"""Regional Italian by a speech synthesiser: sentences of eSpeak NG whose phonemes are changed by rules, where a region changes them.

No paper. Text becomes phonemes, rules of a variety (`italian_rules`) change a share of the places where they apply, and the engine says
the result. A speaker is a variant of the engine's voice with a pitch and a speed of their own. The k-th speaker of every variety has
the same variant, so the variant tells nothing of the variety, and no speaker is in two varieties. What tells varieties apart is
local: one sound in twenty, whatever the voice. `prosody` adds what is not: each region then has its own speed and range of melody,
which are invented and said of no real region. With `strength: 0` and no prosody the varieties are one.

The engine is another program with a licence of its own, the GPL-3.0 or later: `pip install 'tswork[espeak]'` brings it. Equal options
give equal samples on one machine and one version of it; the sha256 of every file stands in `truth.json`.

    tswork data make espeak_varieties italian -s strength=1.0 -s prosody=1.0
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, final

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from tswork.config import Config, Many
from tswork.data.collection import Collection
from tswork.data.making.base import Made, Maker
from tswork.data.making.espeak import LICENCE, Espeak, opened
from tswork.data.making.italian import SENTENCES
from tswork.data.making.italian_rules import RULES, Spoken, Variety, speak
from tswork.random import derive
from tswork.registry import register

LANGUAGE = "it"
VOICES = (
    "f1", "m1", "f2", "m2", "f3", "m3", "f4", "m4", "f5", "m6", "anika", "m7", "steph", "victor", "belinda", "sandro",
)  # fmt: skip
"""Variants that sound like people, without strong echo, by turns of women and men."""
PROSODY: dict[Variety, tuple[float, float]] = {
    "standard": (1.0, 1.0),
    "north": (1.25, 0.7),
    "tuscany": (0.88, 1.3),
    "south": (0.76, 1.7),
}
"""Factors of speed and of the range of the melody at prosody 1; invented."""


class EspeakVarietiesConfig(Config):
    varieties: Many[Variety] = Field(
        default=("standard", "north", "tuscany", "south"), min_length=2, description="varieties, each a region"
    )
    speakers: int = Field(default=12, ge=1, le=99, description="speakers of a variety")
    voices: Many[str] = Field(
        default=VOICES,
        min_length=1,
        description="variants of the engine's voice: the first speaker of each variety has the first one, and so on",
    )
    sentences: int = Field(
        default=16, ge=1, le=len(SENTENCES), description="sentences that every speaker says, from the first on"
    )
    strength: float = Field(
        default=1.0, ge=0, le=1, description="share of the places of a rule where it is applied; 0: no variety"
    )
    prosody: float = Field(
        default=0.0,
        ge=0,
        le=2,
        description="how much regions differ in speed and melody, too, which makes the task easier; 0: not at all",
    )
    seed: int = Field(default=0, ge=0, description="of everything that is drawn")

    @field_validator("varieties")
    @classmethod
    def _named_once(cls, varieties: tuple[Variety, ...]) -> tuple[Variety, ...]:
        if len(set(varieties)) < len(varieties):
            raise ValueError("names a variety twice")
        return varieties


@dataclass(frozen=True)
class _Speaker:
    name: str
    variety: Variety
    voice: str
    pitch: int
    melody: int
    speed: int


@dataclass(frozen=True)
class _Said:
    """One recording."""

    speaker: _Speaker
    item: int
    spoken: Spoken
    sound: np.ndarray


@final
@register("maker", "espeak_varieties", version=1, config=EspeakVarietiesConfig)
class EspeakVarieties(Maker[EspeakVarietiesConfig]):
    """Italian sentences by eSpeak NG (GPL-3.0, extra `espeak`), with regional rules on their phonemes."""

    def make(self) -> Made:
        """Raises `PackageMissing` without the engine, `PipelineInvalid` for voices that it does not have."""
        with opened(needed_by="the maker 'espeak_varieties'") as engine:
            engine.check(self.config.voices)
            engine.use(LANGUAGE)
            phonemes = [engine.phonemes(sentence) for sentence in self._sentences]
            said = [one for speaker in self._speakers for one in self._session(engine, speaker, phonemes)]
            genders = {voice: engine.gender(voice) for voice in self.config.voices}
            collection = Collection.from_sequences(
                [one.sound[:, None] for one in said],
                table=self._table(said, genders),
                channels=("sound",),
                rate=float(engine.rate),
                label="region",
                groups=("voice", "speaker"),
                name="espeak_varieties",
            )
            return Made(collection, self._truth(said, phonemes, engine))

    @property
    def _sentences(self) -> tuple[str, ...]:
        return SENTENCES[: self.config.sentences]

    @cached_property
    def _speakers(self) -> list[_Speaker]:
        return [
            self._speaker(variety, number)
            for variety in self.config.varieties
            for number in range(self.config.speakers)
        ]

    def _speaker(self, variety: Variety, number: int) -> _Speaker:
        """Pitch and speed depend on the seed and the name alone; prosody comes on top."""
        name = f"{variety}_speaker{number + 1:02}"
        pitch, speed = np.random.default_rng(derive(self.config.seed, "voice", name)).standard_normal(2).tolist()
        faster, wider = (factor**self.config.prosody for factor in PROSODY[variety])
        return _Speaker(
            name,
            variety,
            self.config.voices[number % len(self.config.voices)],
            pitch=round(float(np.clip(50 + 12 * pitch, 15, 85))),
            melody=round(min(50 * wider, 100)),
            speed=round(float(np.clip(165 * np.exp(np.clip(0.1 * speed, -0.25, 0.25)) * faster, 80, 450))),
        )

    def _session(self, engine: Espeak, speaker: _Speaker, phonemes: list[str]) -> list[_Said]:
        engine.use(LANGUAGE, speaker.voice, pitch=speaker.pitch, melody=speaker.melody, speed=speaker.speed)
        said = []
        for item, plain in enumerate(phonemes):
            draw = np.random.default_rng(derive(self.config.seed, "places", speaker.name, item))
            spoken = speak(plain, RULES[speaker.variety], strength=self.config.strength, draw=draw)
            said.append(_Said(speaker, item, spoken, engine.say(spoken.phonemes)))
        return said

    def _table(self, said: list[_Said], genders: dict[str, str]) -> pd.DataFrame:
        return pd.DataFrame(
            [
                {
                    "id": f"{one.speaker.name}_item{one.item + 1:03}",
                    "region": one.speaker.variety,
                    "voice": one.speaker.voice,
                    "speaker": one.speaker.name,
                    "item": f"item{one.item + 1:03}",
                    "text": SENTENCES[one.item],
                    "gender": genders[one.speaker.voice],
                    "phonemes": one.spoken.phonemes,
                    "places": one.spoken.places,
                    "changed": one.spoken.changed,
                }
                for one in said
            ]
        )

    def _truth(self, said: list[_Said], phonemes: list[str], engine: Espeak) -> dict[str, Any]:
        """The engine, what is said without rules, the rules, how often they were applied, and all speakers."""
        return {
            "engine": {"name": "eSpeak NG", "version": engine.version, "licence": LICENCE},
            "sentences": dict(zip(self._sentences, phonemes, strict=True)),
            "rules": {
                variety: [f"{' '.join(rule.sounds)} > {' '.join(rule.become)}" for rule in RULES[variety]]
                for variety in self.config.varieties
            },
            "places": {variety: _summed(said, variety) for variety in self.config.varieties},
            "speakers": {speaker.name: asdict(speaker) for speaker in self._speakers},
        }


def _summed(said: list[_Said], variety: Variety) -> dict[str, int]:
    """Places of a variety's rules in all its recordings, and how many of them were changed."""
    spoken = [one.spoken for one in said if one.speaker.variety == variety]
    return {"all": sum(one.places for one in spoken), "changed": sum(one.changed for one in spoken)}
