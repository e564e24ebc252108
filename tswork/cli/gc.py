"""`tswork gc`: free space in the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tswork.cli.options import Root

if TYPE_CHECKING:
    from pathlib import Path


def gc(
    root: Root = None,
    older_than: Annotated[
        float | None, typer.Option(help="Also remove finished results older than this many days.", min=0)
    ] = None,
    unfinished: Annotated[bool, typer.Option(help="Also remove the checkpoints of interrupted runs.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Only tell what would be removed.")] = False,
) -> None:
    """Free space: remove leftovers of dead writers and, if asked, old results; running stages are left alone."""
    import time

    from tswork.cli.console import readable_bytes
    from tswork.data.places import Places
    from tswork.errors import StoreUnwritable
    from tswork.store import Store

    store = Store(Places.here(root).store)
    chosen: list[tuple[Path, int]] = []
    for path, size in list(store.leftovers(unfinished=unfinished)):
        chosen.append((path, size))
        if not dry_run:
            store.discard(path)
    entries = list(store.entries())
    oldest = time.time() - older_than * 86400 if older_than is not None else 0.0
    needed = {key for entry in entries if entry.finished >= oldest for key in entry.about.get("needs", ())}
    for entry in entries:
        if entry.finished < oldest and entry.key not in needed:
            chosen.append((entry.path, entry.bytes))
            if not dry_run:
                store.remove(entry.key)
    kept = sum(entry.bytes for entry in store.entries())
    gone = [size for path, size in chosen if dry_run or not path.exists()]
    done = f"{'would remove' if dry_run else 'removed'} {len(gone)}, {readable_bytes(sum(gone))}"
    typer.echo(f"{done}; the store holds {readable_bytes(kept)}")
    if len(gone) < len(chosen):
        raise StoreUnwritable(str(store.path), f"{len(chosen) - len(gone)} of {len(chosen)} could not be removed")
