"""The command line inside the test's own process: the same `main`, without the seconds that a new process costs."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tswork.cli.main import main

WIDTH = "140"


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


def tswork(folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> Done:
    """Run `tswork ARGUMENTS` in a folder."""
    out, err = io.StringIO(), io.StringIO()
    surroundings = {"COLUMNS": WIDTH, **(environment or {})}
    with (
        contextlib.chdir(folder),
        patch.dict(os.environ, surroundings),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        _own_warnings_shown(),
    ):
        try:
            main(arguments)
        except SystemExit as end:
            code = end.code
    assert isinstance(code, int | None)
    return Done(code or 0, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _own_warnings_shown() -> Iterator[None]:
    """Tests turn warnings into errors; the command shows those of tswork, and that is what is tested here."""
    import warnings

    from tswork.errors import TsworkWarning

    with warnings.catch_warnings():
        warnings.simplefilter("always", TsworkWarning)
        yield


def in_new_process(script: str, folder: Path) -> str:
    """What a Python script prints in a process of its own."""
    import subprocess

    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
