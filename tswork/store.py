"""The only cache: results of stages, prepared data, decoded audio and frozen features are entries under a key.

An entry is a folder that is written beside its final place, flushed to disk and renamed, with `done.json` (name, size and
sha256 of every file) written last: a reader sees a whole entry or none. One process computes a key while others wait;
a lock whose holder is dead or silent is taken over. Unfinished work (checkpoints) lives in a workspace under the same key.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tswork.disk import REFUSALS, flush, make_folder
from tswork.errors import ResultAltered, StoreUnwritable

DONE = "done.json"
PIECES = "pieces"
"""In a workspace: the store of the pieces that are finished already."""
HEARTBEAT_SECONDS = 5.0
STALE_SECONDS = 60.0


def canonical_json(value: Any) -> str:
    """One text for equal values: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def key_of(value: Any) -> str:
    """sha256 of the canonical JSON, 64 hex digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """sha256 of a file's content, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Entry:
    """One finished entry as `tswork gc` and the reports see it."""

    key: str
    path: Path
    bytes: int
    finished: float
    about: dict[str, Any]


class Store:
    """A content-addressed folder of finished results.

    `Store(path)` creates nothing until something is written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, key: str, *, verify: bool = False) -> Path | None:
        """The folder of a finished entry whose files are all there with their recorded size, or None.

        `verify` also compares the sha256 of every file.
        """
        folder = self._folder(key)
        try:
            done = json.loads((folder / DONE).read_text())
            for name, recorded in done["files"].items():
                file = folder / name
                if file.stat().st_size != recorded["bytes"] or (verify and file_digest(file) != recorded["sha256"]):
                    return None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return folder

    def damaged(self, key: str) -> Path | None:
        """The folder of an entry whose files are not all what they were when it was finished, or None."""
        folder = self._folder(key)
        return folder if folder.exists() and self.get(key, verify=True) is None else None

    def check(self, keys: Iterable[str], *, but: str = "") -> None:
        """Refuse finished entries with files that are not as they were written; those named `but` are not looked at.

        Raises `ResultAltered` with all such files.
        """
        altered: list[str] = []
        for folder in map(self._folder, keys):
            files = json.loads((folder / DONE).read_text())["files"]
            chosen = {folder / name: recorded["sha256"] for name, recorded in files.items() if Path(name).name != but}
            altered += [str(file) for file, digest in chosen.items() if file_digest(file) != digest]
        if altered:
            raise ResultAltered(tuple(altered))

    def about(self, key: str) -> dict[str, Any]:
        """What the writer recorded about a finished entry (empty when there is none)."""
        try:
            about: dict[str, Any] = json.loads((self._folder(key) / DONE).read_text())["about"]
        except (OSError, ValueError, KeyError):
            return {}
        return about

    def compute(
        self,
        key: str,
        write: Callable[[Path], object],
        *,
        about: dict[str, Any] | None = None,
        verify: bool = False,
    ) -> Path:
        """The entry of a key, computed by `write(folder)` when it is not there, or `verify` finds that it was altered.

        `write` fills an empty folder; when it fails nothing is left behind. Of several processes one computes and the
        others wait for it. Raises `StoreUnwritable` when the disk refuses.
        """
        found = self.get(key, verify=verify)
        if found is not None:
            return found
        with self.lock(key):
            found = self.get(key, verify=verify)
            return found if found is not None else self._write(key, write, about or {})

    def wait(self, key: str, *, every: float = 0.2) -> Path:
        """The entry of a key that another process is about to finish."""
        while (found := self.get(key)) is None:
            time.sleep(every)
        return found

    def workspace(self, key: str) -> Path:
        """A folder for unfinished work under a key; it outlives the process and goes when the entry is finished."""
        folder = self._beside(key, "work")
        with self._guarded(folder):
            make_folder(folder)
        return folder

    def has_work(self, key: str, name: str) -> bool:
        """Whether the workspace of a key holds something under a name."""
        work = self._beside(key, "work") / name
        return work.is_dir() and any(work.iterdir())

    def pieces(self, key: str) -> Store:
        """The store of the finished pieces of an unfinished entry; nothing is created."""
        return Store(self._beside(key, "work") / PIECES)

    @contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Hold the key against other processes; waits while a living process holds it."""
        path = self._beside(key, "lock")
        with self._guarded(path):
            make_folder(path.parent)
            token = _acquire(path)
        stop = threading.Event()
        beat = threading.Thread(target=_heartbeat, args=(path, stop), daemon=True, name=f"lock {key[:8]}")
        beat.start()
        try:
            yield
        finally:
            stop.set()
            beat.join()
            _release(path, token)

    def entries(self) -> Iterator[Entry]:
        """All finished entries, in order of their keys."""
        for done in sorted(self.path.glob(f"??/*/{DONE}")):
            try:
                record = json.loads(done.read_text())
                size = sum(file["bytes"] for file in record["files"].values())
                yield Entry(done.parent.name, done.parent, size, record["finished"], record["about"])
            except (OSError, ValueError, KeyError):
                continue

    def remove(self, key: str) -> None:
        """Delete an entry and its workspace."""
        for path in (self._folder(key), self._beside(key, "work")):
            shutil.rmtree(path, ignore_errors=True)

    def leftovers(self, *, unfinished: bool = False) -> Iterator[tuple[Path, int]]:
        """Half-written entries without a living writer, and with `unfinished` also the checkpoints of interrupted runs."""
        for path in sorted(self.path.glob("??/*.*")):
            key, _, suffix = path.name.partition(".")
            abandoned = suffix.startswith("tmp-") or (suffix == "work" and (unfinished or self.get(key) is not None))
            if abandoned and not self._beside(key, "lock").exists():
                yield path, sum(file.stat().st_size for file in path.rglob("*") if file.is_file())

    def discard(self, path: Path) -> None:
        """Delete one of the leftovers."""
        if path.parent.parent != self.path:
            raise ValueError(f"{path} is not in the store {self.path}")
        shutil.rmtree(path, ignore_errors=True)

    def _write(self, key: str, write: Callable[[Path], object], about: dict[str, Any]) -> Path:
        folder = self._folder(key)
        temporary = self._beside(key, f"tmp-{uuid.uuid4().hex[:8]}")
        started = time.time()
        with self._guarded(folder):
            try:
                temporary.mkdir(parents=True)
                write(temporary)
                files = {
                    str(file.relative_to(temporary)): {"bytes": file.stat().st_size, "sha256": file_digest(file)}
                    for file in sorted(temporary.rglob("*"))
                    if file.is_file()
                }
                done = {
                    "key": key,
                    "seconds": time.time() - started,
                    "finished": time.time(),
                    "about": about,
                    "files": files,
                }
                for name in files:
                    flush(temporary / name)
                (temporary / DONE).write_text(json.dumps(done, indent=1, sort_keys=True))
                flush(temporary / DONE)
                if folder.exists():
                    shutil.rmtree(folder)
                os.replace(temporary, folder)
                flush(folder.parent)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(self._beside(key, "work"), ignore_errors=True)
        return folder

    def _folder(self, key: str) -> Path:
        return self.path / key[:2] / key

    def _beside(self, key: str, suffix: str) -> Path:
        return self.path / key[:2] / f"{key}.{suffix}"

    @contextmanager
    def _guarded(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in REFUSALS:
                raise StoreUnwritable(str(path), error.strerror or str(error)) from error
            raise


def _acquire(path: Path) -> str:
    token = uuid.uuid4().hex
    holder = json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "token": token})
    while True:
        # The lock appears whole (link is atomic), so no reader ever sees one without its holder.
        draft = path.with_name(f"{path.name}-{token}")
        draft.write_text(holder)
        try:
            os.link(draft, path)
            return token
        except FileExistsError:
            _take_over_when_stale(path)
            time.sleep(0.1)
        finally:
            draft.unlink(missing_ok=True)


def _take_over_when_stale(path: Path) -> None:
    try:
        holder = json.loads(path.read_text())
        age = time.time() - path.stat().st_mtime
    except (OSError, ValueError):
        return
    dead = holder.get("host") == socket.gethostname() and not _alive(int(holder.get("pid", 0)))
    if dead or age > STALE_SECONDS:
        # Renaming first means that of several waiting processes only one removes this very lock.
        grave = path.with_name(f"{path.name}-stale-{holder.get('token')}")
        try:
            os.rename(path, grave)
            grave.unlink(missing_ok=True)
        except FileNotFoundError:
            pass


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _heartbeat(path: Path, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT_SECONDS):
        try:
            os.utime(path)
        except FileNotFoundError:
            return


def _release(path: Path, token: str) -> None:
    try:
        if json.loads(path.read_text()).get("token") == token:
            path.unlink()
    except (OSError, ValueError):
        pass
