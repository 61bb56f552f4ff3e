"""Folders that are complete or absent.

Work goes into a hidden sibling, `.NAME.partial-PID-HOST-TOKEN`, which is flushed to disk and renamed at the end. What a
killed run leaves behind is removed by the next run for the same target on the same machine.
"""

import errno
import logging
import os
import platform
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from tds_data.errors import VolumeWriteError

RESULT_MARKER: Final = "result.json"
"""A folder that holds this file is a result of ours and may be overwritten when asked to."""

_MIN_FREE_BYTES: Final = 32 * 1024 * 1024
_DISK_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

logger = logging.getLogger(__name__)


def check_target(target: Path, *, overwrite: bool = False) -> None:
    """Refuse early, before long work, a target that `atomic_folder` could not make.

    Args:
        target: The folder to make; missing parents are fine.
        overwrite: Whether an earlier result in its place may go.

    Raises:
        VolumeWriteError: If the target is a file or holds something, its parent cannot be written to or its disk is
            full.
    """
    target = target.absolute()
    try:
        _check_existing(target, overwrite=overwrite)
        parent = next(p for p in target.parents if p.exists())
        probe = parent / _hidden_name(target, "partial")
        probe.mkdir()
        probe.rmdir()
        free = shutil.disk_usage(parent).free
    except OSError as error:
        raise _write_error(target, error) from error
    if free < _MIN_FREE_BYTES:
        raise VolumeWriteError(target, f"the disk is full ({free >> 20} MiB left); free some space or choose another")


@contextmanager
def atomic_folder(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give an empty folder to fill, which becomes the target when the block ends well and vanishes otherwise.

    Args:
        target: The folder to make; missing parents are made, an empty folder is replaced.
        overwrite: Whether an earlier result (a folder with `result.json`) in its place is replaced.

    Yields:
        The folder to write into; its name is not the target's.

    Raises:
        VolumeWriteError: As `check_target`, and if the disk fills up or the folder cannot be put in place.

    Examples:
        >>> import tempfile
        >>> out = Path(tempfile.mkdtemp()) / "out"
        >>> with atomic_folder(out) as folder:
        ...     _ = (folder / "result.json").write_text("{}")
        >>> [p.name for p in out.iterdir()]
        ['result.json']
    """
    target = target.absolute()
    check_target(target, overwrite=overwrite)
    partial = target.parent / _hidden_name(target, "partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _clear_leftovers(target)
        partial.mkdir()
    except OSError as error:
        raise _write_error(target, error) from error
    try:
        yield partial
        _publish(partial, target, overwrite=overwrite)
    except VolumeWriteError:
        raise
    except OSError as error:
        if error.errno in _DISK_FULL:
            raise _write_error(target, error) from error
        raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _publish(partial: Path, target: Path, *, overwrite: bool) -> None:
    try:
        _flush(partial)
        _check_existing(target, overwrite=overwrite)
        if target.exists() and any(target.iterdir()):
            _swap(partial, target)
        else:
            with suppress(FileNotFoundError):
                target.rmdir()
            partial.rename(target)
        _flush_folder(target.parent)
    except VolumeWriteError:
        raise
    except OSError as error:
        raise _write_error(target, error) from error


def _swap(partial: Path, target: Path) -> None:
    replaced = target.parent / _hidden_name(target, "replaced")
    target.rename(replaced)
    try:
        partial.rename(target)
    except BaseException:
        replaced.rename(target)
        raise
    shutil.rmtree(replaced, ignore_errors=True)


def _check_existing(target: Path, *, overwrite: bool) -> None:
    if not target.exists() and not target.is_symlink():
        return
    if not target.is_dir() or target.is_symlink():
        raise VolumeWriteError(target, "there is a file or a link of that name; choose another output folder")
    if not any(target.iterdir()):
        return
    if not (target / RESULT_MARKER).is_file():
        raise VolumeWriteError(target, "the folder holds other things; choose a new or an empty output folder")
    if not overwrite:
        raise VolumeWriteError(target, "it already holds a result; choose another output folder or ask to overwrite it")


def _clear_leftovers(target: Path) -> None:
    for kind in ("partial", "replaced"):
        prefix = f".{target.name}.{kind}-"
        for folder in [p for p in target.parent.iterdir() if p.name.startswith(prefix)]:
            pid, _, rest = folder.name.removeprefix(prefix).partition("-")
            if not pid.isdecimal() or not rest.startswith(f"{_host()}-") or _is_running(int(pid)):
                continue
            if kind == "replaced" and not target.exists():
                logger.warning("earlier_result_restored target=%s", target.name)
                folder.rename(target)
            else:
                logger.info("leftover_removed folder=%s", folder.name)
                shutil.rmtree(folder, ignore_errors=True)


def _is_running(pid: int) -> bool:
    if os.name != "posix":  # elsewhere signal 0 is not a question, so nothing is taken for dead
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _hidden_name(target: Path, kind: str) -> str:
    return f".{target.name}.{kind}-{os.getpid()}-{_host()}-{uuid4().hex[:8]}"


def _host() -> str:
    return f"{zlib.crc32(platform.node().encode()):08x}"


def _flush(folder: Path) -> None:
    for root, _, files in os.walk(folder):
        for name in files:
            with (Path(root) / name).open("rb") as file:
                os.fsync(file.fileno())
        _flush_folder(Path(root))


def _flush_folder(folder: Path) -> None:
    with suppress(OSError):  # some systems cannot flush a folder; its files are safe by now
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _write_error(target: Path, error: OSError) -> VolumeWriteError:
    if isinstance(error, VolumeWriteError):
        return error
    if error.errno in _DISK_FULL:
        return VolumeWriteError(target, "the disk is full; free some space or choose another output folder")
    reason = error.strerror or str(error)
    return VolumeWriteError(target, f"{reason}; choose an output folder that you may write to")
