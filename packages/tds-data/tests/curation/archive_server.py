"""A file server on loopback that misbehaves on demand."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast


@dataclass
class Site:
    """What the server offers, and how."""

    content: bytes
    etag: str | None = '"v1"'
    modified: str | None = None
    ranges: bool = True
    honours_if_range: bool = True
    sends_length: bool = True
    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)
    """After how many bytes each answer with content ends; none: whole."""
    pause_s: float = 0.0
    """Between pieces of 1 KiB."""
    silent_s: float = 0.0
    redirect: str | None = None
    requests: list[dict[str, str]] = field(default_factory=list)
    url: str = ""
    port: int = 0


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass

    @property
    def site(self) -> Site:
        return cast("Site", self.server.site)  # type: ignore[attr-defined]  # set below

    def do_GET(self) -> None:
        site = self.site
        site.requests.append(dict(self.headers))
        time.sleep(site.silent_s)
        status = site.statuses.pop(0) if site.statuses else 200
        if site.redirect is not None and "/moved" not in self.path:
            self._head(302, {"Location": site.redirect, "Content-Length": "0"})
        elif status != 200:
            self._head(status, {"Content-Length": "0", **site.headers})
        else:
            self._send(site)

    def _send(self, site: Site) -> None:
        start = self._start(site)
        if start is None:
            self._head(416, {"Content-Length": "0"})
            return
        body = site.content[start:]
        headers = {"Content-Length": str(len(body))} if site.sends_length else {"Connection": "close"}
        if site.etag:
            headers["ETag"] = site.etag
        if site.modified:
            headers["Last-Modified"] = site.modified
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(site.content) - 1}/{len(site.content)}"
        self._head(206 if start else 200, {**headers, **site.headers})
        end = site.cuts.pop(0) if site.cuts else len(body)
        for place in range(0, min(end, len(body)), 1024):
            self.wfile.write(body[place : min(place + 1024, end)])
            time.sleep(site.pause_s)
        if end < len(body):
            self.close_connection = True

    def _start(self, site: Site) -> int | None:
        asked = self.headers.get("Range")
        if asked is None or not site.ranges:
            return 0
        if site.honours_if_range and self.headers.get("If-Range") not in {None, site.etag, site.modified}:
            return 0
        start = int(asked.removeprefix("bytes=").rstrip("-"))
        return start if start < len(site.content) else None

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    site: Site

    def handle_error(self, *_: object) -> None:
        """Clients that hang up are what is tested."""


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    """Serve a site while the block runs."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.site = site
    site.port = server.server_address[1]
    site.url = f"http://127.0.0.1:{site.port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
