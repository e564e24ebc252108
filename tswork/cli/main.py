"""The `tswork` command: verbs are one file each, and one place turns any error into a message and an exit code."""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Annotated, Any

import typer

import tswork
from tswork.cli.compare import compare
from tswork.cli.data import data
from tswork.cli.doctor import doctor
from tswork.cli.embed import embed
from tswork.cli.failing import INTERRUPTED, report
from tswork.cli.gc import gc
from tswork.cli.init import init
from tswork.cli.listing import list_components
from tswork.cli.long_work import LongWork
from tswork.cli.plan import plan
from tswork.cli.predict import predict
from tswork.cli.report import report_page
from tswork.cli.run import run
from tswork.cli.schema import schema
from tswork.cli.show import show
from tswork.cli.ui import ui
from tswork.cli.validate import validate
from tswork.errors import TsworkWarning
from tswork.progress import telling

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
    "report": report_page,
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
for command in (*app.registered_commands, *data.registered_commands):
    # Lists of verbs have room for what stands before the first mark; the page of each verb says the rest.
    command.short_help = (
        re.split("[,;:(]", command.callback.__doc__ or "")[0].strip().rstrip(".") if command.callback else None
    )


def _version(wanted: bool | None) -> bool | None:
    if wanted:
        typer.echo(f"tswork {tswork.__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def _options(
    version: Annotated[
        bool | None, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = None,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exit codes: 0 done, 1 failed while running, 2 wrong input, 130 interrupted.

    With `--json` a failure, too, is one document on stdout, `{"error": {...}, "problems": [...]}`; its text is on stderr.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with _plain_warnings(), closing(LongWork()) as work, telling(work):
            code = app(given, prog_name="tswork", standalone_mode=False)
            if code == INTERRUPTED:  # typer turns an interruption into its exit code, without a word
                raise KeyboardInterrupt
            sys.exit(code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (Exception, KeyboardInterrupt) as error:
        sys.exit(report(error, as_json="--json" in given))


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Our own warnings are lines for people; those of others keep their form."""
    with warnings.catch_warnings():
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, TsworkWarning):
                typer.echo(f"note: {message}", err=True)
            else:
                usual(message, category, *place, **more)

        warnings.showwarning = show
        yield
