"""Fetching the files of a card: in place only when whole and right, with progress, from a server of our own."""

from __future__ import annotations

import hashlib
import io
import shutil
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.data.serving import serving
from tswork.data.fetch import fetch_files
from tswork.data.places import Places
from tswork.data.spec import DataSpec
from tswork.errors import DataInvalid

CONTENT = bytes(range(256)) * 4000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def archive(**members: bytes) -> bytes:
    """A zip archive; `sub__x` is the member `sub/x`, `__x` the member `../x`."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(f"../{name[2:]}" if name.startswith("__") else name.replace("__", "/"), content)
    return file.getvalue()


ARCHIVE = archive(sub__x=CONTENT, y=b"other", __out=b"away")


def damaged() -> bytes:
    """An archive whose one member does not have its checksum."""
    content = bytearray(archive(x=CONTENT))
    content[len(content) // 3] ^= 0xFF
    return bytes(content)


def encrypted() -> bytes:
    """An archive that says its one member needs a password."""
    content = bytearray(archive(x=CONTENT))
    content[6] |= 1
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def understated() -> bytes:
    """A bomb: an archive that states ten bytes for a member that unpacks to far more."""
    content = bytearray(archive(x=bytes(1 << 22)))
    at = content.rindex(b"PK\x01\x02") + 24
    content[at : at + 4] = (10).to_bytes(4, "little")
    content[22:26] = (10).to_bytes(4, "little")
    return bytes(content)


SERVED = {
    "/archive": ARCHIVE,
    "/damaged": damaged(),
    "/encrypted": encrypted(),
    "/understated": understated(),
}


class Server(BaseHTTPRequestHandler):
    """Serves content whole, or as a path asks: less than announced, without a length, or not at all."""

    asked: list[str]

    def do_GET(self) -> None:
        type(self).asked.append(self.path)
        if self.path == "/missing":
            self.send_error(404)
            return
        content = SERVED.get(self.path, CONTENT)
        self.send_response(200)
        if self.path != "/unannounced":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if self.path == "/half" else content)

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


def test_a_member_is_unpacked_to_the_cards_name_with_progress_of_both_and_the_archive_is_gone(
    tmp_path: Path, server: str
) -> None:
    seen: list[tuple[str, int, int | None]] = []
    file = {
        "name": "deep/mine.bin",
        "url": f"{server}/archive",
        "member": "sub/x",
        "sha256": DIGEST,
        "bytes": len(CONTENT),
    }
    (path,) = fetch_files(spec(file), places(tmp_path), progress=lambda *one: seen.append(one))
    assert path.read_bytes() == CONTENT
    assert left(tmp_path) == ["deep/mine.bin"]
    assert {name for name, _, _ in seen} == {"deep/mine.bin"}
    totals = [total for _, _, total in seen]
    assert list(dict.fromkeys(totals)) == [len(ARCHIVE), len(CONTENT)], "first the archive, then its member"
    assert {done for _, done, total in seen if done == total} == {len(ARCHIVE), len(CONTENT)}
    fetch_files(spec(file), places(tmp_path))
    assert Server.asked == ["/archive"], "what is there is left alone"


def test_an_archive_is_downloaded_once_for_all_its_members(tmp_path: Path, server: str) -> None:
    url = f"{server}/archive"
    files = [{"name": f"{name}.bin", "url": url, "member": name} for name in ("sub/x", "y")]
    fetch_files(spec(*files), places(tmp_path))
    assert Server.asked == ["/archive"]
    assert left(tmp_path) == ["sub/x.bin", "y.bin"]


def test_a_members_own_name_leads_nowhere(tmp_path: Path, server: str) -> None:
    (path,) = fetch_files(spec({"name": "in.bin", "url": f"{server}/archive", "member": "../out"}), places(tmp_path))
    assert path.read_bytes() == b"away"
    assert sorted(one.name for one in tmp_path.rglob("*") if one.is_file()) == ["in.bin"]
    assert told(tmp_path, {"name": "../in.bin", "url": f"{server}/archive", "member": "y"}) == [
        "../in.bin: leads out of the data root"
    ]


@pytest.mark.parametrize(
    ("file", "wrong"),
    [
        ({"url": "/archive", "member": "z"}, "the archive has no member 'z'. It holds ../out, sub/x, y."),
        ({"url": "/archive", "member": "y", "bytes": 7}, "the archive states 5 bytes for 'y', the card says 7. The file was changed at its source, or on the way."),
        ({"url": "/archive", "member": "y", "sha256": DIGEST}, f"has sha256 {hashlib.sha256(b'other').hexdigest()}, the card says {DIGEST}. The file was changed at its source, or on the way."),
        ({"url": "/x", "member": "y"}, "could not be unpacked: File is not a zip file"),
        ({"url": "/damaged", "member": "x"}, "could not be unpacked: "),
        ({"url": "/encrypted", "member": "x"}, "could not be unpacked: "),
        ({"url": "/understated", "member": "x"}, "could not be unpacked: "),
        ({"url": "/missing", "member": "x"}, "could not be fetched: Not Found"),
    ],
)  # fmt: skip
def test_what_cannot_be_unpacked_is_told_and_leaves_nothing(
    tmp_path: Path, server: str, file: dict[str, Any], wrong: str
) -> None:
    url = server + file["url"]
    (text,) = told(tmp_path, {"name": "a.bin", **file, "url": url})
    assert text.startswith(f"{url}  a.bin: {wrong}")
    assert left(tmp_path) == []


def test_a_member_that_does_not_fit_on_the_disk_is_refused_before_it_is_written(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(total=10, used=6, free=4))
    (text,) = told(tmp_path, {"name": "a.bin", "url": f"{server}/archive", "member": "y"})
    assert "a.bin: 'y' needs 5 bytes, and 4 are free in" in text
    assert text.endswith("Make room, or give another `--data-root`.")
    assert left(tmp_path) == []


def test_an_interrupted_unpacking_leaves_nothing(tmp_path: Path, server: str) -> None:
    def interrupt(name: str, done: int, total: int | None) -> None:
        if total == len(CONTENT):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_files(
            spec({"name": "a.bin", "url": f"{server}/archive", "member": "sub/x"}), places(tmp_path), progress=interrupt
        )
    assert left(tmp_path) == []
