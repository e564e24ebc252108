"""Fetching the files of a card: in place only when whole and right, with progress, from a server of our own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from tests.data.serving import serving
from tswork.data.fetch import fetch_files
from tswork.data.places import Places
from tswork.data.spec import DataSpec
from tswork.errors import DataInvalid

CONTENT = bytes(range(256)) * 4000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server(BaseHTTPRequestHandler):
    """Serves the content whole, or as a path asks: less than announced, without a length, or not at all."""

    asked: list[str]

    def do_GET(self) -> None:
        type(self).asked.append(self.path)
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        if self.path != "/unannounced":
            self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: len(CONTENT) // 2] if self.path == "/half" else CONTENT)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Server.asked = []
    with serving(Server) as address:
        yield address


def spec(*files: dict[str, Any]) -> DataSpec:
    return DataSpec.parse({"reader": "arrays", "path": "x.npz", "name": "toy", "files": list(files)})


def places(folder: Path) -> Places:
    return Places.here(folder, data_root=folder / "data")


def told(folder: Path, *files: dict[str, Any]) -> list[str]:
    with pytest.raises(DataInvalid) as refused:
        fetch_files(spec(*files), places(folder))
    return [str(problem) for problem in refused.value.problems]


def left(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder / "data")) for path in (folder / "data").rglob("*") if path.is_file())


def test_files_are_fetched_below_the_data_root_with_progress(tmp_path: Path, server: str) -> None:
    seen: list[tuple[str, int, int | None]] = []
    file = {"name": "sub/x.npz", "url": f"{server}/x", "sha256": DIGEST, "bytes": len(CONTENT)}
    (path,) = fetch_files(spec(file), places(tmp_path), progress=lambda *one: seen.append(one))
    assert path == tmp_path / "data" / "sub" / "x.npz"
    assert path.read_bytes() == CONTENT
    assert left(tmp_path) == ["sub/x.npz"]
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert seen[-1] == ("sub/x.npz", len(CONTENT), len(CONTENT))


def test_without_a_data_root_files_go_to_the_users_cache(tmp_path: Path, server: str) -> None:
    (path,) = fetch_files(spec({"name": "x.npz", "url": f"{server}/x"}), Places.here(tmp_path))
    assert path == tmp_path / "cache" / "tswork" / "data" / "x.npz"


def test_a_file_that_is_there_with_the_right_digest_is_left_alone_and_a_wrong_one_is_replaced(
    tmp_path: Path, server: str
) -> None:
    file = {"name": "x.npz", "url": f"{server}/x", "sha256": DIGEST}
    fetch_files(spec(file), places(tmp_path))
    fetch_files(spec(file), places(tmp_path))
    assert Server.asked == ["/x"]
    (tmp_path / "data" / "x.npz").write_bytes(b"old")
    fetch_files(spec(file), places(tmp_path))
    assert (tmp_path / "data" / "x.npz").read_bytes() == CONTENT


def test_a_file_without_a_digest_is_fetched_again_when_its_size_is_wrong(tmp_path: Path, server: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.npz").write_bytes(b"torn")
    fetch_files(spec({"name": "x.npz", "url": f"{server}/x", "bytes": len(CONTENT)}), places(tmp_path))
    assert (tmp_path / "data" / "x.npz").read_bytes() == CONTENT


def test_a_wrong_digest_leaves_nothing_and_an_old_file_untouched(tmp_path: Path, server: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.npz").write_bytes(b"mine")
    file = {"name": "x.npz", "url": f"{server}/x", "sha256": "0" * 64}
    assert told(tmp_path, file) == [
        f"{server}/x  x.npz: has sha256 {DIGEST}, the card says {'0' * 64}. The file was changed at its source, or on the way."
    ]
    assert (tmp_path / "data" / "x.npz").read_bytes() == b"mine"
    assert left(tmp_path) == ["x.npz"]


def test_a_download_that_ends_early_leaves_nothing(tmp_path: Path, server: str) -> None:
    (text,) = told(tmp_path, {"name": "x.npz", "url": f"{server}/half"})
    assert f"{server}/half  x.npz: " in text
    assert left(tmp_path) == []


def test_a_download_without_an_announced_length_is_measured_by_the_card(tmp_path: Path, server: str) -> None:
    fetch_files(spec({"name": "x.npz", "url": f"{server}/unannounced"}), places(tmp_path))
    assert (tmp_path / "data" / "x.npz").read_bytes() == CONTENT
    (text,) = told(tmp_path, {"name": "y.npz", "url": f"{server}/unannounced", "bytes": len(CONTENT) + 1})
    assert text.endswith(f"y.npz: ended after {len(CONTENT)} of {len(CONTENT) + 1} bytes. Try again.")


def test_an_interrupted_download_leaves_nothing(tmp_path: Path, server: str) -> None:
    def interrupt(name: str, done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_files(spec({"name": "x.npz", "url": f"{server}/x"}), places(tmp_path), progress=interrupt)
    assert left(tmp_path) == []


def test_every_file_that_could_not_be_fetched_is_told_and_the_others_stay(tmp_path: Path, server: str) -> None:
    files = [
        {"name": "a.npz", "url": f"{server}/missing"},
        {"name": "b.npz", "url": f"{server}/x"},
        {"name": "c.npz"},
        {"name": "../d.npz", "url": f"{server}/x"},
        {"name": "e.npz", "url": "http://127.0.0.1:9/x"},
    ]
    texts = told(tmp_path, *files)
    assert texts[0] == f"{server}/missing  a.npz: could not be fetched: Not Found"
    assert texts[1] == "c.npz: has no address to be fetched from. Get it from the card's source."
    assert texts[2] == "../d.npz: leads out of the data root"
    assert texts[3].startswith("http://127.0.0.1:9/x  e.npz: could not be fetched: ")
    assert left(tmp_path) == ["b.npz"]
    assert told(tmp_path) == ["toy: the card names no files to fetch"]
