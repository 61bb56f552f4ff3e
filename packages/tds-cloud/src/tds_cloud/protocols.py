"""What every store can do, in a synchronous and an asynchronous face of the same meaning.

An object store is no file system: there are no folders, no appending and no renaming, and a write is whole or absent.
These promises hold for every method of both faces:

- Keys are relative to the store's prefix and follow `validate_key`; else `InvalidKey`, before anything is sent.
- A reader sees the object before a write or after it, never a mixture. A write that fails leaves what was there.
- What is safe to repeat is repeated, with growing and jittered pauses, until the store's deadline; then
  `StoreUnavailable` or `DeadlineExceeded`.
- `AccessDenied` when the store refuses the caller. No error, log line or representation holds a credential.
"""

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from enum import StrEnum
from types import TracebackType
from typing import Final, Protocol, Self

from tds_cloud.objects import ByteRange, ListPage, ObjectInfo, PutCondition, PutOptions, PutResult
from tds_cloud.url import StoreUrl

DEFAULT_CHUNK_BYTES: Final = 1 << 20
"""Largest piece that `stream` yields unless asked otherwise."""

DEFAULT_PAGE_OBJECTS: Final = 1000
"""Most objects of one page unless asked otherwise."""


class PresignMethod(StrEnum):
    """What the holder of a presigned URL may do."""

    GET = "GET"
    PUT = "PUT"


class ObjectStore(Protocol):
    """Objects under one prefix of one store, for callers that block."""

    @property
    def url(self) -> StoreUrl:
        """Where the store is."""
        ...

    def put(self, key: str, data: bytes | Iterable[bytes], *, options: PutOptions | None = None) -> PutResult:
        """Write one object whole and return what is now stored.

        The SHA-256 is computed while the bytes are sent and stored with them. An iterable is read once and never held
        whole in memory; if it raises, nothing is written and its error comes through unchanged.

        Args:
            key: The object's key.
            data: Its bytes, or pieces of them in order.
            options: Condition, media type, metadata and tags; `None` for the defaults.

        Raises:
            InvalidKey: If the key breaks the rules.
            ObjectExists: If the condition is create-only and there is an object.
            PreconditionFailed: If the condition names a tag that the object does not have.
            AccessDenied: If the caller may not write.
            StoreUnavailable: If the store did not answer.
        """
        ...

    def get(self, key: str, *, byte_range: ByteRange | None = None) -> bytes:
        """Return an object's bytes, or a range of them.

        A whole object is checked against its stored SHA-256. A range cannot be; it is checked for its length, and
        comes from the same version of the object throughout.

        Args:
            key: The object's key.
            byte_range: Which bytes; clipped at the end of the object, so one past it gives no bytes. `None` for all.

        Raises:
            InvalidKey: If the key breaks the rules.
            BlobNotFound: If there is no such object.
            IntegrityError: If the bytes are not those that were stored.
            AccessDenied: If the caller may not read.
            StoreUnavailable: If the store did not answer.
        """
        ...

    def stream(
        self, key: str, *, byte_range: ByteRange | None = None, chunk_bytes: int = DEFAULT_CHUNK_BYTES
    ) -> Iterator[bytes]:
        """Yield an object's bytes in order, or a range of them, without holding it whole in memory.

        The check of the SHA-256 comes after the last piece: what was read is trustworthy once the iterator has ended
        without an error, not before.

        Args:
            key: The object's key.
            byte_range: As for `get`.
            chunk_bytes: Largest piece to yield, in bytes; at least 1.

        Raises:
            InvalidKey: If the key breaks the rules.
            BlobNotFound: If there is no such object.
            PreconditionFailed: If the object was replaced while it was being read.
            IntegrityError: If the bytes are not those that were stored.
            AccessDenied: If the caller may not read.
            StoreUnavailable: If the store did not answer.
        """
        ...

    def stat(self, key: str) -> ObjectInfo:
        """Return what the store says about an object, metadata included.

        Raises:
            InvalidKey: If the key breaks the rules.
            BlobNotFound: If there is no such object.
            AccessDenied: If the caller may not read.
            StoreUnavailable: If the store did not answer.
        """
        ...

    def list_page(
        self,
        prefix: str = "",
        *,
        shallow: bool = False,
        token: str | None = None,
        max_objects: int = DEFAULT_PAGE_OBJECTS,
    ) -> ListPage:
        """Return one page of the objects below a prefix, in ascending order of their keys' UTF-8 bytes.

        A prefix that holds nothing gives an empty page, no error. Pages are no snapshot: an object written or deleted
        between two of them may or may not appear; every other object appears exactly once.

        Args:
            prefix: As `validate_prefix` describes; keys in the page are relative to the store, not to it.
            shallow: Give objects directly below the prefix, and the names of deeper levels in `prefixes`.
            token: `next_token` of the page before, with the same other arguments; `None` for the first page.
            max_objects: Most objects and prefixes of the page, together; 1 to 1000.

        Raises:
            InvalidKey: If the prefix breaks the rules.
            InvalidObject: If the token is not from this listing, or the number is out of range.
            AccessDenied: If the caller may not list.
            StoreUnavailable: If the store did not answer.
        """
        ...

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there counts as removed.

        Raises:
            InvalidKey: If the key breaks the rules.
            AccessDenied: If the caller may not delete.
            StoreUnavailable: If the store did not answer.
        """
        ...

    def copy(self, source: str, target: str, *, condition: PutCondition | None = None) -> PutResult:
        """Write an object's bytes, media type, metadata and tags under another key, inside the store.

        Args:
            source: Key of the object to copy.
            target: Key to write.
            condition: When the target may be written; `None` for in any case.

        Raises:
            InvalidKey: If a key breaks the rules.
            BlobNotFound: If there is no source.
            ObjectExists: If the condition is create-only and there is a target.
            PreconditionFailed: If the condition names a tag that the target does not have.
            AccessDenied: If the caller may not read the one or write the other.
            StoreUnavailable: If the store did not answer.
        """
        ...

    def tags(self, key: str) -> Mapping[str, str]:
        """Return an object's tags; empty if it has none.

        Raises:
            InvalidKey: If the key breaks the rules.
            BlobNotFound: If there is no such object.
            AccessDenied: If the caller may not read tags.
            StoreUnavailable: If the store did not answer.
        """
        ...

    def replace_tags(self, key: str, tags: Mapping[str, str]) -> None:
        """Give an object these tags and no others; its bytes stay as they are.

        Args:
            key: The object's key.
            tags: As `validate_tags` allows; empty to remove all.

        Raises:
            InvalidKey: If the key breaks the rules.
            InvalidObject: If the tags break the rules.
            BlobNotFound: If there is no such object.
            AccessDenied: If the caller may not write tags.
            StoreUnavailable: If the store did not answer.
        """
        ...

    def presign(self, key: str, *, method: PresignMethod = PresignMethod.GET, expires_s: float = 900.0) -> str:
        """Return a URL that lets its holder read or write one object for a while, without credentials.

        The URL is itself a secret: hand it over, do not log it. What is written through it has no SHA-256.

        Args:
            key: The object's key; it need not exist.
            method: What the holder may do.
            expires_s: How long, in seconds; more than 0, at most 7 days.

        Raises:
            InvalidKey: If the key breaks the rules.
            InvalidObject: If the time is out of range.
            AccessDenied: If the caller's credentials cannot sign.
            StoreUnavailable: If the store must be asked and did not answer.
        """
        ...

    def close(self) -> None:
        """Release connections; the store cannot be used afterwards. Closing twice does nothing."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class AsyncObjectStore(Protocol):
    """Objects under one prefix of one store, for callers that await.

    Each method does what the one of the same name of `ObjectStore` does, with the same arguments and errors. Cancelling
    a write leaves what was there before it; cancelling a read frees its connection.
    """

    @property
    def url(self) -> StoreUrl:
        """Where the store is."""
        ...

    async def put(
        self, key: str, data: bytes | Iterable[bytes] | AsyncIterable[bytes], *, options: PutOptions | None = None
    ) -> PutResult:
        """Write one object whole and return what is now stored; see `ObjectStore.put`."""
        ...

    async def get(self, key: str, *, byte_range: ByteRange | None = None) -> bytes:
        """Return an object's bytes, or a range of them; see `ObjectStore.get`."""
        ...

    def stream(
        self, key: str, *, byte_range: ByteRange | None = None, chunk_bytes: int = DEFAULT_CHUNK_BYTES
    ) -> AsyncIterator[bytes]:
        """Yield an object's bytes in order, or a range of them; see `ObjectStore.stream`."""
        ...

    async def stat(self, key: str) -> ObjectInfo:
        """Return what the store says about an object; see `ObjectStore.stat`."""
        ...

    async def list_page(
        self,
        prefix: str = "",
        *,
        shallow: bool = False,
        token: str | None = None,
        max_objects: int = DEFAULT_PAGE_OBJECTS,
    ) -> ListPage:
        """Return one page of the objects below a prefix; see `ObjectStore.list_page`."""
        ...

    async def delete(self, key: str) -> None:
        """Remove an object; see `ObjectStore.delete`."""
        ...

    async def copy(self, source: str, target: str, *, condition: PutCondition | None = None) -> PutResult:
        """Write an object's contents under another key, inside the store; see `ObjectStore.copy`."""
        ...

    async def tags(self, key: str) -> Mapping[str, str]:
        """Return an object's tags; see `ObjectStore.tags`."""
        ...

    async def replace_tags(self, key: str, tags: Mapping[str, str]) -> None:
        """Give an object these tags and no others; see `ObjectStore.replace_tags`."""
        ...

    async def presign(self, key: str, *, method: PresignMethod = PresignMethod.GET, expires_s: float = 900.0) -> str:
        """Return a URL that lets its holder read or write one object for a while; see `ObjectStore.presign`."""
        ...

    async def close(self) -> None:
        """Release connections; see `ObjectStore.close`."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
