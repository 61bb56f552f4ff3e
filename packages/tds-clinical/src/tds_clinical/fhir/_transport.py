"""One conversation with a FHIR server: where it may go, what is tried again and what an answer must be."""

import email.utils
import ipaddress
import json
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urlsplit

from tds_clinical.errors import ClinicalDependency, PushFailed
from tds_clinical.fhir._names import Json
from tds_clinical.fhir._outcomes import issue_words
from tds_clinical.fhir.options import PushOptions

if TYPE_CHECKING:
    import requests

logger = logging.getLogger(__name__)

_JSON: Final = "application/fhir+json"
_TRY_AGAIN: Final = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
_LONGEST_WAIT_S: Final = 60.0
_MOST_BYTES: Final = 64 * 2**20
_CHUNK_BYTES: Final = 2**16

_NO_SERVER: Final = "there is no FHIR server at this address that takes transactions; give the base of its interface"
_HINTS: Final = {
    HTTPStatus.UNAUTHORIZED: "the server wants a token, or another one",
    HTTPStatus.FORBIDDEN: "the token does not allow this",
    HTTPStatus.NOT_FOUND: _NO_SERVER,
    HTTPStatus.METHOD_NOT_ALLOWED: _NO_SERVER,
    HTTPStatus.PRECONDITION_FAILED: "the server has several resources with one identifier; keep one of them",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "the bundle is too large for the server; leave the PDF out",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What became of one attempt.

    Attributes:
        status: HTTP status, `None` if there was no answer.
        document: What was answered, as JSON; `None` if it is none.
        wait_s: How long the server asks to wait, `None` if it does not.
        fault: What kept an answer from coming.
    """

    status: int | None = None
    document: object = None
    wait_s: float | None = None
    fault: str = ""


def check_address(base_url: str, options: PushOptions) -> str:
    """Return the address to post to.

    Args:
        base_url: Base of the server's FHIR interface.
        options: Whether it may be unencrypted.

    Raises:
        PushFailed: If it is no web address, holds credentials, or would send patient data unencrypted.
    """
    parts = _split(base_url)
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise PushFailed("the server's address holds credentials, a query or a fragment; give its base, and a token")
    if parts.scheme == "http" and not options.allow_http and not _is_loopback(parts.hostname or ""):
        raise PushFailed(
            "http would send patient data unencrypted to another machine; give an https address, "
            "or allow http if the way there is safe"
        )
    return base_url.rstrip("/")


def post(url: str, bundle: Json, options: PushOptions) -> Json:
    """Return a server's answer to a bundle.

    Args:
        url: Where to post it.
        bundle: Plain JSON types.
        options: How to send it.

    Raises:
        ClinicalDependency: If `requests` is not installed.
        PushFailed: If JSON cannot hold it, the server did not take it, or answered with something else than a bundle.
    """
    try:
        import requests  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise ClinicalDependency("requests", "fhir") from error
    body = _body(bundle)
    with requests.Session() as session:
        session.trust_env = False  # all settings come from the caller; no file of passwords may replace the token
        if options.token is not None:
            session.headers["Authorization"] = f"Bearer {options.token}"
        for attempt in range(options.retries):
            answer = _attempt(session, url, body, options)
            if answer.status is not None and answer.status not in _TRY_AGAIN:
                return _bundle(answer)
            wait_s = answer.wait_s if answer.wait_s is not None else options.backoff_s * 2**attempt
            logger.info("fhir_push_retry", extra={"status": answer.status, "attempt": attempt + 1, "wait_s": wait_s})
            time.sleep(min(wait_s, _LONGEST_WAIT_S))
        return _bundle(_attempt(session, url, body, options))


def _body(bundle: Json) -> bytes:
    try:
        return json.dumps(bundle, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:  # of a number that is none, or half a character
        message = "the bundle holds a number or a letter that cannot be written as JSON; build it again"
        raise PushFailed(message) from None  # the cause would show values


def _split(base_url: str) -> SplitResult:
    message = "the server's address is no web address; give one such as https://fhir.example/r4"
    try:
        parts = urlsplit(base_url)
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of a port or an IPv6 address that is none
        raise PushFailed(message) from None
    if not is_usable:
        raise PushFailed(message)
    return parts


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _attempt(session: "requests.Session", url: str, body: bytes, options: PushOptions) -> _Answer:
    import requests  # noqa: PLC0415  # an extra, found by `post`

    try:
        with session.post(
            url,
            data=body,
            headers={"Content-Type": _JSON, "Accept": _JSON},
            timeout=options.timeout_s,
            verify=str(options.ca_file) if options.ca_file else options.verify,
            allow_redirects=False,
            stream=True,
        ) as response:
            wait_s = _asked_wait_s(response.headers.get("Retry-After", ""))
            return _Answer(status=response.status_code, document=_document(response), wait_s=wait_s)
    except PushFailed:
        raise
    except requests.exceptions.SSLError as error:
        raise PushFailed(_tls_words(error)) from None
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
        return _Answer(fault=type(error).__name__)
    except (requests.RequestException, OSError) as error:
        message = f"the bundle cannot be sent ({type(error).__name__}); check the address and the file of certificates"
        raise PushFailed(message) from None


def _tls_words(error: Exception) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "the server's certificate is not trusted; give the file of its authority"
    return "the server does not speak TLS as we do; check whether its address begins with https"


def _document(response: "requests.Response") -> object:
    body = bytearray()
    for chunk in response.iter_content(_CHUNK_BYTES):
        body += chunk
        if len(body) > _MOST_BYTES:
            raise PushFailed("the server's answer does not end; check the address", status=response.status_code)
    try:
        document: object = json.loads(body)
    except ValueError:
        return None
    return document


def _bundle(answer: _Answer) -> Json:
    status = answer.status
    if status is None:
        message = f"the server cannot be reached ({answer.fault}); check the address and the network"
        raise PushFailed(message)
    if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        raise _refusal(answer.document, status)
    if not isinstance(answer.document, dict) or answer.document.get("resourceType") != "Bundle":
        message = f"the server answered {status}, but not with a bundle; check that the address is that of FHIR"
        raise PushFailed(message, status=status)
    return answer.document


def _refusal(document: object, status: int) -> PushFailed:
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        hint = "it wants to send us elsewhere; give the address that it really has"
    else:
        hint = _HINTS.get(HTTPStatus(status), "") if status in set(HTTPStatus) else ""
    told = "; ".join(part for part in (issue_words(document), hint) if part)
    return PushFailed(f"the server answered {status}" + (f": {told}" if told else ""), status=status)


def _asked_wait_s(header: str) -> float | None:
    """Return how long a Retry-After header asks to wait (RFC 9110, section 10.2.3)."""
    if header.strip().isdecimal():
        return float(header)
    try:
        until = email.utils.parsedate_to_datetime(header)
    except ValueError:
        return None
    return max((until - datetime.now(UTC)).total_seconds(), 0.0) if until.tzinfo else None
