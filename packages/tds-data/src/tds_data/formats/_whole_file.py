"""Files that are written whole or not at all."""

import os
import zlib
from pathlib import Path
from typing import Final
from uuid import uuid4

from tds_data.errors import VolumeWriteError
from tds_data.formats._inflate import Container

# isal packs ten times as fast, but its bytes differ from zlib's and between processors: a file would depend on them.
_COMPRESSION_LEVEL: Final = 3


def packed(data: bytes, container: Container) -> bytes:
    """Return data packed by zlib; the same data give the same bytes, and no time or name is stored.

    Args:
        data: What to pack.
        container: What to put around it.
    """
    return zlib.compress(data, _COMPRESSION_LEVEL, container)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file beside its target and rename it then.

    Args:
        path: The target, in a folder that exists; an existing file is replaced.
        data: The content.

    Raises:
        VolumeWriteError: If it cannot be written; nothing is left of it.
    """
    try:
        replace_whole(path, data)
    except OSError as error:
        raise VolumeWriteError(path, error.strerror or str(error)) from error


def replace_whole(path: Path, data: bytes) -> None:
    """Do as `write_whole`, and leave it to the caller to say what went wrong.

    Args:
        path: The target, in a folder that exists; an existing file is replaced.
        data: The content.

    Raises:
        OSError: If it cannot be written; nothing is left of it.
    """
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}-{uuid4().hex[:8]}")
    try:
        with partial.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
