"""One process delivers a run's journal at a time; the system lets go of the lock when that process ends."""

import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tds_core.training.tracking.journal import TRACKING_FOLDER

if sys.platform == "win32":  # pragma: no cover  # the tests run on POSIX
    import msvcrt

    def _try_lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _try_lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


_LOCK_NAME: Final = "delivery.lock"


class DeliveryLock:
    """A lock that is held until the end of the block, once it was taken.

    Args:
        folder: The run folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / TRACKING_FOLDER / _LOCK_NAME
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def take(self) -> bool:
        """Try to take it and return whether it is held now.

        Raises:
            OSError: If the lock's file cannot be made.
        """
        if self._descriptor is None:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                _try_lock(descriptor)
            except OSError:
                os.close(descriptor)
                return False
            self._descriptor = descriptor
        return True
