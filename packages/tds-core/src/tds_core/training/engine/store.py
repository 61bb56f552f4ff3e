"""Checkpoints: each is there whole or not at all, and a torn one is never taken for whole.

A checkpoint is written beside its place, flushed and renamed. Its name carries the SHA-256 of its content, so that a
file that lost its end, or a block in the middle, is known before anything of it is believed. Nothing in it is run.
"""

import errno
import hashlib
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Final

import torch

from tds_core.errors import CheckpointDamaged, TrainingError

if sys.platform != "win32":
    import fcntl

log = logging.getLogger(__name__)

_NAME: Final = re.compile(r"checkpoint-(\d{8,})-([0-9a-f]{16})\.pt")
_DIGITS: Final = 16
_LOCKED: Final = frozenset({errno.EACCES, errno.EAGAIN})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """A checkpoint that was read and is whole.

    Attributes:
        step: Optimiser steps behind it.
        path: Where it lies.
        state: What was saved.
        passed_over: Names of newer checkpoints that are damaged.
    """

    step: int
    path: Path
    state: dict[str, Any]
    passed_over: tuple[str, ...] = ()


class CheckpointStore:
    """The checkpoints of a run.

    Args:
        folder: Made when the first is saved.
        keep: How many of the newest are kept besides the best.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self._folder, self._keep = folder, keep

    @property
    def steps(self) -> tuple[int, ...]:
        """Steps with a checkpoint, in rising order; whether they are whole shows when they are read."""
        return tuple(sorted({step for step, _ in self._found()}))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from training in the same folder, and clear what a killed one left half written.

        The lock ends with the process, however it ends.

        Raises:
            TrainingError: If another process holds it.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / ".lock").open("ab") as file:
            if sys.platform != "win32":
                self._take(file.fileno())
            for partial in self._folder.glob(".checkpoint-*.partial"):
                log.info("partial_checkpoint_removed name=%s", partial.name)
                partial.unlink(missing_ok=True)
            yield

    def save(self, state: Mapping[str, Any], *, step: int, best_step: int | None = None) -> Path:
        """Write a checkpoint, then remove those that are no longer needed, and return where it lies.

        Args:
            state: Tensors and plain values only.
            step: Optimiser steps done. Checkpoints of later steps are of a past that was left, and go.
            best_step: The checkpoint of that step is kept.

        Raises:
            OSError: If it cannot be written; the checkpoints that are there stay.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = self._folder / f".checkpoint-{step:08d}.partial"
        try:
            with partial.open("w+b") as file:
                _write(dict(state), file)
                file.flush()
                file.seek(0)
                digest = hashlib.file_digest(file, "sha256").hexdigest()[:_DIGITS]
                os.fsync(file.fileno())
            target = partial.replace(self._folder / f"checkpoint-{step:08d}-{digest}.pt")
        except BaseException:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise
        _flush_folder(self._folder)
        self._prune(target, step, best_step)
        return target

    def latest(self) -> Checkpoint | None:
        """Return the newest checkpoint that is whole, `None` if there are none at all.

        Raises:
            CheckpointDamaged: If there are some and none is whole.
        """
        damaged: list[str] = []
        for step, path in sorted(self._found(), reverse=True):
            try:
                state = read_checkpoint(path)
            except CheckpointDamaged as error:
                log.warning("checkpoint_damaged name=%s reason=%s", path.name, error)
                damaged.append(path.name)
                continue
            return Checkpoint(step=step, path=path, state=state, passed_over=tuple(damaged))
        if damaged:
            message = (
                f"all {len(damaged)} checkpoints of this run are damaged ({', '.join(damaged)}); bring them back from "
                "a copy, or remove the folder 'checkpoints' to start afresh"
            )
            raise CheckpointDamaged(message)
        return None

    def load(self, step: int) -> Checkpoint:
        """Return the checkpoint of a step.

        Args:
            step: One of `steps`.

        Raises:
            TrainingError: If there is none.
            CheckpointDamaged: If it is torn or altered.
        """
        paths = [path for found, path in self._found() if found == step]
        if not paths:
            message = f"there is no checkpoint of step {step}; there are {', '.join(map(str, self.steps)) or 'none'}"
            raise TrainingError(message)
        return Checkpoint(step=step, path=paths[0], state=read_checkpoint(paths[0]))

    def _found(self) -> list[tuple[int, Path]]:
        if not self._folder.is_dir():
            return []
        named = [(_NAME.fullmatch(path.name), path) for path in self._folder.iterdir()]
        return [(int(match[1]), path) for match, path in named if match]

    def _prune(self, newest: Path, step: int, best_step: int | None) -> None:
        found = self._found()
        earlier = sorted({s for s, _ in found if s < step}, reverse=True)
        kept = {*earlier[: self._keep - 1], best_step}
        for found_step, path in found:
            if path != newest and (found_step >= step or found_step not in kept):
                with suppress(OSError):  # a file too many harms nobody
                    path.unlink()

    def _take(self, descriptor: int) -> None:
        try:
            # Of the kind that forked workers do not inherit: they outlive a killed trainer for a moment.
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _LOCKED:
                message = (
                    f"another process trains in {self._folder.parent.name!r}; wait for it or end it, "
                    "or choose another run folder"
                )
                raise TrainingError(message) from error
            log.warning("run_folder_not_locked reason=%s", error.strerror)  # some network file systems cannot


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return what a checkpoint holds, on the CPU, without running any code in it.

    Args:
        path: A file that a `CheckpointStore` wrote, under its own name.

    Raises:
        CheckpointDamaged: If its content is not what its name says, or it is no checkpoint.
    """
    match = _NAME.fullmatch(path.name)
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:_DIGITS]
            if match is None or match[2] != digest:
                message = (
                    f"checkpoint {path.name!r} is torn or altered: its content has the hash {digest}, "
                    "its name says another; take an earlier one"
                )
                raise CheckpointDamaged(message)
            file.seek(0)
            state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, LookupError, EOFError, UnpicklingError) as error:
        if isinstance(error, CheckpointDamaged):
            raise
        message = f"checkpoint {path.name!r} cannot be read ({type(error).__name__}); take an earlier one"
        raise CheckpointDamaged(message) from error
    return state


def _write(state: dict[str, Any], file: Any) -> None:  # noqa: ANN401  # a binary file, which torch types otherwise
    try:
        torch.save(state, file)
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):  # torch loses the reason on its way out
            raise error.__context__ from error
        raise


def _flush_folder(folder: Path) -> None:
    with suppress(OSError):  # some systems cannot flush a folder; the file itself is safe by now
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
