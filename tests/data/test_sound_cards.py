"""The cards of sound sets, on tiny sets with the columns of the real ones, and on the real ones where they are."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.layouts import json_lines, text
from tests.data.sounds import tone, write
from tswork.data.checking import check_data
from tswork.data.opening import open_splits, resolve_spec
from tswork.data.places import Places
from tswork.data.reading import read_collection
from tswork.errors import TsworkWarning

COLUMNS = {
    # card: folder, manifest's columns, values of a row from its number
    "fsdd": ("fsdd", "path,digit,transcript,speaker,accent,index,split,seconds", "{n},{o},zero,s{g},USA,0,train,0.3"),
    "emovo": ("emovo", "path,language,speaker,gender,emotion,sentence,transcript,seconds", "{n},it,f{g},female,joy{o},b1,Ciao,0.3"),
    "emodb": ("emodb_2s", "path,language,speaker,gender,emotion,sentence,take,seconds", "{n},de,0{g},male,joy{o},a01,a,0.3"),
    "barista": ("barista_slu", "path,intent,coffeeDrink,size,roast,numberOfShots,milkAmount,sugarAmount,seconds", "{n},orderDrink,mocha{o},,,,,,0.3"),
    "cv_it_regional": ("cv_it_regional", "path,variety,transcript,seconds,sample_rate", "{n},v{o},Ha una massa,0.3,16000"),
    "vivaldi": ("vivaldi", "path,region,city,speaker,item", "{n},r{o},c{g},s{g},1"),
}  # fmt: skip
REAL = {
    # card: recordings, classes, groups, samples a second
    "fsdd": (3000, 10, 6, 8000.0),
    "emovo": (588, 7, 6, 16000.0),
    "emodb": (535, 7, 10, 16000.0),
    "griko": (330, 0, 0, 16000.0),
    "barista": (619, 10, 0, 16000.0),
    "cv_it_regional": (20, 2, 0, 16000.0),
}


def tiny(root: Path, card: str, rate: int = 16000) -> None:
    """Six speakers or places with four clips each; labels `o` in turn of the clips, in vivaldi of the places."""
    folder, head, cells = COLUMNS[card]
    rows = []
    for number in range(24):
        group, clip = divmod(number, 4)
        name = f"audio/{number}.wav"
        write(root / folder / name, tone(200.0 + 11 * number + sum(map(ord, card)) % 10, rate=rate, seconds=0.3), rate)
        rows.append(cells.format(n=name, g=group, o=group % 2 if card == "vivaldi" else clip % 2))
    text(root / folder / "manifest.csv", head, *rows)


def griko(root: Path) -> None:
    rows = []
    for number in (1, 38, 39, 78, 82, 83, 84, 85):
        write(root / "griko_italian" / f"audio/{number:03d}.wav", tone(300.0 + number, seconds=0.4))
        rows.append(f"audio/{number:03d}.wav,{number},griko,train,e jineka,la donna,la donna,0.4")
    text(root / "griko_italian" / "manifest.csv", "path,id,variety,split,griko,italian,italian_gloss,seconds", *rows)


def italic(root: Path) -> None:
    for part, speakers in {"train": range(4), "valid": range(4, 6), "test": range(6, 8)}.items():
        rows = [
            {"id": n, "utt": "svegliami", "speaker": n, "region": "lazio" if n % 2 else "veneto", "intent": "alarm_set"}
            for n in speakers
        ]
        json_lines(root / "italic" / f"hard_speaker_{part}.json", rows)
        for n in speakers:
            write(root / "italic" / "recordings" / f"{n}.wav", tone(300.0 + 30 * n, seconds=0.4))


def common_voice(root: Path) -> None:
    folder = root / "common_voice_it"
    accents = ("Veneto", "Emiliano", "Napoletano")
    for name, people in {"train": range(4), "dev": range(4, 7), "test": range(7, 9)}.items():
        rows = [f"p{n}\t{n}.mp3\tLa casa\t{accents[n % 3]}" for n in people]
        text(folder / f"{name}.tsv", "client_id\tpath\tsentence\taccents", *rows)
        for n in people:
            write(folder / "clips" / f"{n}.mp3", tone(300.0 + 30 * n, seconds=0.5))


def opened(card: str, places: Places) -> tuple[Any, Any]:
    spec = resolve_spec({"card": card}, places)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TsworkWarning)
        return read_collection(spec, places), open_splits(spec, places, seed=0)


@pytest.mark.parametrize("card", sorted(COLUMNS))
def test_a_card_opens_a_set_with_its_columns(tmp_path: Path, card: str) -> None:
    tiny(tmp_path / "data", card)
    places = Places(tmp_path, tmp_path, tmp_path / "data")
    found, splits = opened(card, places)
    assert (len(found), found.rate, len(found.classes)) == (24, 16000.0, 2)
    assert len(splits) == (6 if found.groups == ("speaker",) else 1)
    for split in splits:
        assert all(len(part) for part in split.parts.values())


def test_griko_leaves_its_repeated_recordings_out(tmp_path: Path) -> None:
    griko(tmp_path / "data")
    places = Places(tmp_path, tmp_path, tmp_path / "data")
    found, (split,) = opened("griko", places)
    assert len(found) == 8
    assert found.table["text"].unique().tolist() == ["e jineka"]
    kept = [one for part in split.parts.values() for one in part.table["id"]]
    assert sorted(kept) == [1, 38, 78, 83, 84, 85]


def test_italic_has_regions_in_all_parts(tmp_path: Path) -> None:
    italic(tmp_path / "data")
    found, (split,) = opened("italic", Places(tmp_path, tmp_path, tmp_path / "data"))
    assert (len(found), found.classes, found.groups) == (8, ("lazio", "veneto"), ("speaker",))
    assert all(set(part.table["region"]) == {"lazio", "veneto"} for part in split.parts.values())


def test_common_voice_keeps_the_five_accents_alone(tmp_path: Path) -> None:
    common_voice(tmp_path / "data")
    found, (split,) = opened("common_voice_it", Places(tmp_path, tmp_path, tmp_path / "data"))
    assert (len(found), found.classes, found.groups) == (6, ("emiliano", "veneto"), ("speaker",))
    assert all(set(part.table["accent"]) == {"emiliano", "veneto"} for part in split.parts.values())


def test_languages_joins_four_sets_and_check_says_what_is_wrong_with_that(tmp_path: Path) -> None:
    for card in ("fsdd", "emovo", "emodb"):
        tiny(tmp_path / "data", card, rate=8000 if card == "fsdd" else 16000)
    griko(tmp_path / "data")
    places = Places(tmp_path, tmp_path, tmp_path / "data")
    found, (split,) = opened("languages", places)
    assert found.classes == ("english", "german", "griko", "italian")
    assert len(found) == 3 * 24 + 6
    assert set(found.table["speaker"].dropna().str.split("/").str[0]) == {"fsdd", "emovo", "emodb"}
    assert all(len(set(part.table["language"])) == 4 for part in split.parts.values())
    findings = check_data(resolve_spec({"card": "languages"}, places), places)
    assert any("one sample rate only" in one.text for one in findings if one.severe)


@pytest.mark.real_data
@pytest.mark.parametrize("card", sorted(REAL))
def test_a_card_opens_the_real_set(tmp_path: Path, data_root: Path, card: str) -> None:
    if not (data_root / COLUMNS.get(card, ("griko_italian",))[0]).is_dir():
        pytest.skip(f"needs {card} under $TSWORK_DATA")
    recordings, classes, groups, rate = REAL[card]
    found, splits = opened(card, Places(tmp_path, tmp_path, data_root))
    assert (len(found), len(found.classes), found.rate) == (recordings, classes, rate)
    assert sum(len(found.categories(column)) for column in found.groups) == groups
    assert len(splits) == max(1, groups)
    if "seconds" in found.table.columns:
        told = found.table["seconds"].to_numpy(float)
        assert np.abs(found.lengths.numpy() / found.rate - told).max() < 0.1
