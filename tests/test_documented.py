"""What the documentation shows is true: examples in docstrings and guides run, pipelines in them are valid."""

from __future__ import annotations

import doctest
import importlib
import re
import runpy
from pathlib import Path

import pytest

from tswork.data.collection import DataInfo
from tswork.data.opening import open_splits, resolve_spec
from tswork.data.places import Places
from tswork.data.spec import DataSpec
from tswork.errors import DataInvalid
from tswork.methods.base import Method, build_model
from tswork.pipeline.loading import load_pipeline
from tswork.source import read_yaml

ROOT = Path(__file__).resolve().parents[1]
WITH_EXAMPLES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted((ROOT / "tswork").rglob("*.py"))
    if re.search(r"^\s*>>> ", path.read_text(), re.MULTILINE)
]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    return [text for found, text in BLOCK.findall(page.read_text()) if found == language]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_in_docstrings_give_what_they_show(name: str) -> None:
    outcome = doctest.testmod(importlib.import_module(name))
    assert outcome.attempted > 0
    assert outcome.failed == 0


def test_the_python_guide_runs_from_top_to_bottom(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    for block in blocks(ROOT / "docs/guides/python.md", "python"):
        exec(compile(block, "python.md", "exec"), names)
    assert "ts2vec" in capsys.readouterr().out


def test_the_guide_to_medical_recordings_runs_on_what_it_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wfdb")
    page = ROOT / "docs/guides/medical_recordings.md"
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks(page, "python")[0], "make_records.py", "exec"), {})
    (tmp_path / "records.yaml").write_text(blocks(page, "yaml")[0])
    spec = resolve_spec(read_yaml(tmp_path / "records.yaml").data["data"], Places.here(tmp_path, beside=tmp_path))
    (split,) = open_splits(spec, Places.here(tmp_path, beside=tmp_path), seed=0)
    assert sum(len(part) for part in split.parts.values()) == 24 * 6
    shown = re.findall(r"^records\.csv:(\d+):1  (.*)$", page.read_text(), re.MULTILINE)
    (tmp_path / "records/p01_1.dat").write_bytes((tmp_path / "records/p01_1.dat").read_bytes()[:6000])
    one = tmp_path / "records/p03_2.hea"
    lines = [line for line in one.read_text().splitlines() if not line.endswith(" II")]
    one.write_text("\n".join(lines).replace("p03_2 2 ", "p03_2 1 ") + "\n")
    (tmp_path / "records/p03_2.dat").write_bytes((tmp_path / "records/p03_2.dat").read_bytes()[:6000])
    whole = DataSpec.parse({"reader": "manifest", "path": "records.csv"})
    with pytest.raises(DataInvalid) as refused:
        whole.reader.build().inspect(whole, Places.here(tmp_path, beside=tmp_path))
    assert [str(one).removeprefix(f"{tmp_path}/") for one in refused.value.problems] == [
        f"records.csv:{line}:1  {text}" for line, text in shown
    ]


def test_the_guide_to_sound_runs_on_what_it_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = ROOT / "docs/guides/sound.md"
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks(page, "python")[0], "make_sounds.py", "exec"), {})
    (tmp_path / "sounds.yaml").write_text(blocks(page, "yaml")[0])
    here = Places.here(tmp_path, beside=tmp_path)
    spec = resolve_spec(read_yaml(tmp_path / "sounds.yaml").data["data"], here)
    (split,) = open_splits(spec, here, seed=0)
    assert sum(len(part) for part in split.parts.values()) == 24
    assert len(split.train.collection.left_out) == 4
    whole = DataSpec.parse({"reader": "manifest", "path": "sounds.csv", "rate": 16000.0})
    with pytest.raises(DataInvalid) as refused:
        whole.reader.build().read(whole, here)
    (shown,) = blocks(page, "text")
    assert [str(one).removeprefix(f"{tmp_path}/") for one in refused.value.problems] == shown.splitlines()


@pytest.mark.parametrize(
    ("page", "number"),
    [
        pytest.param(page, number, id=f"{page.name}-{number}")
        for page in PAGES
        for number, text in enumerate(blocks(page, "yaml"))
        if "stages:" in text and "version:" in text
    ],
)
def test_every_pipeline_in_the_documentation_is_valid(page: Path, number: int, tmp_path: Path) -> None:
    if page.name == "encoder.md":
        runpy.run_path(str(page.with_name("moving_average.py")))
    file = tmp_path / "shown.yaml"
    file.write_text(blocks(page, "yaml")[number])
    assert load_pipeline(file, places=Places.here(tmp_path)).members


@pytest.mark.parametrize("name", ["guides/sound", "guides/variety_analysis", "tutorials/dialects"])
def test_models_of_documented_pipelines_for_sound_can_be_built(name: str, tmp_path: Path) -> None:
    file = tmp_path / "shown.yaml"
    shown = next(text for text in blocks(ROOT / f"docs/{name}.md", "yaml") if "stages:" in text)
    file.write_text(shown)
    info = DataInfo(
        ("sound",), classes=("a", "b", "c"), label="variety", max_length=16000, equal_lengths=False, rate=16000.0
    )
    (member,) = load_pipeline(file, places=Places.here(tmp_path)).members
    for stage in member.stages:
        method = stage.component.build()
        if isinstance(method, Method):
            assert build_model(method, info, seed=0).encoder.stride > 1


@pytest.mark.parametrize(
    "path", sorted((ROOT / "pipelines").rglob("*.yaml")), ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_every_shipped_pipeline_is_valid(path: Path, tmp_path: Path) -> None:
    loaded = load_pipeline(path, places=Places.here(tmp_path))
    assert loaded.members
    assert path.read_text().startswith("# "), "a shipped pipeline begins with what it is for"


@pytest.mark.parametrize("path", sorted((ROOT / "data_cards").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_card_says_where_it_comes_from(path: Path) -> None:
    card = read_yaml(path).data
    assert {"title", "source", "licence", "reader"} <= set(card)
