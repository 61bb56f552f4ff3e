"""Keys that mean the same object in every store.

A key is text of one or more segments between slashes. S3, Azure Blob and Google Cloud Storage can all keep a key
accepted here, and joined to a folder's path it stays below that folder, on POSIX and on Windows:

- at most 1024 bytes as UTF-8, at most 254 segments, each of at most 255 bytes;
- no empty segment: no slash at either end and no two in a row;
- no segment ends in a dot or a space, which rules out `.` and `..`, and `.. ` that Windows takes for `..`;
- no segment has a colon as its second character, which Windows takes for a drive;
- no backslash, no control or line-separating character, no lone surrogate, no U+FFFE or U+FFFF;
- Unicode in composed form (NFC), so that two keys that look alike are not two objects.

Nothing is mended: text that breaks a rule is refused. Names that only some disks cannot hold, such as `aux` or `a?b` on
Windows, are valid keys; a store on such a disk has to escape them.
"""

import unicodedata
from typing import Final

from tds_cloud.errors import InvalidKey

MAX_KEY_BYTES: Final = 1024
"""Longest key, in bytes of UTF-8."""

MAX_SEGMENT_BYTES: Final = 255
"""Longest part between two slashes, in bytes of UTF-8."""

MAX_SEGMENTS: Final = 254
"""Most parts between slashes."""

_FORBIDDEN_CATEGORIES: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
_FORBIDDEN_CHARACTERS: Final = frozenset("\\\ufffe\uffff")


def validate_key(key: str) -> str:
    """Return the key unchanged if it is valid in every store.

    Args:
        key: Text such as `studies/0042/mask.nii.gz`.

    Raises:
        InvalidKey: If it breaks a rule of this module; the message says which.

    Examples:
        >>> validate_key("studies/0042/mask.nii.gz")
        'studies/0042/mask.nii.gz'
        >>> validate_key("../secrets")
        Traceback (most recent call last):
        tds_cloud.errors.InvalidKey: '../secrets' is no valid object key: a segment ends in a dot or a space; rename it
    """
    reason = _character_fault(key) or _size_fault(key) or _segment_fault(key)
    if reason is not None:
        raise InvalidKey(key, reason)
    return key


def validate_prefix(prefix: str) -> str:
    """Return the prefix unchanged if it is empty or a valid key.

    Prefixes count by whole segments: `a/b` holds `a/b/c`, but neither `a/bc` nor `a/b` itself. The empty prefix
    holds everything.

    Args:
        prefix: Empty, or text such as `studies/0042` without a slash at its end.

    Raises:
        InvalidKey: If it is neither empty nor a valid key.
    """
    return prefix and validate_key(prefix)


def join_key(prefix: str, key: str) -> str:
    """Return the key under a prefix.

    Args:
        prefix: Empty or a valid key.
        key: A valid key, relative to the prefix.

    Raises:
        InvalidKey: If either is not valid, or both together are too long.

    Examples:
        >>> join_key("studies/0042", "mask.nii.gz")
        'studies/0042/mask.nii.gz'
    """
    validate_prefix(prefix)
    validate_key(key)
    return validate_key(f"{prefix}/{key}") if prefix else key


def relative_key(prefix: str, key: str) -> str:
    """Return a key without the prefix that holds it; the inverse of `join_key`.

    Args:
        prefix: Empty or a valid key.
        key: A valid key below the prefix.

    Raises:
        InvalidKey: If either is not valid or the prefix does not hold the key.
    """
    validate_key(key)
    if not validate_prefix(prefix):
        return key
    if not key.startswith(f"{prefix}/"):
        raise InvalidKey(key, "it does not lie below the prefix that was asked for")
    return key[len(prefix) + 1 :]


def _character_fault(key: str) -> str | None:
    for character in key:
        if unicodedata.category(character) in _FORBIDDEN_CATEGORIES or character in _FORBIDDEN_CHARACTERS:
            return f"it holds U+{ord(character):04X}, which not every store can keep; remove it"
    if not unicodedata.is_normalized("NFC", key):
        return "it is not in composed Unicode form; pass it through unicodedata.normalize('NFC', ...) first"
    return None


def _size_fault(key: str) -> str | None:
    segments = key.split("/")
    longest = max(len(segment.encode()) for segment in segments)
    if (size := len(key.encode())) > MAX_KEY_BYTES:
        return f"it takes {size} bytes of UTF-8; the limit is {MAX_KEY_BYTES}"
    if longest > MAX_SEGMENT_BYTES:
        return f"a segment takes {longest} bytes of UTF-8; the limit is {MAX_SEGMENT_BYTES}"
    if len(segments) > MAX_SEGMENTS:
        return f"it has {len(segments)} segments; the limit is {MAX_SEGMENTS}"
    return None


def _segment_fault(key: str) -> str | None:
    segments = key.split("/")
    if "" in segments:
        return "it is empty, starts or ends with a slash, or has two slashes in a row"
    if any(segment.endswith((".", " ")) for segment in segments):
        return "a segment ends in a dot or a space; rename it"
    if any(segment[1:2] == ":" for segment in segments):
        return "a segment begins like a Windows drive; rename it"
    return None
