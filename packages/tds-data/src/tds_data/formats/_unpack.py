"""Unpacking into memory that was set aside: never more than was promised, checksums included."""

import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Final

from tds_data.formats._inflate import ENGINES, Container, Engine, Inflater

GZIP_MAGIC: Final = b"\x1f\x8b"
"""What gzip data begin with."""
MAX_DEFLATE_RATIO: Final = 1032
"""A deflate stream never grows by more than this."""

_RESERVED_FLAGS: Final = 0xE0  # of a gzip header; zlib refuses them, isal does not look
_FLAGS_AT: Final = 3
_STEP_BYTES: Final = 1 << 16
_PIECE_BYTES: Final = 1 << 20
_PADDING: Final = re.compile(rb"\0*")


class DamagedStream(Exception):
    """Packed data are damaged."""


class TruncatedStream(DamagedStream):
    """Packed data end early."""


def unpack_into(
    target: memoryview,
    file: BinaryIO,
    container: Container,
    *,
    skip: int = 0,
    engines: Sequence[Engine] = ENGINES,
) -> int:
    """Return how many bytes there are beyond those to skip, the first of them now in the target.

    One byte more than fits is unpacked, no further; the count tells that there is more. Data that end with the target
    full are checked against their checksums. What lies in the target after an error is arbitrary.

    Args:
        target: Writable bytes.
        file: Stands at the packed data, and can be sought.
        container: What surrounds them. gzip may come in several members, and padded with zeros.
        skip: How many unpacked bytes come before those that are wanted.
        engines: The programs to try one after the other; the last one decides what is damaged.

    Raises:
        TruncatedStream: If the data end early.
        DamagedStream: If they are damaged.
    """
    start = file.tell()
    *fast, last = engines
    for engine in fast:
        try:
            return _fill(target, skip, _pieces(file, container, skip + len(target), engine))
        except DamagedStream:
            file.seek(start)
    return _fill(target, skip, _pieces(file, container, skip + len(target), last))


def _fill(target: memoryview, skip: int, pieces: Iterator[bytes]) -> int:
    position = -skip
    for piece in pieces:
        place = max(position, 0)
        wanted = memoryview(piece)[max(-position, 0) :][: len(target) - place]
        target[place : place + len(wanted)] = wanted
        position += len(piece)
    return max(position, 0)


def _pieces(file: BinaryIO, container: Container, promised: int, engine: Engine) -> Iterator[bytes]:
    """Yield what is unpacked, at most one byte more than promised."""
    data, size = file.read(_STEP_BYTES), 0
    stream = _start(data, container, engine)
    while size <= promised:
        if stream.eof:
            data = _next_member(file, data) if container is Container.GZIP and size < promised else b""
            if not data:
                return
            stream = _start(data, container, engine)
        data = data or file.read(_STEP_BYTES)
        try:
            piece = stream.decompress(data, min(promised + 1 - size, _PIECE_BYTES))
        except engine.error as error:
            raise DamagedStream from error
        if not (data or piece or stream.eof):
            raise TruncatedStream
        data = stream.unused_data if stream.eof else stream.unconsumed_tail
        size += len(piece)
        yield piece


def _start(data: bytes, container: Container, engine: Engine) -> Inflater:
    if container is Container.GZIP and len(data) > _FLAGS_AT and data[_FLAGS_AT] & _RESERVED_FLAGS:
        raise DamagedStream
    return engine.start(container)


def _next_member(file: BinaryIO, data: bytes) -> bytes:
    """Return data from the next gzip member on, or nothing if what follows is padding or something else."""
    while True:
        padding = _PADDING.match(data)
        data = data[padding.end() :] if padding else data
        more = b"" if len(data) > _FLAGS_AT else file.read(_STEP_BYTES)
        if not more:
            return data if data.startswith(GZIP_MAGIC) else b""
        data += more
