"""Where a store is, as a URL that never holds a secret.

::

    s3://bucket/prefix?endpoint=https://host:9000&region=eu-central-1
    az://container/prefix?account=name            az://container/prefix?endpoint=https://host/account
    gs://bucket/prefix?endpoint=https://host
    file:///absolute/folder
    memory://name/prefix

Credentials come from the providers' own chains, the environment or files. A URL that carries one is refused, and no
message quotes the URL. An endpoint without TLS is refused unless its host is this machine.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from tds_cloud.errors import CredentialsInUrl, InsecureEndpoint, InvalidKey, InvalidStoreUrl
from tds_cloud.key import validate_prefix


class Scheme(StrEnum):
    """A kind of store."""

    S3 = "s3"
    AZURE = "az"
    GCS = "gs"
    FILE = "file"
    MEMORY = "memory"


OPTIONS: Final[Mapping[Scheme, tuple[str, ...]]] = {
    Scheme.S3: ("endpoint", "region"),
    Scheme.AZURE: ("account", "endpoint"),
    Scheme.GCS: ("endpoint",),
    Scheme.FILE: (),
    Scheme.MEMORY: (),
}
"""The options that a URL of each kind may carry after its question mark."""

_BUCKETS: Final[Mapping[Scheme, str]] = {
    Scheme.S3: r"(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
    Scheme.AZURE: r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]",
    Scheme.GCS: r"(?!.*\.\.)[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]",
    Scheme.MEMORY: r"|[a-z0-9][a-z0-9._-]{0,62}",
}
_OPTION_VALUES: Final[Mapping[str, str]] = {"region": r"[a-z0-9-]{1,40}", "account": r"[a-z0-9]{3,24}"}
_SECRET_WORDS: Final = ("credential", "key", "pass", "pwd", "secret", "sig", "token")
_NOT_PRINTABLE: Final = re.compile(r"[\x00-\x20\x7f-\xa0\\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreUrl:
    """Where a store is. Holds no secret, so it may be printed, logged and pickled.

    `str()` gives the URL in its one canonical form, which `parse_store_url` reads back to an equal value.

    Attributes:
        scheme: The kind of store.
        bucket: Bucket or container; for `file` the absolute folder; for `memory` a name, perhaps empty.
        prefix: Where in the bucket the store's keys begin, without a slash at its end; empty for all of it.
        endpoint: Base URL of the server, or `None` for the provider's own.
        region: S3 region, or `None` for the one that the provider's chain finds.
        account: Azure storage account, or `None` when the endpoint or the provider's chain names it.

    Raises:
        InvalidStoreUrl: If a part does not fit the kind of store.
        CredentialsInUrl: If the endpoint holds a user name or password.
        InsecureEndpoint: If the endpoint has no TLS and is not this machine.
    """

    scheme: Scheme
    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None
    account: str | None = None

    def __post_init__(self) -> None:
        if self.scheme is Scheme.FILE:
            _check_folder(self.bucket, self.prefix)
        else:
            _check_bucket(self.scheme, self.bucket)
            _check_prefix(self.prefix)
        for name, value in self.options.items():
            _check_option(self.scheme, name, value)

    @property
    def options(self) -> dict[str, str]:
        """The options that are set, by name."""
        named = {"account": self.account, "endpoint": self.endpoint, "region": self.region}
        return {name: value for name, value in named.items() if value is not None}

    def __str__(self) -> str:
        path = quote(self.bucket) if self.scheme is Scheme.FILE else self.bucket
        path += f"/{quote(self.prefix)}" if self.prefix else ""
        return f"{self.scheme}://{path}" + (f"?{urlencode(self.options)}" if self.options else "")


def parse_store_url(url: str) -> StoreUrl:
    """Return what a store URL says, after checking every part of it.

    Args:
        url: A URL of one of the forms of this module. The prefix is percent-decoded once, then checked as a key; one
            slash at its end is dropped.

    Raises:
        InvalidStoreUrl: If it is no such URL or a part of it breaks the rules.
        CredentialsInUrl: If it holds a user name, a password or an option that looks like a secret.
        InsecureEndpoint: If its endpoint has no TLS and is not this machine.

    Examples:
        >>> parse_store_url("s3://studies/2026?endpoint=http://127.0.0.1:9000").prefix
        '2026'
        >>> parse_store_url("s3://studies?endpoint=http://minio.example:9000")
        Traceback (most recent call last):
        tds_cloud.errors.InsecureEndpoint: an endpoint needs https:// unless its host is this machine
    """
    parts = _split(url)
    scheme = _scheme(parts.scheme)
    if "@" in parts.netloc:
        raise CredentialsInUrl(_NO_CREDENTIALS)
    if "#" in url:
        raise InvalidStoreUrl("a store URL has no fragment; write # inside a prefix as %23")
    options = _parse_options(scheme, parts.query)
    path = _decode(parts.path)
    if scheme is Scheme.FILE:
        if parts.netloc not in {"", "localhost"}:
            raise InvalidStoreUrl("a file URL names a folder of this machine: file:///absolute/folder, three slashes")
        folder = path if path == "/" else path.removesuffix("/")
        return StoreUrl(scheme=scheme, bucket=folder)
    prefix = path.removeprefix("/").removesuffix("/")
    return StoreUrl(scheme=scheme, bucket=parts.netloc, prefix=prefix, **options)


_NO_CREDENTIALS: Final = (
    "a store URL holds no credentials; remove them and give them by the provider's own environment variables or files"
)


def _split(url: str) -> SplitResult:
    if _NOT_PRINTABLE.search(url):
        raise InvalidStoreUrl("a store URL holds no space, control character or backslash; percent-encode it")
    parts = _try_split(url)
    if parts is None or "://" not in url:
        raise InvalidStoreUrl("this is no URL of the form scheme://bucket/prefix")
    return parts


def _try_split(url: str) -> SplitResult | None:
    # The library's error quotes the URL, which may hold a secret; so none is raised while it is being handled.
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _scheme(name: str) -> Scheme:
    if name not in set(Scheme):
        message = f"the scheme of a store URL is one of {', '.join(Scheme)}; this one is something else"
        raise InvalidStoreUrl(message)
    return Scheme(name)


def _decode(path: str) -> str:
    decoded = unquote(path, errors="surrogateescape")
    if any("\udc80" <= character <= "\udcff" for character in decoded):
        raise InvalidStoreUrl("the percent-encoded bytes of a store URL are UTF-8; these are not")
    return decoded


def _parse_options(scheme: Scheme, query: str) -> dict[str, str]:
    pairs = parse_qsl(query, keep_blank_values=True)
    options = dict(pairs)
    for name in options.keys() - set(OPTIONS[scheme]):
        if any(word in name.lower() for word in _SECRET_WORDS):
            raise CredentialsInUrl(_NO_CREDENTIALS)
        raise InvalidStoreUrl(_takes(scheme))
    if len(options) < len(pairs):
        raise InvalidStoreUrl("an option of a store URL is given twice; keep one")
    return options


def _takes(scheme: Scheme) -> str:
    return f"the options of a {scheme}:// URL are {', '.join(OPTIONS[scheme]) or 'none'}; this one has another"


def _check_folder(folder: str, prefix: str) -> None:
    if not folder.startswith("/") or prefix:
        raise InvalidStoreUrl("a file store is one absolute folder: file:///absolute/folder")
    if folder != "/" and {"", ".", ".."} & set(folder[1:].split("/")):
        raise InvalidStoreUrl("the folder of a file URL is written out, without . or .. or two slashes in a row")
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in folder):
        raise InvalidStoreUrl("the folder of a file URL holds no control character")


def _check_bucket(scheme: Scheme, bucket: str) -> None:
    if not re.fullmatch(_BUCKETS[scheme], bucket):
        message = (
            f"the first part of a {scheme}:// URL is a bucket name by the provider's rules: lower-case letters, "
            "digits and inner hyphens, at least 3 characters; a server's address belongs in ?endpoint="
        )
        raise InvalidStoreUrl(message)


def _check_prefix(prefix: str) -> None:
    try:
        validate_prefix(prefix)
    except InvalidKey as error:
        message = f"the prefix of a store URL follows the rules of keys: {error.reason}"
        raise InvalidStoreUrl(message) from None


def _check_option(scheme: Scheme, name: str, value: str) -> None:
    if name not in OPTIONS[scheme]:
        raise InvalidStoreUrl(_takes(scheme))
    if name == "endpoint":
        _check_endpoint(value)
    elif not re.fullmatch(_OPTION_VALUES[name], value):
        message = f"the option {name} of a store URL is made of lower-case letters and digits; this one is not"
        raise InvalidStoreUrl(message)


def _check_endpoint(endpoint: str) -> None:
    parts = _split(endpoint)
    if "@" in parts.netloc:
        raise CredentialsInUrl(_NO_CREDENTIALS)
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or set("?#") & set(endpoint)
        or not endpoint.isascii()
    ):
        raise InvalidStoreUrl("an endpoint is https://host, perhaps with a port and a path, and nothing after them")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise InsecureEndpoint("an endpoint needs https:// unless its host is this machine")


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is this machine, without asking a name server.

    Args:
        host: A name or an address without brackets and port. Only the name `localhost` counts; other names may resolve
            to anything.

    Examples:
        >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("127.0.0.1.example.org")
        (True, True, False)
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
