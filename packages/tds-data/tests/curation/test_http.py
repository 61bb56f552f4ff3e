import shutil
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tds_data.curation._http import Interrupted, check_url, open_url
from tds_data.errors import DownloadFailed


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/a",
        "https://10.0.0.1:8443/a",
        "http://127.0.0.1:80/a",
        "http://localhost/a",
        "http://[::1]/a",
    ],
)
def test_https_anywhere_and_http_on_this_machine_are_allowed(url: str) -> None:
    assert check_url(url) == url


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://example.org/a", "HTTPS only"),
        ("http://127.0.0.1.example.org/a", "HTTPS only"),
        ("http://0.0.0.0/a", "HTTPS only"),
        ("http://169.254.169.254/latest", "HTTPS only"),
        ("file:///etc/passwd", "HTTPS only"),
        ("ftp://localhost/a", "HTTPS only"),
        ("data:text/plain,a", "HTTPS only"),
        ("https:///a", "HTTPS only"),
        ("", "HTTPS only"),
        ("https://user@example.org/a", "user name or password"),
        ("https://:word@example.org/a", "user name or password"),
        ("https://[::1/a", "is none"),
        ("https://example.org:port/a", "is none"),
    ],
)
def test_other_addresses_are_refused(url: str, words: str) -> None:
    with pytest.raises(DownloadFailed, match=words):
        check_url(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1/a", "https://localhost/a"])
def test_no_other_machine_redirects_to_this_one(url: str) -> None:
    with pytest.raises(DownloadFailed, match="redirects to this very machine"):
        check_url(url, previous="https://example.org/")
    assert check_url(url, previous="http://127.0.0.1/") == url


def test_redirect_from_https_to_http_is_refused() -> None:
    with pytest.raises(DownloadFailed, match=r"that the server redirects to is not HTTPS \(http://example.org\)"):
        check_url("http://example.org/", previous="https://example.org/")


def test_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl, which makes the certificate, is absent")
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2", "-nodes"]
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    subprocess.run(  # noqa: S603  # a fixed command
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", *subject, *files],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")

    class Quiet(HTTPServer):
        def handle_error(self, *_: object) -> None:
            pass

    with Quiet(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            with pytest.raises(DownloadFailed, match=r"certificate of localhost.* cannot be verified .*SSL_CERT_FILE"):
                open_url(f"https://localhost:{server.server_address[1]}/", {}, timeout_s=5, proxies={})
        finally:
            server.shutdown()
            thread.join()


def test_proxy_is_used_for_other_machines_only(tmp_path: Path) -> None:
    asked: list[str] = []

    class Proxy(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_CONNECT(self) -> None:
            asked.append(self.path)
            self.send_error(403)

    with HTTPServer(("127.0.0.1", 0), Proxy) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        proxies = {"https": f"http://127.0.0.1:{server.server_address[1]}"}
        try:
            with pytest.raises(Interrupted, match=r"example\.invalid cannot be reached"):
                open_url("https://example.invalid/a", {}, timeout_s=5, proxies=proxies)
        finally:
            server.shutdown()
            thread.join()
    assert asked == ["example.invalid:443"]
    assert not list(tmp_path.iterdir())


def test_answer_that_is_no_http_is_told() -> None:
    import socket  # noqa: PLC0415  # this test alone speaks something else

    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-hello\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        with pytest.raises(Interrupted, match="does not answer as it should"):
            open_url(f"http://127.0.0.1:{server.getsockname()[1]}/", {}, timeout_s=5, proxies={})
        thread.join()
