"""Synthetic varieties: what the knobs do, what they leave alone, and that what is said to be true of a set is true."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pydantic import ValidationError

from tests.data.making.statistics import made, speakers_known, speakers_right
from tswork.data.making.accents import TRAITS
from tswork.data.making.maps import VIVALDI

SMALL = {"varieties": 2, "cities": 2, "speakers": 2, "items": 3}
PROBED = {
    "varieties": 4,
    "cities": 3,
    "speakers": 4,
    "items": 5,
    "differ": ("vowels", "lengths", "geminates", "melody"),
}


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Of what lies above the diagonals of two matrices of distances."""
    above = np.triu_indices(len(one), 1)
    return float(np.corrcoef(one[above], other[above])[0, 1])


def test_equal_options_give_equal_samples_and_another_seed_gives_others() -> None:
    assert made(**SMALL).collection.digest == made(**SMALL).collection.digest
    assert made(**SMALL).truth == made(**SMALL).truth
    assert made(**SMALL).collection.digest != made(**SMALL, seed=1).collection.digest


def test_every_speaker_of_every_city_reads_the_same_words() -> None:
    collection = made(**SMALL).collection
    table = collection.table
    assert len(collection) == 2 * 2 * 2 * 3
    assert table["id"].is_unique
    assert {tuple(words) for _, words in table.groupby("speaker")["text"]} == {tuple(made(**SMALL).truth["words"])}
    assert (table.groupby("speaker")["location"].nunique() == 1).all()
    assert (table.groupby("location")[["region", "lat", "lon"]].nunique() == 1).all(axis=None)
    assert (table.groupby("location")["gender"].nunique() == 2).all()
    assert (collection.label, collection.groups, collection.channels) == ("region", ("location", "speaker"), ("sound",))


def test_sound_is_16_bits_loud_enough_and_never_clipped() -> None:
    for strength in (0.0, 1.0, 3.0):
        collection = made(**SMALL, speaker_strength=strength, variety_strength=strength).collection
        loudest = [int(collection.sequence(number).int().abs().max()) for number in range(len(collection))]
        assert str(collection.values.dtype) == "torch.int16"
        assert min(loudest) > 1000
        assert max(loudest) <= math.ceil(0.9 * 32767)
        assert 0.15 < float(collection.lengths.min()) / 16_000 < float(collection.lengths.max()) / 16_000 < 4


def test_a_larger_set_begins_with_the_smaller_one() -> None:
    whole = made(**SMALL).collection
    for wider in ({"varieties": 3}, {"speakers": 3}, {"cities": 3}):
        larger = made(**{**SMALL, **wider}).collection
        kept = [larger.table["id"].tolist().index(name) for name in whole.table["id"]]
        for number, place in enumerate(kept):
            assert larger.sequence(place).equal(whole.sequence(number))


def test_at_strength_0_places_speak_alike_and_voices_stay_those_of_any_other_strength() -> None:
    plain, strong = made(**SMALL, variety_strength=0.0), made(**SMALL, variety_strength=2.0)
    assert not np.any(plain.truth["region_distances"])
    assert plain.truth["voices"] == strong.truth["voices"]
    assert plain.collection.digest != strong.collection.digest


def test_without_differences_of_speakers_and_varieties_only_slips_of_the_tongue_are_left() -> None:
    truth = made(**SMALL, variety_strength=0.0, speaker_strength=0.0).truth
    assert len({tuple(voice.values()) for voice in truth["voices"].values()}) == 1


def test_what_does_not_differ_is_equal_everywhere() -> None:
    traits = np.array(list(made(**SMALL, differ=("geminates",)).truth["places"].values()))
    differing = [name for name, column in zip(TRAITS, traits.T, strict=True) if len(set(column)) > 1]
    assert differing == ["length of geminates"]


def test_neighbouring_varieties_are_more_alike() -> None:
    found = [made(varieties=12, cities=1, speakers=1, items=1, seed=seed).truth for seed in range(5)]
    related = [
        correlation(np.array(truth["region_distances"]), np.array(truth["region_kilometres"])) for truth in found
    ]
    assert np.mean(related) > 0.5


@pytest.mark.parametrize("continuum", [0.0, 0.3])
def test_cities_speak_as_their_region_and_on_a_continuum_nearly_so(continuum: float) -> None:
    truth = made(varieties=6, cities=2, speakers=1, items=1, continuum=continuum).truth
    places = {name: np.array(traits) for name, traits in truth["places"].items()}
    for region in truth["regions"]:
        others = [np.linalg.norm(places[region] - places[other]) for other in truth["regions"] if other != region]
        inside = np.linalg.norm(places[f"{region}_city01"] - places[f"{region}_city02"])
        assert inside == 0 if continuum == 0 else 0 < inside < min(others)


def test_the_layout_of_vivaldi_has_the_regions_and_cities_of_that_atlas() -> None:
    assert sum(count for count, *_ in VIVALDI.values()) == 287
    assert sum(count for count, *_ in VIVALDI.values() if count >= 3) == 285
    table = made(layout="vivaldi", speakers=1, items=1).collection.table
    assert table["location"].nunique() == len(table) == 287
    assert table.groupby("region")["location"].nunique().to_dict() == {name: row[0] for name, row in VIVALDI.items()}


def test_unseen_speakers_tell_nothing_of_regions_that_do_not_differ() -> None:
    share, count = speakers_right(**PROBED, variety_strength=0.0)
    assert abs(share - 1 / 4) < 3 * math.sqrt(0.25 * 0.75 / count)


def test_unseen_speakers_tell_the_more_the_stronger_varieties_are() -> None:
    shares = [speakers_right(**PROBED, variety_strength=strength)[0] for strength in (0.0, 1.0, 3.0)]
    assert shares[0] < shares[1] < shares[2]
    assert shares[2] > 0.8


def test_speakers_are_told_the_better_the_more_they_differ() -> None:
    shares = [speakers_known(**PROBED, variety_strength=0.0, speaker_strength=strength) for strength in (0.0, 0.7, 2.0)]
    chance, count = 1 / 48, 48
    assert shares[0] < chance + 3 * math.sqrt(chance * (1 - chance) / count)
    assert shares[0] < shares[1] < shares[2]
    assert shares[2] > 0.4


@pytest.mark.parametrize(
    "wrong", [{"varieties": 1}, {"rate": 8000}, {"variety_strength": -1.0}, {"differ": ("words",)}]
)
def test_what_cannot_be_made_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises((ValidationError, ValueError)):
        made(**wrong)
