"""One run at a time: a lock that the system lets go when its process ends, however that ends."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tds_data.errors import DownloadFailed

if sys.platform == "win32":  # pragma: no cover  # the tests run on POSIX
    import msvcrt

    def _try_lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _try_lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def run_lock(path: Path) -> Iterator[None]:
    """Hold a lock while the block runs.

    Args:
        path: File to make for it, in a folder that exists; it is removed in the end.

    Raises:
        DownloadFailed: If another process holds it, or the file cannot be made.
    """
    descriptor = _locked(path)
    try:
        yield
    finally:
        with suppress(OSError):  # some systems remove no open file; an unlocked one does no harm
            path.unlink()
        os.close(descriptor)


def _locked(path: Path) -> int:
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            message = f"cannot write into {str(path.parent)!r}: {error.strerror or error}; choose another folder"
            raise DownloadFailed(message) from error
        try:
            _try_lock(descriptor)
        except OSError as error:
            os.close(descriptor)
            message = (
                f"another run is at work in {str(path.parent)!r}; wait until it has ended or choose another folder"
            )
            raise DownloadFailed(message) from error
        if _is_at(path, descriptor):
            return descriptor
        os.close(descriptor)  # its holder removed it between the two steps


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False
