"""Cards: found by name or path, overridden, chained, and with paths relative to the file that names them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tswork.data.cards import find_card, list_cards, resolve
from tswork.data.places import Places, shipped
from tswork.data.reading import read_collection
from tswork.data.spec import DataSpec, read_spec
from tswork.errors import DataInvalid
from tswork.source import Source, read_yaml

CARD = "reader: arrays\npath: {path}\nvalues: x\nlabel: y\nsplit: {{by: groups, fractions: [.6, .2, .2]}}\n"


def cases(path: Path, fill: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, x=np.full((4, 1, 3), fill), y=np.array(["a", "b", "a", "b"]))


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def opened(block: dict[str, Any], places: Places) -> DataSpec:
    spec, problems = read_spec(resolve(Source(block), places))
    assert spec is not None, problems
    return spec


def first_value(block: dict[str, Any], places: Places) -> float:
    return float(read_collection(opened(block, places), places).values[0, 0])


@pytest.fixture
def project(tmp_path: Path) -> Places:
    """A project with a pipeline in a folder of its own."""
    (tmp_path / "pipelines").mkdir()
    return Places.here(tmp_path, beside=tmp_path / "pipelines")


@pytest.mark.parametrize("named", ["x.npz", "./x.npz", "sub/../x.npz"])
@pytest.mark.parametrize("where", ["data_cards", "pipelines", "pipelines/data_cards"])
def test_a_relative_path_in_a_card_is_beside_the_card(project: Places, where: str, named: str) -> None:
    (project.root / where / "sub").mkdir(parents=True, exist_ok=True)
    write(project.root / where / "toy.yaml", CARD.format(path=named))
    cases(project.root / where / "x.npz", 1.0)
    assert first_value({"card": "toy"}, project) == 1.0


def test_what_is_not_beside_the_card_is_below_a_data_root(project: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project.root / "data_cards" / "toy.yaml", CARD.format(path="x.npz"))
    monkeypatch.setenv("TSWORK_DATA", str(project.root / "far"))
    cases(project.root / "far" / "toy" / "x.npz", 2.0)
    assert first_value({"card": "toy"}, project) == 2.0, "in a folder of the card's name"
    cases(project.root / "far" / "x.npz", 3.0)
    assert first_value({"card": "toy"}, project) == 3.0
    cases(project.root / "given" / "x.npz", 4.0)
    given = Places(project.root, project.beside, project.root / "given")
    assert first_value({"card": "toy"}, given) == 4.0, "--data-root comes before $TSWORK_DATA"
    cases(project.root / "data_cards" / "x.npz", 5.0)
    assert first_value({"card": "toy"}, given) == 5.0


def test_a_shipped_card_finds_its_files_below_a_data_root(project: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TSWORK_DATA", str(project.root / "far"))
    text = "date,A,OT\n2020-01-01,1,2\n2020-01-02,3,4\n"
    write(project.root / "far" / "ett" / "ETTh1.csv", text)
    found = read_collection(opened({"card": "etth1"}, project), project)
    assert (found.name, found.channels) == ("etth1", ("A", "OT"))


def test_a_path_that_overrides_a_cards_is_beside_the_pipeline(project: Places, tmp_path: Path) -> None:
    write(project.root / "data_cards" / "toy.yaml", CARD.format(path="x.npz"))
    cases(project.root / "data_cards" / "y.npz", 1.0)
    cases(project.beside / "y.npz", 2.0)
    pipeline = write(project.beside / "p.yaml", "card: toy\npath: y.npz\n")
    spec, problems = read_spec(resolve(read_yaml(pipeline), project))
    assert spec is not None, problems
    assert float(read_collection(spec, project).values[0, 0]) == 2.0


def test_the_blocks_own_keys_win(project: Places) -> None:
    write(project.root / "data_cards" / "toy.yaml", CARD.format(path="x.npz"))
    spec = opened({"card": "toy", "label": None, "missing": "refuse"}, project)
    assert (spec.options.label, spec.options.missing, spec.options.name) == (None, "refuse", "toy")


def test_a_split_that_says_by_what_replaces_the_cards_and_new_sizes_replace_its_sizes(project: Places) -> None:
    write(project.root / "data_cards" / "toy.yaml", CARD.format(path="x.npz"))
    by_time = opened({"card": "toy", "split": {"by": "time", "counts": [1, 1, 1]}}, project).split
    assert by_time is not None
    assert (by_time.by, by_time.counts, by_time.fractions) == ("time", (1, 1, 1), None)
    counts = opened({"card": "toy", "split": {"counts": [2, 1, 1]}}, project).split
    assert counts is not None
    assert (counts.by, counts.counts, counts.fractions) == ("groups", (2, 1, 1), None)
    seeded = opened({"card": "toy", "split": {"seed": 3}}, project).split
    assert seeded is not None
    assert (seeded.fractions, seeded.seed) == ((0.6, 0.2, 0.2), 3)


def test_cards_can_begin_with_other_cards_each_with_paths_of_its_own(project: Places) -> None:
    write(project.root / "data_cards" / "base.yaml", CARD.format(path="x.npz"))
    cases(project.root / "data_cards" / "x.npz", 7.0)
    write(project.beside / "mine.yaml", "card: base\ngroups: [y]\n")
    spec = opened({"card": "./mine.yaml"}, project)
    assert spec.options.groups == ("y",)
    assert float(read_collection(spec, project).values[0, 0]) == 7.0


def test_a_project_card_may_begin_with_the_shipped_card_of_its_name(project: Places) -> None:
    write(project.root / "data_cards" / "etth1.yaml", "card: etth1\nmissing: interpolate\n")
    spec = opened({"card": "etth1"}, project)
    assert (spec.options.missing, spec.options.time) == ("interpolate", "date")


def test_a_circle_of_cards_is_refused_where_it_closes(project: Places) -> None:
    write(project.root / "data_cards" / "a.yaml", "card: b\n")
    write(project.root / "data_cards" / "b.yaml", "card: a\n")
    with pytest.raises(DataInvalid, match=r"b\.yaml:1:7  data\.card: cards name each other in a circle"):
        resolve(Source({"card": "a"}), project)
    write(project.root / "data_cards" / "self.yaml", "card: ./self.yaml\n")
    with pytest.raises(DataInvalid, match="in a circle"):
        resolve(Source({"card": "self"}), project)


@pytest.mark.parametrize(
    ("block", "told"),
    [
        ({"card": "exchange"}, "data.card: there is no card 'exchange'. Did you mean 'exchange_rate'?"),
        ({"card": "./nowhere.yaml"}, "data.card: there is no card './nowhere.yaml'."),
        ({"card": "../../etc/passwd"}, "data.card: there is no card '../../etc/passwd'."),
        ({"card": 3}, "data.card: should name a card or a file"),
    ],
)
def test_a_card_that_is_not_there_is_answered_with_the_nearest(
    project: Places, block: dict[str, Any], told: str
) -> None:
    with pytest.raises(DataInvalid) as refused:
        resolve(Source(block), project)
    assert str(refused.value).startswith(told)


def test_faults_of_a_card_are_located_in_the_card(project: Places) -> None:
    path = write(project.root / "data_cards" / "toy.yaml", "reader: arrays\npath: x.npz\nlabl: y\n")
    _, problems = read_spec(resolve(Source({"card": "toy"}), project))
    assert [str(one) for one in problems] == [f"{path}:3:1  labl: unknown key. Did you mean 'label'?"]


def test_cards_are_listed_and_pipelines_beside_them_are_not(project: Places) -> None:
    write(project.beside / "pipeline.yaml", "version: 1\nname: p\ndata: {card: toy}\n")
    write(project.root / "data_cards" / "toy.yaml", CARD.format(path="x.npz"))
    write(project.root / "data_cards" / "etth1.yaml", "card: ./toy.yaml\n")
    listed = list_cards(project)
    assert "pipeline" not in listed
    assert listed["etth1"].parent == project.root / "data_cards", "a project's card hides a shipped one"
    assert {"toy", "wth", "uea", "aeon"} <= set(listed)
    assert find_card("pipeline", project) is None


@pytest.mark.parametrize("path", sorted(shipped("data_cards").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_card_is_a_valid_block_that_tells_where_it_comes_from(path: Path) -> None:
    card = read_yaml(path)
    spec, problems = read_spec(Source({**card.data, **({"set": "ArrowHead"} if card.data["reader"] == "aeon" else {})}))
    assert problems == []
    assert spec is not None
    assert all(
        (spec.options.title, spec.options.source, spec.options.licence, spec.options.citation, spec.options.split)
    )
