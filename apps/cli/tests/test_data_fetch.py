import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tds_data.curation import CC_BY_SA_4, Release

Tds = Callable[..., tuple[int, str, str]]


def packed() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        info = tarfile.TarInfo("Task01_BrainTumour/dataset.json")
        info.size = 2
        tar.addfile(info, io.BytesIO(b"{}"))
    return file.getvalue()


CONTENT = packed()


class _Files(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        found = self.path.endswith("Task01_BrainTumour.tar")
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(CONTENT) if found else 0))
        self.end_headers()
        if found:
            self.wfile.write(CONTENT)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A publisher of one small task, in place of the real one."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Files) as running:
        url = f"http://127.0.0.1:{running.server_address[1]}"
        release = Release(
            name="Task01_BrainTumour",
            url=f"{url}/Task01_BrainTumour.tar",
            md5=hashlib.md5(CONTENT, usedforsecurity=False).hexdigest(),
            licence=CC_BY_SA_4,
            citation="Nobody 2020",
        )
        monkeypatch.setattr("tds_data.curation.releases.DECATHLON", {release.name: release})
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield url
        running.shutdown()
        thread.join()


def test_licence_is_shown_and_has_to_be_accepted(tds: Tds, server: str, tmp_path: Path) -> None:
    code, out, err = tds("data", "fetch", "decathlon", "-o", tmp_path / "data")
    assert server
    assert code == 2
    assert "CC BY-SA 4.0" in out
    assert "Nobody 2020" in out
    assert "add --accept-licence" in err
    assert not (tmp_path / "data").exists()


def test_data_set_is_fetched_once(tds: Tds, server: str, tmp_path: Path) -> None:
    assert server
    for words in ("fetched:", "was there already:"):
        code, out, err = tds("data", "fetch", "decathlon", "--accept-licence", "-o", tmp_path)
        assert (code, err) == (0, "")
        assert f"{words} {tmp_path / 'Task01_BrainTumour'}" in out
        assert f"SHA-256 {hashlib.sha256(CONTENT).hexdigest()}" in out
        assert f"next: tds data index {tmp_path / 'Task01_BrainTumour'}" in out
    assert (tmp_path / "Task01_BrainTumour/dataset.json").read_bytes() == b"{}"


def test_json_holds_hashes_and_licence(tds: Tds, server: str, tmp_path: Path) -> None:
    options = ("--accept-licence", "--keep-archive", "--base-url", f"{server}/copy", "--json")
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    code, out, err = tds("data", "fetch", "decathlon", "-o", tmp_path, "--sha256", sha256.upper(), *options)
    told = json.loads(out)
    assert (code, err) == (0, "")
    assert (told["sha256"], told["size_bytes"], told["was_there"]) == (sha256, len(CONTENT), False)
    assert "CC BY-SA 4.0" in told["licence"]
    assert json.loads(Path(told["record"]).read_text())["url"] == f"{server}/copy/Task01_BrainTumour.tar"
    assert (tmp_path / "Task01_BrainTumour.tar").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("options", "code", "kind"),
    [
        (("--task", "Task77_Foot"), 2, "usage"),
        (("--accept-licence", "--base-url", "http://example.org"), 1, "download-failed"),
        (("--accept-licence", "--sha256", "0" * 64), 1, "download-failed"),
        (("--accept-licence", "--sha256", "abc"), 2, "usage"),
        ((), 2, "licence-not-accepted"),
    ],
)
def test_what_goes_wrong_has_a_code(
    tds: Tds, server: str, tmp_path: Path, options: tuple[str, ...], code: int, kind: str
) -> None:
    assert server
    found, out, _ = tds("data", "fetch", "decathlon", "-o", tmp_path / "data", "--json", *options)
    assert (found, json.loads(out)["error"]["code"]) == (code, kind)
    assert not (tmp_path / "data/Task01_BrainTumour").exists()


def test_unknown_data_set_is_a_usage_error(tds: Tds, tmp_path: Path) -> None:
    assert tds("data", "fetch", "imagenet", "-o", tmp_path)[0] == 2
