"""What can go wrong in tds_cloud.

::

    CloudError
    ├── InvalidKey (ValueError)               a key or prefix breaks the rules
    ├── InvalidObject (ValueError)            a description, condition or range contradicts itself
    ├── InvalidStoreUrl (ValueError)          a store URL cannot be used
    │   ├── CredentialsInUrl                  it carries a secret
    │   └── InsecureEndpoint                  it would send data without TLS
    ├── BlobNotFound (FileNotFoundError)      there is no such object
    ├── AccessDenied (PermissionError)        the store refused the caller
    ├── PreconditionFailed (OSError)          the object changed, or is gone
    │   └── ObjectExists (FileExistsError)    a create-only put found an object
    ├── IntegrityError (OSError)              an object is torn or altered
    └── StoreUnavailable (ConnectionError)    the store did not answer
        └── DeadlineExceeded (TimeoutError)   it did not answer in time

Messages say what was wrong, the value seen and what to do. They name keys and stores; they never hold a
credential, and an error about a URL never quotes it. Every error survives pickling, so it may cross processes.
"""

from collections.abc import Mapping
from typing import Any


class CloudError(Exception):
    """Root of every error that tds_cloud raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how to make this error again without its constructor, whose parameters differ from `args`."""
        return _restore, (type(self), self.args, dict(vars(self)))


class InvalidKey(CloudError, ValueError):
    """A key or a prefix breaks the rules of `validate_key`.

    Attributes:
        key: What was given.
        reason: Which rule it breaks and what to do.
    """

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{_shown(key)} is no valid object key: {reason}")
        self.key = key
        self.reason = reason


class InvalidObject(CloudError, ValueError):
    """A description, condition or range contradicts itself."""


class InvalidStoreUrl(CloudError, ValueError):
    """A store URL cannot be used. The message does not quote it, since it may hold a secret."""


class CredentialsInUrl(InvalidStoreUrl):
    """A store URL carries a user name, a password, a key or a token."""


class InsecureEndpoint(InvalidStoreUrl):
    """A store URL asks for a connection without TLS to a machine that is not this one."""


class BlobNotFound(CloudError, FileNotFoundError):
    """There is no such object.

    Attributes:
        key: The object's key.
        store: The store's URL.
    """

    def __init__(self, key: str, *, store: str) -> None:
        super().__init__(f"there is no object {_shown(key)} in {store}; list its prefix to see what there is")
        self.key = key
        self.store = store


class AccessDenied(CloudError, PermissionError):
    """The store knows the caller and refuses, or does not know the caller.

    Attributes:
        operation: What was asked for, such as `put`.
        store: The store's URL.
        key: The object's key, or `None` when the store as a whole refused.
    """

    def __init__(self, operation: str, *, store: str, key: str | None = None) -> None:
        what = operation if key is None else f"{operation} of {_shown(key)}"
        super().__init__(f"{store} refused {what}; check the credentials in use and the policy of the bucket")
        self.operation = operation
        self.store = store
        self.key = key


class PreconditionFailed(CloudError, OSError):
    """The object is not the one that the condition names; nothing was written.

    Attributes:
        key: The object's key.
        store: The store's URL.
        expected_etag: The entity tag that was asked for, or `None` for a create-only put.
    """

    def __init__(self, key: str, *, store: str, expected_etag: str | None = None) -> None:
        super().__init__(self._describe(key, store, expected_etag))
        self.key = key
        self.store = store
        self.expected_etag = expected_etag

    @staticmethod
    def _describe(key: str, store: str, expected_etag: str | None) -> str:
        return (
            f"{_shown(key)} in {store} no longer has the entity tag {expected_etag}; "
            "nothing was written: read it again and decide anew"
        )


class ObjectExists(PreconditionFailed, FileExistsError):
    """A create-only put found an object under the key; nothing was written."""

    @staticmethod
    def _describe(key: str, store: str, expected_etag: str | None) -> str:
        del expected_etag
        return f"{_shown(key)} exists already in {store}; nothing was written: choose another key or delete it first"


class IntegrityError(CloudError, OSError):
    """The bytes of an object are not those that were stored.

    Attributes:
        key: The object's key.
        store: The store's URL.
        expected: What was stored, as a SHA-256 in hexadecimal or a size in bytes.
        found: The same of what was read.
    """

    def __init__(self, key: str, *, store: str, expected: str, found: str) -> None:
        super().__init__(
            f"{_shown(key)} in {store} is torn or altered: stored as {expected}, read as {found}; "
            "do not use what was read, and restore the object from its source"
        )
        self.key = key
        self.store = store
        self.expected = expected
        self.found = found


class StoreUnavailable(CloudError, ConnectionError):
    """The store did not answer, or answered that it cannot serve now; trying again later may help.

    Attributes:
        store: The store's URL.
        attempts: How often it was tried.
    """

    def __init__(self, reason: str, *, store: str, attempts: int) -> None:
        super().__init__(
            f"{store} is not available after {attempts} attempts: {reason}; check the network or try later"
        )
        self.store = store
        self.attempts = attempts


class DeadlineExceeded(StoreUnavailable, TimeoutError):
    """The store did not finish before the caller's deadline.

    Attributes:
        timeout_s: The time that was allowed, in seconds.
    """

    def __init__(self, *, store: str, attempts: int, timeout_s: float) -> None:
        super().__init__(f"not finished within {timeout_s:g} s", store=store, attempts=attempts)
        self.timeout_s = timeout_s


_SHOWN_CHARACTERS = 120


def _shown(key: str) -> str:
    """Return a key in quotes, with what cannot be printed escaped and a long one cut."""
    return ascii(key) if len(key) <= _SHOWN_CHARACTERS else f"{key[:_SHOWN_CHARACTERS]!a}..."


def _restore(kind: type[CloudError], args: tuple[object, ...], attributes: Mapping[str, object]) -> CloudError:
    error = kind.__new__(kind, *args)
    error.args = args
    vars(error).update(attributes)
    return error
