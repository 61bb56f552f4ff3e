"""Requests that go where they should: to HTTPS, with the certificate checked, or to this very machine.

This is the only module of tds_data that opens a connection.
"""

import http.client
import ipaddress
import ssl
import urllib.request
from collections.abc import Mapping
from email.message import Message
from http import HTTPStatus
from typing import IO, Final, cast
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from tds_data.errors import DownloadFailed

_USER_AGENT: Final = "tds-data"
_MAX_WAIT_S: Final = 120.0
_RETRIED: Final = frozenset({408, 421, 425, 429, 500, 502, 503, 504, 507, 509, 520, 521, 522, 523, 524})


class Interrupted(Exception):
    """A transfer did not come to its end, and may if it is tried again; never leaves this package.

    Attributes:
        wait_s: Seconds that the server asks to wait.
    """

    def __init__(self, reason: str, *, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class RangeRefused(Interrupted):
    """The server holds nothing from the asked place on: its file is another one now."""


def check_url(url: str, *, previous: str | None = None) -> str:
    """Return a URL that may be opened, unchanged.

    Args:
        url: What is asked for.
        previous: What redirected to it, if anything did.

    Raises:
        DownloadFailed: If it is not HTTPS, or HTTP to this machine itself; if it holds a password; or if another
            machine redirects to this one.

    Examples:
        >>> check_url("https://example.org/a.tar")
        'https://example.org/a.tar'
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError as error:
        message = f"the address {url[:200]!r} is none ({error}); give one such as https://example.org/folder"
        raise DownloadFailed(message) from error
    local = _is_loopback(host)
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and local)):
        led = " that the server redirects to" if previous else ""
        message = f"the address{led} is not HTTPS ({parts.scheme or 'nothing'}://{host}); data come over HTTPS only"
        raise DownloadFailed(message)
    if parts.username is not None or parts.password is not None:
        message = "an address with a user name or password in it is not used; give one without"
        raise DownloadFailed(message)
    if previous is not None and local and not _is_loopback(urlsplit(previous).hostname or ""):
        message = f"the server redirects to this very machine ({host}), which no publisher does; check the address"
        raise DownloadFailed(message)
    return url


def open_url(
    url: str, headers: Mapping[str, str], *, timeout_s: float, proxies: Mapping[str, str]
) -> http.client.HTTPResponse:
    """Return the answer to a GET request, with its body still to be read.

    Args:
        url: Checked here, and after each redirect.
        headers: To send.
        timeout_s: How long to wait for the connection, and for each piece of the answer.
        proxies: The proxy for each scheme; this machine itself is never asked through one.

    Raises:
        Interrupted: If it may go better another time.
        RangeRefused: If the range that was asked for does not exist.
        DownloadFailed: If it will not.
    """
    request = urllib.request.Request(  # noqa: S310  # check_url allows no scheme but https and http to this machine
        check_url(url), headers={"User-Agent": _USER_AGENT, "Accept-Encoding": "identity", **headers}
    )
    parts = urlsplit(url)
    local = _is_loopback(parts.hostname or "")
    try:
        answer = _opener({} if local else proxies).open(request, timeout=timeout_s)
        return cast("http.client.HTTPResponse", answer)
    except DownloadFailed:
        raise
    except HTTPError as error:
        error.close()
        raise _refusal(error, parts.netloc) from error
    except URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            message = (
                f"the certificate of {parts.netloc} cannot be verified ({error.reason.verify_message}); a proxy that "
                "inspects traffic needs its own certificate in SSL_CERT_FILE"
            )
            raise DownloadFailed(message) from error
        message = f"{parts.netloc} cannot be reached ({error.reason}), perhaps because this machine is offline"
        raise Interrupted(message) from error
    except (OSError, http.client.HTTPException) as error:
        message = f"{parts.netloc} does not answer as it should ({type(error).__name__})"
        raise Interrupted(message) from error


class _CheckedRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        check_url(newurl, previous=req.full_url)
        return super().redirect_request(req, fp, code, msg, cast("http.client.HTTPMessage", headers), newurl)


def _opener(proxies: Mapping[str, str]) -> urllib.request.OpenerDirector:
    """Return an opener that knows HTTP and HTTPS only, unlike the library's own, which opens files too."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(dict(proxies)),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _CheckedRedirects(),
    ):
        opener.add_handler(handler)
    return opener


def _refusal(error: HTTPError, host: str) -> Exception:
    code = error.code
    if code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return RangeRefused("the file on the server is shorter than what is here")
    if code in _RETRIED:
        return Interrupted(f"{host} is not able to answer now (status {code})", wait_s=_wait_s(error))
    if code in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}:
        reason = "has no such file; its publisher may have moved it, give the address of a copy"
    elif code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        reason = "does not give the file out; its publisher may have moved it, give the address of a copy"
    else:
        reason = "answers in a way that is not understood; try again later or give the address of a copy"
    return DownloadFailed(f"{host} {reason} (status {code})")


def _wait_s(error: HTTPError) -> float:
    text = error.headers.get("Retry-After", "")
    return min(float(text), _MAX_WAIT_S) if text.isdecimal() else 0.0


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
