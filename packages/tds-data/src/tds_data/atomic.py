"""Folders that are complete or absent.

Work goes into a hidden sibling, `.NAME.partial-PID-HOST-TOKEN`, which is flushed to disk and renamed at the end. What a
killed run leaves behind is removed by the next run for the same target on the same machine. Only an earlier result of
ours is ever replaced: a folder with one more file in it, whoever's that is, stays.
"""

import errno
import json
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from tds_data._leftovers import flush_folder, host_tag, is_running
from tds_data.errors import VolumeWriteError
from tds_data.report import LesionReport

RESULT_MARKER: Final = "result.json"
"""The report in a result folder; without a readable one a folder is never replaced."""

_RESULT_FILES: Final = frozenset(
    {RESULT_MARKER, "mask.nii.gz", "overlay.png", "report.html", "report.pdf", "fhir.json"}
    | {"seg.dcm", "rtstruct.dcm", "sr.dcm", "report.dcm"}
)
_KEY_IMAGES: Final = "key-image-*.dcm"
_PHANTOM_FOLDER: Final = "phantom"
_PHANTOM_FILES: Final = "phantom-*.nii.gz"

_MIN_FREE_BYTES: Final = 32 * 1024 * 1024
_DISK_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

logger = logging.getLogger(__name__)


def check_target(target: Path, *, overwrite: bool = False, protected: Sequence[Path] = ()) -> None:
    """Refuse early, before long work, a target that `atomic_folder` could not make.

    What a killed run left beside the target is cleared first; a result that it was replacing comes back.

    Args:
        target: The folder to make; missing parents are fine.
        overwrite: Whether an earlier result in its place may go.
        protected: Files and folders, such as the inputs, that may not be the target or lie in it.

    Raises:
        VolumeWriteError: If the target is a file or holds something, something protected is in it, its parent cannot
            be written to or its disk is full.
    """
    target = target.absolute()
    try:
        _check_protected(target, protected)
        _clear_leftovers(target)
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
def atomic_folder(target: Path, *, overwrite: bool = False, protected: Sequence[Path] = ()) -> Iterator[Path]:
    """Give an empty folder to fill, which becomes the target when the block ends well and vanishes otherwise.

    Args:
        target: The folder to make; missing parents are made, an empty folder is replaced.
        overwrite: Whether an earlier result in its place is replaced: a folder with a `result.json` that is a lesion
            report, and nothing but files that results have.
        protected: As for `check_target`.

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
    check_target(target, overwrite=overwrite, protected=protected)
    partial = target.parent / _hidden_name(target, "partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
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
        flush_folder(target.parent)
    except VolumeWriteError:
        raise
    except OSError as error:
        raise _write_error(target, error) from error


def _swap(partial: Path, target: Path) -> None:
    replaced = target.parent / _hidden_name(target, "replaced")
    try:
        target.rename(replaced)
        partial.rename(target)
    except BaseException:  # a signal may come right after either of them
        if replaced.exists() and not target.exists():
            replaced.rename(target)
        elif not partial.exists():
            shutil.rmtree(replaced, ignore_errors=True)
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
    foreign = _foreign_entry(target)
    if foreign is not None:
        reason = (
            f"it holds {str(foreign)!r}, which is no part of a result; choose another output folder or move it away"
        )
        raise VolumeWriteError(target, reason)
    if not _is_report(target / RESULT_MARKER):
        raise VolumeWriteError(target, f"its {RESULT_MARKER!r} is no lesion report; choose another output folder")


def _foreign_entry(target: Path) -> Path | None:
    for entry in sorted(target.iterdir()):
        if entry.name == _PHANTOM_FOLDER and entry.is_dir() and not entry.is_symlink():
            strange = [p for p in sorted(entry.iterdir()) if not (p.match(_PHANTOM_FILES) and _is_plain_file(p))]
            if strange:
                return strange[0].relative_to(target)
        elif not ((entry.name in _RESULT_FILES or entry.match(_KEY_IMAGES)) and _is_plain_file(entry)):
            return entry.relative_to(target)
    return None


def _is_plain_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _is_report(path: Path) -> bool:
    try:
        LesionReport.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, RecursionError):
        return False
    return True


def _check_protected(target: Path, protected: Sequence[Path]) -> None:
    for path in protected:
        if path.absolute().is_relative_to(target) or path.resolve().is_relative_to(target.resolve()):
            raise VolumeWriteError(target, f"{path.name!r}, an input, is in that folder; choose another output folder")


def _clear_leftovers(target: Path) -> None:
    if not target.parent.is_dir():
        return
    for kind in ("partial", "replaced"):
        prefix = f".{target.name}.{kind}-"
        for folder in [p for p in target.parent.iterdir() if p.name.startswith(prefix)]:
            pid, _, rest = folder.name.removeprefix(prefix).partition("-")
            if not pid.isdecimal() or not rest.startswith(f"{host_tag()}-") or is_running(int(pid)):
                continue
            if kind == "replaced" and not target.exists():
                logger.warning("earlier_result_restored target=%s", target.name)
                folder.rename(target)
            else:
                logger.info("leftover_removed folder=%s", folder.name)
                shutil.rmtree(folder, ignore_errors=True)


def _hidden_name(target: Path, kind: str) -> str:
    return f".{target.name}.{kind}-{os.getpid()}-{host_tag()}-{uuid4().hex[:8]}"


def _flush(folder: Path) -> None:
    for root, _, files in os.walk(folder):
        for name in files:
            with (Path(root) / name).open("rb") as file:
                os.fsync(file.fileno())
        flush_folder(Path(root))


def _write_error(target: Path, error: OSError) -> VolumeWriteError:
    if isinstance(error, VolumeWriteError):
        return error
    if error.errno in _DISK_FULL:
        return VolumeWriteError(target, "the disk is full; free some space or choose another output folder")
    reason = error.strerror or str(error)
    return VolumeWriteError(target, f"{reason}; choose an output folder that you may write to")
