"""Programs that unpack deflate streams: Intel's isal where the extra `fast` is installed, and zlib.

Both give the same bytes, and isal takes a fraction of the time. zlib has the last word on data that isal refuses, so
that a damaged file gives the same error with either.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol, cast


class Container(IntEnum):
    """What surrounds a deflate stream; the value is zlib's name for it, with the largest window."""

    GZIP = 31
    ZLIB = 15


class Inflater(Protocol):
    """An unpacker in the middle of a stream, as zlib's."""

    @property
    def eof(self) -> bool:
        """Whether the end of the stream was seen and its checksum found right."""
        ...

    @property
    def unused_data(self) -> bytes:
        """What was given beyond the end of the stream."""
        ...

    @property
    def unconsumed_tail(self) -> bytes:
        """What was given and not looked at yet, because enough came out."""
        ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Return at most so many more bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Engine:
    """A program that unpacks.

    Attributes:
        name: `isal` or `zlib`.
        start: Returns an unpacker for a container.
        error: What its unpackers raise for damaged data.
    """

    name: str
    start: Callable[[int], Inflater]
    error: type[Exception]


ZLIB: Final = Engine("zlib", zlib.decompressobj, zlib.error)
"""Always there."""


try:
    from isal import isal_zlib
except ImportError:  # the extra is absent
    ENGINES: tuple[Engine, ...] = (ZLIB,)
else:
    # The stub takes the class of its error for an instance.
    ENGINES = (Engine("isal", isal_zlib.decompressobj, cast("type[Exception]", isal_zlib.IsalError)), ZLIB)
