"""What the documentation shows is true: examples in docstrings and guides run, pipelines in them are valid."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest

from tswork.data.places import Places
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
    file = tmp_path / "shown.yaml"
    file.write_text(blocks(page, "yaml")[number])
    assert load_pipeline(file, places=Places.here(tmp_path)).members


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
