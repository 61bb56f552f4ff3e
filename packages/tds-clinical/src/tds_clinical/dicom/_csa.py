"""The header that Siemens scanners keep in a private element (0029,1010), in its second form, which starts with `SV10`.

A list of named entries, each with a list of short texts, in little endian. The form is documented by its readers only:
nibabel's notes on "Siemens format DICOM with CSA header" describe it. Nothing in it can be trusted, so every length is
checked before it is used.
"""

import struct
from collections.abc import Mapping
from typing import Final

_MAGIC: Final = b"SV10"
_COUNTS: Final = struct.Struct("<4s4s2I")
_ENTRY: Final = struct.Struct("<64si4s3i")
_ITEM: Final = struct.Struct("<4i")
_MOST_ENTRIES: Final = 1024
_MOST_ITEMS: Final = 4096
_ALIGNMENT: Final = 4


def read_csa(content: bytes) -> Mapping[str, tuple[str, ...]]:
    """Return the values of a CSA header by their names, empty ones left out.

    Args:
        content: Value of the private element.

    Raises:
        ValueError: If it is not of the second form, or breaks off.
    """
    try:
        magic, _, count, _ = _COUNTS.unpack_from(content)
        if magic != _MAGIC or not 0 < count <= _MOST_ENTRIES:
            message = f"not a CSA header of the second form: it starts with {magic!r} and counts {count} entries"
            raise ValueError(message)
        entries, position = {}, _COUNTS.size
        for _ in range(count):
            name, values, position = _read_entry(content, position)
            entries[name] = values
    except struct.error as error:
        message = "the CSA header breaks off"
        raise ValueError(message) from error
    return entries


def _read_entry(content: bytes, position: int) -> tuple[str, tuple[str, ...], int]:
    name, _, _, _, items, _ = _ENTRY.unpack_from(content, position)
    position += _ENTRY.size
    if not 0 <= items <= _MOST_ITEMS:
        message = f"an entry of the CSA header counts {items} values"
        raise ValueError(message)
    values = []
    for _ in range(items):
        _, length, _, _ = _ITEM.unpack_from(content, position)
        position += _ITEM.size
        if not 0 <= length <= len(content) - position:
            message = f"a value of the CSA header is {length} bytes long"
            raise ValueError(message)
        value = _text(content[position : position + length])
        if value:
            values.append(value)
        position += length + -length % _ALIGNMENT
    return _text(name), tuple(values), position


def _text(padded: bytes) -> str:
    return padded.partition(b"\0")[0].decode("latin-1").strip()
