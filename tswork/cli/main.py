"""The `tswork` command: verbs are one file each, and one place turns any error into a message and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer

import tswork
from tswork.cli.compare import compare
from tswork.cli.data import data
from tswork.cli.doctor import doctor
from tswork.cli.embed import embed
from tswork.cli.gc import gc
from tswork.cli.init import init
from tswork.cli.listing import list_components
from tswork.cli.plan import plan
from tswork.cli.predict import predict
from tswork.cli.run import run
from tswork.cli.schema import schema
from tswork.cli.show import show
from tswork.cli.ui import ui
from tswork.cli.validate import validate
from tswork.errors import TsworkError

ISSUES = "https://github.com/tswork/tswork/issues"

app = typer.Typer(
    help="Contrastive representation learning on time series and speech: a pipeline file in, an honest table out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
VERBS: dict[str, Callable[..., None]] = {
    "run": run,
    "plan": plan,
    "validate": validate,
    "compare": compare,
    "predict": predict,
    "embed": embed,
    "list": list_components,
    "show": show,
    "init": init,
    "schema": schema,
    "ui": ui,
    "gc": gc,
    "doctor": doctor,
}
for name, verb in VERBS.items():
    app.command(name)(verb)
app.add_typer(data, name="data")


def _version(wanted: bool | None) -> None:
    if wanted:
        typer.echo(f"tswork {tswork.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool | None, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = None,
) -> None:
    pass


def main() -> None:
    """Run the command line; exit codes: 0 done, 1 failed while running, 2 wrong input, 130 interrupted."""
    try:
        app(standalone_mode=True)
    except TsworkError as error:
        typer.echo(f"{error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.echo("interrupted; `tswork run` continues from the last checkpoint", err=True)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception:
        typer.echo(f"this is a bug of tswork; please report it with the lines below at {ISSUES}", err=True)
        raise
