"""Files that one process at a time holds; the system lets go of them when that process ends, however it ends."""

import errno
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Final, Self

if sys.platform == "win32":  # pragma: no cover  # the tests run on POSIX
    import msvcrt

    def _try_lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _try_lock(descriptor: int) -> None:
        # Unlike `flock`, this is not shared with processes that are forked, such as those that make patches.
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


_HELD: Final = frozenset({errno.EACCES, errno.EAGAIN, errno.EDEADLK})


class FileLock:
    """A lock that is held until it is let go, once it was taken.

    Args:
        path: File to make for it; it stays.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def take(self) -> bool:
        """Try to take it and return whether it is held now.

        Raises:
            OSError: If the lock's file cannot be made.
        """
        if self._descriptor is None:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                _try_lock(descriptor)
            except OSError as error:
                if error.errno in _HELD:
                    os.close(descriptor)
                    return False
                # Some network file systems have no locks; a run without one is better than none.
            self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Let it go, if it is held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
