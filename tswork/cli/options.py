"""Arguments and options that several verbs share, and the one way to print JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

PipelineFile = Annotated[Path, typer.Argument(help="A pipeline file.", show_default=False)]
FinishedRun = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="A pipeline file that was run, or the id of an MLflow run (or its beginning).",
        show_default=False,
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "-s", "--set", metavar="KEY=VALUE", help="Override a value, such as stages.train.epochs=5; repeatable."
    ),
]
Root = Annotated[
    Path | None, typer.Option("--root", help="Folder that holds .tswork/ (store and tracking).", show_default=False)
]
DataRoot = Annotated[
    Path | None, typer.Option("--data-root", help="Folder of data sets, before $TSWORK_DATA.", show_default=False)
]
SkipBad = Annotated[
    bool,
    typer.Option("--skip-bad", help="Leave out recordings that cannot be used (the same as -s data.skip_bad=true)."),
]
ReaderOptions = Annotated[
    list[str] | None,
    typer.Option("--option", "-o", help="An option of the reader, as NAME=VALUE; repeatable.", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


def with_skip_bad(overrides: list[str] | None, skip_bad: bool) -> list[str]:
    """The overrides of a pipeline, with the one that `--skip-bad` stands for."""
    return [*(overrides or []), *(["data.skip_bad=true"] if skip_bad else [])]


def reader_options(given: Sequence[str]) -> dict[str, Any]:
    """Options as YAML values. Raises `DataInvalid` for what is not NAME=VALUE."""
    from tswork.errors import DataInvalid, Problem
    from tswork.source import parse_yaml

    wrong = [text for text in given if "=" not in text]
    if wrong:
        raise DataInvalid([Problem(f"{text!r} should be NAME=VALUE", "--option") for text in wrong])
    pairs = (text.split("=", 1) for text in given)
    return {name.strip(): parse_yaml(value, f"--option {name.strip()}").data for name, value in pairs}


def print_json(document: Any) -> None:
    """One JSON document on stdout; NaN becomes null."""
    typer.echo(json.dumps(_plain(document), indent=2, ensure_ascii=False, allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return value
