"""What is said about objects: descriptions, pages, conditions and ranges.

Values that come from a caller are checked strictly, so that every store can keep them. Values that come from a store
are checked for what later code relies on, no further.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Final

from tds_cloud.errors import InvalidObject
from tds_cloud.key import validate_key, validate_prefix

MAX_METADATA_BYTES: Final = 2048
"""Most bytes that the names and values of an object's metadata take together."""

MAX_TAGS: Final = 10
"""Most tags of one object."""

_METADATA_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_METADATA_VALUE: Final = re.compile(r"|[!-~]|[!-~][ -~]*[!-~]")
_TAG_NAME: Final = re.compile(r"[A-Za-z0-9 +\-./:=_]{1,128}")
_TAG_VALUE: Final = re.compile(r"[A-Za-z0-9 +\-./:=_]{0,256}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """One object as its store describes it.

    Attributes:
        key: Its key, relative to the store's prefix.
        size_bytes: Its size.
        etag: Opaque tag that changes with every write: an entity tag, or a generation. Never a checksum.
        modified: When it was last written, with a time zone.
        sha256: SHA-256 of its bytes in lower-case hexadecimal, or `None` when another program wrote it without one.
        metadata: The names and values stored with it; empty in a listing whose store does not list them.

    Raises:
        InvalidKey: If the key is not valid.
        InvalidObject: If size, tag, time or hash cannot be.
    """

    key: str
    size_bytes: int
    etag: str
    modified: datetime
    sha256: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        _check_description(self.key, self.size_bytes, self.etag, self.sha256)
        if self.modified.utcoffset() is None:
            raise InvalidObject("the time of an object needs a time zone; pass an aware datetime")
        object.__setattr__(self, "metadata", dict(self.metadata))


@dataclass(frozen=True, slots=True, kw_only=True)
class PutResult:
    """What a finished write left in the store.

    Attributes:
        key: The object's key, relative to the store's prefix.
        size_bytes: Its size.
        etag: Its new tag, fit for `PutCondition(if_match=...)`.
        sha256: SHA-256 of its bytes in lower-case hexadecimal, computed while they were sent.

    Raises:
        InvalidKey: If the key is not valid.
        InvalidObject: If size, tag or hash cannot be.
    """

    key: str
    size_bytes: int
    etag: str
    sha256: str

    def __post_init__(self) -> None:
        _check_description(self.key, self.size_bytes, self.etag, self.sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPage:
    """One page of a listing.

    Attributes:
        objects: The objects of this page, in ascending order of their keys' UTF-8 bytes.
        prefixes: With `shallow=True` the sub-folders of this page, without a slash at their end; else empty.
        next_token: What to pass to get the next page, or `None` on the last one.
        skipped: How many objects of this page were left out because their keys break the rules of `validate_key`.
            Other programs may write such keys; a sync must not write them to a disk.

    Raises:
        InvalidKey: If a prefix is not valid.
        InvalidObject: If the objects are out of order, the token is empty or the count is negative.
    """

    objects: tuple[ObjectInfo, ...]
    prefixes: tuple[str, ...] = ()
    next_token: str | None = None
    skipped: int = 0

    def __post_init__(self) -> None:
        keys = [info.key.encode() for info in self.objects]
        if any(first >= second for first, second in pairwise(keys)):
            raise InvalidObject("the objects of a page are in ascending order of their keys, none twice; sort them")
        for prefix in self.prefixes:
            validate_prefix(prefix)
        if self.next_token == "" or self.skipped < 0:
            raise InvalidObject(
                "a page has a token that is not empty, or None, and skips no negative number of objects"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class PutCondition:
    """When a write may happen; the store checks it and writes in one step.

    Attributes:
        create_only: Write only if there is no object under the key.
        if_match: Write only if the object's tag is this one.

    Raises:
        InvalidObject: If neither or both are asked for.

    Examples:
        >>> PutCondition(create_only=True)
        PutCondition(create_only=True, if_match=None)
    """

    create_only: bool = False
    if_match: str | None = None

    def __post_init__(self) -> None:
        if self.create_only is (self.if_match is not None) or self.if_match == "":
            raise InvalidObject("a condition is either create_only=True or if_match with a tag; choose one")


@dataclass(frozen=True, slots=True, kw_only=True)
class PutOptions:
    """How to write an object.

    Attributes:
        condition: When the write may happen; `None` to write in any case.
        content_type: Media type to store with it.
        metadata: Names and values to store with it. A name is a lower-case letter, then up to 63 lower-case letters,
            digits and underscores; a value is printable ASCII without spaces at its ends; 2048 bytes in all. Whatever
            the store lends itself to reading is readable by whoever may read the object: no patient identifiers.
        tags: At most ten tags of at most 128 (name) and 256 (value) letters, digits, spaces and `+ - . / : = _`.

    Raises:
        InvalidObject: If the content type, metadata or tags cannot be kept by every store.
    """

    condition: PutCondition | None = None
    content_type: str = "application/octet-stream"
    metadata: Mapping[str, str] = field(default_factory=dict, hash=False)
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[!-~]+/[!-~][ -~]*", self.content_type):
            message = f"{self.content_type!a} is no media type such as application/dicom"
            raise InvalidObject(message)
        _check_metadata(self.metadata)
        validate_tags(self.tags)
        object.__setattr__(self, "metadata", dict(self.metadata))
        object.__setattr__(self, "tags", dict(self.tags))


@dataclass(frozen=True, slots=True, kw_only=True)
class ByteRange:
    """A half-open range of an object's bytes.

    Attributes:
        start: First byte, counted from 0.
        stop: One past the last byte, or `None` for the rest of the object.

    Raises:
        InvalidObject: If the start is negative or the range is empty.
    """

    start: int = 0
    stop: int | None = None

    def __post_init__(self) -> None:
        if self.start < 0 or (self.stop is not None and self.stop <= self.start):
            message = f"bytes {self.start} to {self.stop} are no range; it starts at 0 or later and holds a byte"
            raise InvalidObject(message)

    def clipped(self, size_bytes: int) -> slice:
        """Return the part of this range that an object of a given size has; empty when it begins past the end.

        Args:
            size_bytes: Size of the whole object.

        Examples:
            >>> b"segment"[ByteRange(start=3).clipped(7)]
            b'ment'
        """
        stop = size_bytes if self.stop is None else min(self.stop, size_bytes)
        return slice(min(self.start, size_bytes), stop)


def validate_tags(tags: Mapping[str, str]) -> Mapping[str, str]:
    """Return the tags unchanged if every store with tags can keep them.

    Args:
        tags: Values by name, within the limits that `PutOptions` states.

    Raises:
        InvalidObject: If there are too many, or one is too long or holds another character.
    """
    if len(tags) > MAX_TAGS:
        message = f"an object has at most {MAX_TAGS} tags; these are {len(tags)}"
        raise InvalidObject(message)
    for name, value in tags.items():
        if not _TAG_NAME.fullmatch(name) or not _TAG_VALUE.fullmatch(value):
            message = f"the tag {name!a} or its value is too long or holds a character outside letters, digits, +-./:=_"
            raise InvalidObject(message)
    return tags


def _check_metadata(metadata: Mapping[str, str]) -> None:
    for name, value in metadata.items():
        if not _METADATA_NAME.fullmatch(name) or not _METADATA_VALUE.fullmatch(value):
            message = f"the metadata {name!a} needs a lower-case name of letters, digits, _ and a printable ASCII value"
            raise InvalidObject(message)
    if (size := sum(len(name) + len(value) for name, value in metadata.items())) > MAX_METADATA_BYTES:
        message = f"the metadata takes {size} bytes; the limit is {MAX_METADATA_BYTES}"
        raise InvalidObject(message)


def _check_description(key: str, size_bytes: int, etag: str, sha256: str | None) -> None:
    validate_key(key)
    if size_bytes < 0 or not etag:
        message = f"an object has a size of 0 or more and a tag; this one has {size_bytes} bytes and the tag {etag!a}"
        raise InvalidObject(message)
    if sha256 is not None and not _SHA256.fullmatch(sha256):
        raise InvalidObject("a SHA-256 is 64 lower-case hexadecimal digits; this one is not")
