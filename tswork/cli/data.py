"""`tswork data`: list, show, check, fetch, make, add and import data sets."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tswork.cli.data_import import import_layout
from tswork.cli.options import DataRoot, Json, ReaderOptions, Root, SkipBad, print_json, reader_options
from tswork.wording import counted

if TYPE_CHECKING:
    from tswork.data.places import Places
    from tswork.data.spec import DataSpec

data = typer.Typer(help="List, show, check, fetch, make, add and import data sets.", no_args_is_help=True)
data.command("import")(import_layout)

Card = Annotated[str, typer.Argument(help="Name of a card, or a card file.", show_default=False)]
Set = Annotated[
    str | None, typer.Option("--set", help="A set of a family, such as ArrowHead of ucr.", show_default=False)
]


@data.command("list")
def list_cards(root: Root = None, as_json: Json = False) -> None:
    """List the data cards that can be named in a pipeline."""
    from rich.table import Table

    from tswork.cli.console import console
    from tswork.data import cards
    from tswork.data.places import Places
    from tswork.source import read_yaml

    found = {
        name: str(read_yaml(path).data.get("title") or "") for name, path in cards.list_cards(Places.here(root)).items()
    }
    if as_json:
        print_json([{"name": name, "title": title} for name, title in found.items()])
        return
    table = Table("card", "what it is", box=None, header_style="bold", pad_edge=False)
    for name, title in found.items():
        table.add_row(name, title)
    console().print(table)


@data.command()
def show(name: Card, member: Set = None, root: Root = None, data_root: DataRoot = None, as_json: Json = False) -> None:
    """Show a card, and what its data hold: channels, lengths, classes, groups, missing values."""
    from rich.markup import escape
    from rich.table import Table

    from tswork.cli.console import console
    from tswork.data.describing import describe
    from tswork.data.reading import read_collection

    spec, places = _spec(name, member, root, data_root)
    facts = describe(read_collection(spec, places))
    texts = {key: getattr(spec.options, key) for key in ("title", "description", "source", "licence", "citation")}
    about = {key: text for key, text in texts.items() if text}
    if as_json:
        print_json({"card": {**about, "flaws": list(spec.options.flaws)}, "data": facts})
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    known = {"known flaws": "\n".join(f"- {flaw}" for flaw in spec.options.flaws)} if spec.options.flaws else {}
    for key, value in {**about, **known, **facts, **_recipe(spec)}.items():
        table.add_row(f"[bold]{key}[/bold]", escape(_shown(value)))
    console().print(table)


@data.command()
def check(
    name: Card,
    member: Set = None,
    values: Annotated[bool, typer.Option("--values/--no-values", help="Also read the values.")] = True,
    skip_bad: SkipBad = False,
    root: Root = None,
    data_root: DataRoot = None,
    as_json: Json = False,
) -> None:
    """Check a data set: files, digests, columns, and with --values everything that can be wrong inside."""
    from rich.markup import escape

    from tswork.cli.console import console
    from tswork.data.checking import check_data

    spec, places = _spec(name, member, root, data_root, skip_bad=skip_bad)
    findings = check_data(spec, places, read_values=values)
    facts = [one for one in findings if one.fact]
    findings = [one for one in findings if not one.fact]
    faults = [one for one in findings if one.severe]
    if as_json:
        listed = [{"severe": one.severe, "what": one.what, "text": one.text} for one in findings]
        print_json({"findings": listed, "facts": [{"what": one.what, "text": one.text} for one in facts]})
    else:
        for one in facts:
            console().print(f"{one.what}: {escape(one.text)}", highlight=False)
        for one in findings:
            console().print(
                f"[{'red' if one.severe else 'yellow'}]{'fault' if one.severe else 'note '}[/] {one.what}: {escape(one.text)}"
            )
        console().print(f"{name}: {counted(len(faults), 'fault')}, {counted(len(findings) - len(faults), 'note')}")
    if faults:
        raise typer.Exit(2)


@data.command()
def fetch(name: Card, member: Set = None, root: Root = None, data_root: DataRoot = None) -> None:
    """Download the files of a card into the data root or the user's cache, and check their digests."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from tswork.cli.console import console
    from tswork.data.fetch import fetch_files

    spec, places = _spec(name, member, root, data_root)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=console(stderr=True),
    ) as bar:
        tasks = {file.name: bar.add_task(file.name, total=file.bytes) for file in spec.options.files}

        def progress(file: str, done: int, total: int | None) -> None:
            bar.update(tasks[file], completed=done, total=total)

        written = fetch_files(spec, places, progress=progress)
    for path in written:
        typer.echo(str(path))


@data.command()
def make(
    name: Annotated[str, typer.Argument(help="A maker, such as synthetic_varieties.", show_default=False)],
    folder: Annotated[
        Path | None,
        typer.Argument(help="New folder; none: NAME in the data root or the user's cache.", show_default=False),
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("-s", "--set", metavar="KEY=VALUE", help="An option of the maker, such as seed=3; repeatable."),
    ] = None,
    form: Annotated[Literal["flac", "wav"], typer.Option("--files", help="Kind of sound files.")] = "flac",
    root: Root = None,
    data_root: DataRoot = None,
) -> None:
    """Make a data set whose truth is known: sound files, manifest.csv and truth.json. `tswork show NAME` tells its options."""
    from tswork.data.making.options import read_maker
    from tswork.data.making.writing import make_set
    from tswork.data.places import Places

    places = Places.here(root, data_root=data_root)
    maker = read_maker(name, options or ())
    start = time.perf_counter()
    manifest, made = make_set(maker, folder or (places.data_root or places.cache) / name, form=form)
    typer.echo(str(manifest))
    if made is None:
        typer.echo("is there already, made with these options", err=True)
        return
    took = time.perf_counter() - start
    seconds = len(made.collection.values) / (made.collection.rate or 1)
    told = f"{counted(len(made.collection), 'recording')}, {seconds:.0f} s, made and written in {took:.1f} s"
    typer.echo(f"{told} ({seconds / took:.0f} x real time)", err=True)


@data.command()
def add(
    name: Annotated[str, typer.Argument(help="Name of the new card.", show_default=False)],
    path: Annotated[
        Path,
        typer.Argument(
            help="The data: a CSV of series, a manifest, npy or npz, or a folder of recordings.", show_default=False
        ),
    ],
    label: Annotated[str | None, typer.Option(help="Column of the classes.", show_default=False)] = None,
    group: Annotated[
        list[str] | None, typer.Option(help="Column never shared between parts; repeatable.", show_default=False)
    ] = None,
    skip_bad: Annotated[
        bool,
        typer.Option("--skip-bad", help="Write skip_bad into the card: recordings that cannot be used are left out."),
    ] = False,
    option: ReaderOptions = None,
    root: Root = None,
) -> None:
    """Write data_cards/NAME.yaml for local files, guessing reader and columns, and print it."""
    from tswork.data.add import write_card
    from tswork.data.places import Places

    groups, options = tuple(group or ()), reader_options(option or ())
    places = Places.here(root)
    written = write_card(name, path, label=label, groups=groups, skip_bad=skip_bad, options=options, places=places)
    typer.echo(written.read_text(encoding="utf-8"), nl=False)
    typer.echo(f"wrote {written}", err=True)


def _spec(
    name: str, member: str | None, root: Path | None, data_root: Path | None, *, skip_bad: bool = False
) -> tuple[DataSpec, Places]:
    from tswork.data.opening import resolve_spec
    from tswork.data.places import Places

    places = Places.here(root, data_root=data_root)
    chosen = {**({"set": member} if member else {}), **({"skip_bad": True} if skip_bad else {})}
    return resolve_spec({"card": name, **chosen}, places), places


def _recipe(spec: DataSpec) -> dict[str, str]:
    """What is done with the data after they were read: preparations in order, and the split, without what is a default."""
    steps = [
        _block({"uses": step.name, **step.config.model_dump(mode="json", exclude_defaults=True)})
        for step in spec.options.prepare
    ]
    split = spec.split.model_dump(mode="json", exclude_defaults=True) if spec.split is not None else None
    texts = {"prepared by": "\n".join(steps), "split": _block(split) if split else ""}
    return {key: text for key, text in texts.items() if text}


def _block(value: object) -> str:
    """Plain data as a line of YAML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_block(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_block, value)) + "]"
    return str(value)


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value)
