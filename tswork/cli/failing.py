"""The one place that turns an error into a message, an exit code and, where JSON was asked for, a document."""

from __future__ import annotations

import errno
import traceback
from typing import Any

import typer

from tswork.cli.options import print_json
from tswork.disk import REFUSALS
from tswork.errors import InvalidInput, Problem, TsworkError

INTERRUPTED = 130
SURROUNDINGS = (*REFUSALS, errno.EIO)
"""What only the disk and its owner can mend, whoever asked: a file that may not be written or read, and no room."""
ISSUES = "https://github.com/tswork/tswork/issues"


def report(error: BaseException, *, as_json: bool) -> int:
    """Tell what went wrong; gives the exit code. A traceback is shown for what can only be a bug of ours."""
    code, text = _code(error), "\n".join([str(error), *getattr(error, "__notes__", ())])
    if isinstance(error, typer.Abort | KeyboardInterrupt):
        text = "interrupted; finished stages are kept, and `tswork run` goes on from the last checkpoint"
    if isinstance(error, OSError) and code is not None:
        text = f"{error.filename or 'the disk'}: {error.strerror}. Mend its permissions or free space, or name another place."
    if hasattr(error, "show") and hasattr(error, "format_message"):  # wrong arguments, told by typer with the usage
        error.show()
        text = error.format_message()
    elif code is not None:
        typer.echo(text, err=True)
    else:
        typer.echo(f"this is a bug of tswork; please report it with the lines below at {ISSUES}", err=True)
        typer.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    code = 1 if code is None else code
    if as_json:
        print_json(failure_document(error, text, code))
    return code


def failure_document(error: BaseException, text: str, code: int) -> dict[str, object]:
    """A failure as plain data: what kind, what it says, and where there are several faults each of them."""
    problems = error.problems if isinstance(error, InvalidInput) else ()
    about = {"kind": type(error).__name__, "message": text, "exit_code": code}
    return {"error": about, "problems": [_problem(problem) for problem in problems]}


def _problem(problem: Problem) -> dict[str, object]:
    place = problem.location
    return {
        "file": place.file if place else None,
        "line": place.line if place else None,
        "column": place.column if place else None,
        "path": problem.path,
        "message": problem.message,
        "remedy": problem.remedy,
    }


def _code(error: Any) -> int | None:
    """None for a bug."""
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return INTERRUPTED
    if isinstance(error, TsworkError) or hasattr(error, "show"):
        return int(error.exit_code)
    if isinstance(error, OSError) and error.errno in SURROUNDINGS:
        return 1
    return None
