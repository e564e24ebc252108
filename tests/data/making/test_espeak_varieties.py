"""Regional Italian by eSpeak NG: what is said, by whom, that it is told, and what is refused."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from tests.cli.commands import tswork
from tswork.cli.doctor import _say_a_word, _try
from tswork.config import configure
from tswork.data.making.base import Made
from tswork.data.making.espeak import Espeak, opened
from tswork.data.making.espeak_varieties import VOICES
from tswork.data.making.italian import SENTENCES
from tswork.data.making.italian_rules import RULES, Rule, speak
from tswork.errors import PackageMissing, PipelineInvalid, TsworkError
from tswork.store import file_digest

PIPELINE = Path(__file__).resolve().parents[3] / "pipelines" / "varieties" / "espeak.yaml"
SMALL = {"speakers": 2, "sentences": 2}
DOUBLING = frozenset(("a", "e", "è", "da", "o", "tra", "fra", "più", "che", "ma", "se", "ho", "ha", "fa", "come", "dove", "qualche", "sopra"))  # fmt: skip
"""Words after which the next consonant is long in central and southern Italian."""


@pytest.fixture(scope="module")
def engine() -> Iterator[Espeak]:
    """An engine that speaks Italian, or a skip that says what is missing."""
    try:
        with opened(needed_by="this test") as found:
            found.use("it")
            yield found
    except PackageMissing as missing:
        pytest.skip(str(missing))


def made(**options: Any) -> Made:
    result: Made = configure("maker", {"uses": "espeak_varieties", **SMALL, **options}).build().make()
    return result


def test_text_becomes_the_phonemes_of_the_engine(engine: Espeak) -> None:
    assert engine.phonemes("La casa") == "l.a k.'a.z.a"
    assert engine.phonemes("Il gatto. Ancora") == "i.l g.'a.t:.o a.n.k.'o.R.a"


def test_every_sound_that_a_rule_makes_is_one_that_the_engine_says(engine: Espeak) -> None:
    """It leaves out what it does not know."""
    bare = len(engine.say("l.'a.a"))
    assert len(engine.say("l.'a.P.a")) < bare + 0.02 * engine.rate
    for sound in {sound for rules in RULES.values() for rule in rules for sound in rule.become}:
        assert len(engine.say(f"l.'a.{sound}.a")) > bare + 0.02 * engine.rate, sound


def test_rules_are_heard(engine: Espeak) -> None:
    assert len(engine.say("m.'a.m.a")) < len(engine.say("m.'a.m.m.a"))
    assert len(engine.say("t.'u.t.o")) < len(engine.say("t.'u.t:.o"))


def places(text: str, rules: Sequence[Rule]) -> int:
    return speak(text, rules, strength=0.0, draw=np.random.default_rng(0)).places


def test_the_sentences_are_rich_in_places_of_the_rules(engine: Espeak) -> None:
    whole = " ".join(engine.phonemes(sentence) for sentence in SENTENCES)
    counts = {name: places(whole, rules) for name, rules in RULES.items()}
    assert counts["standard"] == 0
    assert min(counts[name] for name in ("north", "tuscany", "south")) >= 24
    for rule in (*RULES["tuscany"], *RULES["south"]):
        assert places(whole, [rule]), rule
    # The engine has voiced s everywhere, and a few long consonants are rare.
    assert sum(places(whole, [rule]) > 0 for rule in RULES["north"]) >= 12


def test_no_word_that_doubles_stands_before_a_consonant_that_gorgia_opens() -> None:
    assert len(set(SENTENCES)) == len(SENTENCES) >= 16
    for sentence in SENTENCES:
        words = sentence.lower().split()
        for word, following in pairwise(words):
            if word in DOUBLING or word[-1] in "àèéìòù":
                assert following[0] not in "ctpbgkq", sentence


def test_all_speakers_say_the_same_sentences_and_nobody_belongs_to_two_varieties(engine: Espeak) -> None:
    result = made(speakers=3)
    table = result.collection.table
    assert len(table) == 4 * 3 * 2
    assert table["id"].is_unique
    assert (table.groupby("speaker")[["region", "voice", "gender"]].nunique() == 1).all(axis=None)
    assert {tuple(texts) for _, texts in table.groupby("speaker")["text"]} == {SENTENCES[:2]}
    # The variant tells nothing of the variety, and what is no speaker's own is said.
    assert {tuple(sorted(set(voices))) for _, voices in table.groupby("region")["voice"]} == {tuple(sorted(VOICES[:3]))}
    assert set(table["gender"]) == {"female", "male"}
    assert (result.collection.label, result.collection.groups) == ("region", ("voice", "speaker"))
    assert result.collection.rate == engine.rate == 22_050
    ways = {tuple(one[key] for key in ("pitch", "speed")) for one in result.truth["speakers"].values()}
    assert len(ways) > 6


def test_at_strength_0_all_say_what_the_engine_says(engine: Espeak) -> None:
    table = made(strength=0.0).collection.table
    assert set(table["phonemes"]) == {engine.phonemes(sentence) for sentence in SENTENCES[:2]}
    assert set(table["changed"]) == {0}
    strong = made().collection.table
    assert (strong["changed"] == strong["places"]).all()
    assert strong.groupby("region")["changed"].sum().gt(0).to_dict() == {
        "standard": False, "north": True, "tuscany": True, "south": True,
    }  # fmt: skip


def test_truth_counts_the_places_of_the_table(engine: Espeak) -> None:
    result = made(strength=0.5)
    summed = result.collection.table.groupby("region")[["places", "changed"]].sum()
    for variety, counts in result.truth["places"].items():
        assert counts == {"all": summed["places"][variety], "changed": summed["changed"][variety]}
    assert result.truth["engine"] == {"name": "eSpeak NG", "version": engine.version, "licence": "GPL-3.0-or-later"}


def test_prosody_makes_regions_fast_and_slow_and_leaves_voices_alone(engine: Espeak) -> None:
    plain, lively = made(strength=0.0), made(strength=0.0, prosody=1.0)
    for name, one in plain.truth["speakers"].items():
        other = lively.truth["speakers"][name]
        assert (one["pitch"], one["voice"]) == (other["pitch"], other["voice"])
        assert (one == other) == (one["variety"] == "standard")
    lengths = pd.Series(lively.collection.lengths.numpy() / plain.collection.lengths.numpy())
    by_region = lengths.groupby(plain.collection.table["region"]).mean()
    assert by_region["north"] < 0.9 < 1.05 < by_region["tuscany"] < by_region["south"]
    assert {one["melody"] for one in plain.truth["speakers"].values()} == {50}


def test_sound_is_loud_enough_and_never_at_full_scale(engine: Espeak) -> None:
    collection = made(speakers=len(VOICES), sentences=1, varieties=["standard", "south"]).collection
    loudest = [int(collection.sequence(number).int().abs().max()) for number in range(len(collection))]
    assert 3000 < min(loudest) < max(loudest) < 32_000
    assert 1 < float(collection.lengths.min()) / 22_050 < float(collection.lengths.max()) / 22_050 < 5


def test_equal_options_give_equal_samples_whatever_was_said_before(engine: Espeak) -> None:
    engine.say("b.'a")
    assert made().collection.digest == made().collection.digest
    assert made().collection.digest != made(seed=1).collection.digest


def test_a_set_is_written_with_its_digests_and_checked_without_faults(engine: Espeak, tmp_path: Path) -> None:
    options = ("-s", "speakers=4", "-s", "sentences=2")
    done = tswork(tmp_path, "data", "make", "espeak_varieties", "--data-root", "data", *options)
    assert (done.code, done.out) == (0, "data/espeak_varieties/manifest.csv\n")
    folder = tmp_path / "data" / "espeak_varieties"
    truth = json.loads((folder / "truth.json").read_text())
    assert list(truth["sha256"]) == pd.read_csv(folder / "manifest.csv")["path"].tolist()
    assert all(file_digest(folder / path) == digest for path, digest in truth["sha256"].items())
    checked = tswork(tmp_path, "data", "check", "espeak_varieties", "--data-root", "data")
    assert checked.code == 0, checked.out + checked.err
    assert "espeak_varieties: 0 faults" in checked.out
    assert "samples beyond full scale" not in checked.out


@pytest.mark.slow
def test_made_sentences_go_through_the_shipped_pipeline_to_a_table(engine: Espeak, tmp_path: Path) -> None:
    options = ("-s", "speakers=4", "-s", "sentences=2")
    assert tswork(tmp_path, "data", "make", "espeak_varieties", "--data-root", "data", *options).code == 0
    small = ("stages.ce.iterations=1", "stages.ce.pooling=mean", "encoder.channels=8", "encoder.dim=8")
    where = ("--data-root", "data", "--root", ".", "--json")
    done = tswork(tmp_path, "run", str(PIPELINE), *where, *(part for one in small for part in ("-s", one)))
    assert done.code == 0, done.err
    for row in ("majority", "mfcc_statistics", "random", "ce"):
        assert 0 <= done.document["results"][f"analysis/{row}/macro_f1"] <= 1


def test_voices_that_are_not_there_are_refused_all_at_once(engine: Espeak) -> None:
    with pytest.raises(PipelineInvalid) as refused:
        made(voices=["f1", "nosuch", "m99"])
    told = [str(problem) for problem in refused.value.problems]
    assert len(told) == 2
    assert told[0].startswith(
        f"voices: eSpeak NG {engine.version} has no variant 'nosuch'. Its variants are the files in "
    )
    assert told[0].endswith("espeak-ng-data/voices/!v, such as f1 and m1.")
    with pytest.raises(PipelineInvalid, match=r"has no voice 'gl' \(code 2\)"):
        engine.use("gl")


@pytest.mark.parametrize(
    "wrong",
    [
        {"varieties": ["north"]},
        {"varieties": ["north", "north"]},
        {"varieties": ["north", "west"]},
        {"strength": 1.5},
        {"voices": []},
        {"sentences": len(SENTENCES) + 1},
    ],
)
def test_what_cannot_be_made_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises((ValidationError, ValueError)):
        configure("maker", {"uses": "espeak_varieties", **wrong})


def test_a_missing_package_is_told_with_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(PackageMissing, match="the maker 'espeak_varieties' needs the package espeakng-loader"):
        made()
    ok, detail = _try(_say_a_word)
    assert ok is None
    assert detail.endswith("Install it: pip install 'tswork[espeak]'")
    assert not any(tmp_path.iterdir())


def test_a_library_that_does_not_load_is_a_missing_package(
    engine: Espeak, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import espeakng_loader

    broken = tmp_path / "libespeak-ng.so"
    broken.write_bytes(b"no library")
    monkeypatch.setattr(espeakng_loader, "get_library_path", lambda: str(broken))
    with pytest.raises(PackageMissing, match="does not import"):
        made()


def test_data_that_are_not_there_are_told(engine: Espeak, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import espeakng_loader

    monkeypatch.setattr(espeakng_loader, "get_data_path", lambda: str(tmp_path / "nowhere"))
    with pytest.raises(TsworkError, match=r"eSpeak NG does not start with the data in .*nowhere"):
        made()


def test_doctor_hears_a_word(engine: Espeak) -> None:
    ok, detail = _try(_say_a_word)
    assert ok
    assert detail.startswith(f"eSpeak NG {engine.version} (GPL-3.0-or-later) says l.a k.'a.z.a: ")
