"""The one place where errors become exit codes."""

import signal
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from typer import Abort, TyperException

from tds_cli.errors import CliError, OutputLost, ReferenceMissing, Stopped, TrainingStopped, UsageFault
from tds_cli.logs import redact_text
from tds_clinical.errors import (
    AmbiguousSeries,
    ClinicalDependency,
    ClinicalError,
    DicomWriteError,
    GeometryNotSupported,
    IncompleteSeries,
    PushFailed,
    ReportError,
    SeriesNotFound,
)
from tds_core.errors import (
    ConfigError,
    CoreError,
    DeviceUnavailable,
    EvaluationError,
    ModelError,
    OutOfMemory,
    TrainingError,
    TrainingOutOfMemory,
)
from tds_core.errors import MissingDependency as CoreMissingDependency
from tds_data.errors import (
    DataError,
    DownloadFailed,
    GridMismatch,
    LicenceNotAccepted,
    MissingDependency,
    RefusedStudy,
    TaskError,
    UnknownScheme,
    VolumeWriteError,
    WeightsRefused,
)

SIGNAL_BASE: Final = 128
"""A process that a signal stopped exits with this plus the signal's number, as shells have it."""

_INTERRUPT: Final = 2

_OURS: Final = (CliError, ClinicalError, CoreError, DataError, TyperException)
"""Errors whose words are chosen here or typed by the user; those of others may hold anything, and are redacted."""


class ExitCode(IntEnum):
    """What the process says to its caller at the end."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    STUDY_REFUSED = 3
    MODEL_REFUSED = 4
    OUT_OF_MEMORY = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """How an error is told.

    Attributes:
        exit_code: The process's exit code.
        code: Stable identifier of the kind of failure, for programs.
        message: What was wrong.
        hint: What to do now.
    """

    exit_code: int
    code: str
    message: str
    hint: str


_STUDY_HINT: Final = "nothing was written; correct the study as described and run the command again"
_WRITE_HINT: Final = "nothing half-written is left; run the command again with a folder that can take the result"
_DOWNLOAD_HINT: Final = "no data set is there yet; do what the message says and run the command again"
_PUSH_HINT: Final = "do what the message says and run the command again; what the server has is not made twice"
_LICENCE_HINT: Final = "read the licence, and add --accept-licence if you accept it"

_RAW_HINT: Final = (
    "nothing was written; if the study is raw, tds segment --prepare or tds data prepare registers its sequences and "
    "strips the skull"
)
_SERIES_HINT: Final = (
    "nothing was written; tds dicom inspect STUDY shows the series, and --series MODALITY=NUMBER chooses among them"
)
_SLICES_HINT: Final = "nothing was written; export the whole series again, or let --resample bring its slices to a box"
_EXTRA_HINT: Final = (
    "pip install 'tds-cli[{extra}]', or in a checkout uv sync --package tds-cli --extra {extra}, brings everything "
    "that {what} need"
)
_RESUME_HINT: Final = "run the same command with --resume to go on from there"
_TRAINING_HINT: Final = (
    "what was trained is kept in the run's folder; do what the message says, then go on with --resume if it can go on"
)
_TRAINING_MEMORY_HINT: Final = (
    "what was trained is kept; go on with --resume where there is more memory, or begin another run with a smaller "
    "sampling.patch or network"
)
_SKULL_PRESENT: Final = "SKULL-PRESENT"
_RAW_EXTRAS: Final = frozenset({"register", "strip"})
_TRAIN_EXTRA: Final = "train"
_FOLLOW_UP_EXTRA: Final = "followup"

_REPORT_HINT: Final = (
    "nothing is written; mend the template, the font or the text that the message names and run it again"
)
_OUTPUT_HINT: Final = "files that the command made are complete; send stdout where it can be read or stored"

# The first row that an error is an instance of decides, so leaves stand before their roots.
_ROWS: Final[tuple[tuple[tuple[type[BaseException], ...], ExitCode, str, str], ...]] = (
    ((ModelError,), ExitCode.MODEL_REFUSED, "model-refused", "no mask is made with a model that cannot be trusted"),
    ((TrainingOutOfMemory,), ExitCode.OUT_OF_MEMORY, "out-of-memory", _TRAINING_MEMORY_HINT),
    (
        (OutOfMemory, MemoryError),
        ExitCode.OUT_OF_MEMORY,
        "out-of-memory",
        "close other programs, raise --max-ram or use a machine with more memory",
    ),
    ((WeightsRefused,), ExitCode.MODEL_REFUSED, "model-refused", "nothing is done with weights that cannot be trusted"),
    ((DownloadFailed,), ExitCode.FAILED, "download-failed", _DOWNLOAD_HINT),
    ((PushFailed,), ExitCode.FAILED, "push-failed", _PUSH_HINT),
    ((LicenceNotAccepted,), ExitCode.USAGE, "licence-not-accepted", _LICENCE_HINT),
    ((VolumeWriteError, DicomWriteError), ExitCode.FAILED, "write-failed", _WRITE_HINT),
    ((ReportError,), ExitCode.FAILED, "report-failed", _REPORT_HINT),
    (
        (TyperException, UsageFault, ConfigError, DeviceUnavailable, SeriesNotFound, TaskError, UnknownScheme),
        ExitCode.USAGE,
        "usage",
        "add --help to the command to see its options",
    ),
    (
        (MissingDependency, CoreMissingDependency, ClinicalDependency),
        ExitCode.FAILED,
        "missing-dependency",
        "install it and try again",
    ),
    (
        (DataError, ClinicalError, EvaluationError, ReferenceMissing),
        ExitCode.STUDY_REFUSED,
        "study-refused",
        _STUDY_HINT,
    ),
    ((TrainingError,), ExitCode.FAILED, "training-failed", _TRAINING_HINT),
    # Typer ends the process by itself when the reader of its own pages has gone away, and for nothing else.
    ((OutputLost, SystemExit), ExitCode.FAILED, "output-lost", _OUTPUT_HINT),
    ((CoreError, CliError), ExitCode.FAILED, "failed", "run the command again with --verbose to see more"),
    ((OSError,), ExitCode.FAILED, "system", "check that the files and folders are there and yours to use"),
)


def describe(error: BaseException) -> Failure:
    """Return how to tell an error.

    Args:
        error: Anything that ended a command.
    """
    if isinstance(error, Stopped | KeyboardInterrupt | Abort):
        number = error.signal_number if isinstance(error, Stopped) else _INTERRUPT
        message = "stopped before the end; no result was left half-written"
        return Failure(
            exit_code=SIGNAL_BASE + number, code="interrupted", message=message, hint="run the command again"
        )
    if isinstance(error, TrainingStopped):
        return Failure(
            exit_code=_signal_code(error.signal_name), code="training-stopped", message=str(error), hint=_RESUME_HINT
        )
    for kinds, exit_code, code, hint in _ROWS:
        if isinstance(error, kinds):
            way_out = _special_way_out(error) or hint
            return Failure(exit_code=exit_code, code=code, message=_message(error), hint=way_out)
    message = f"unexpected {type(error).__name__}: {_message(error)}"
    hint = "this is a fault of the program; run it again with --verbose and report what it says"
    return Failure(exit_code=ExitCode.FAILED, code="unexpected", message=message, hint=hint)


def _signal_code(name: str) -> int:
    """Return the exit code of a run that was asked to stop: that of the signal which asked, if one did."""
    known = {member.name: int(member) for member in signal.Signals}
    return SIGNAL_BASE + known[name] if name in known else int(ExitCode.FAILED)


def _special_way_out(error: BaseException) -> str | None:
    """Return what to do where an option of ours is the way out, or an extra."""
    is_raw = isinstance(error, RefusedStudy) and any(flag.code == _SKULL_PRESENT for flag in error.flags)
    if is_raw or isinstance(error, GridMismatch):
        return _RAW_HINT
    if isinstance(error, CoreMissingDependency):
        return _EXTRA_HINT.format(extra=_TRAIN_EXTRA, what="training and exports")
    if isinstance(error, MissingDependency) and error.extra in _RAW_EXTRAS:
        return _EXTRA_HINT.format(extra="raw", what="raw studies")
    if isinstance(error, ClinicalDependency) and error.extra == _FOLLOW_UP_EXTRA:
        return _EXTRA_HINT.format(extra=_FOLLOW_UP_EXTRA, what="comparisons over time")
    if isinstance(error, AmbiguousSeries):
        return _SERIES_HINT
    return _SLICES_HINT if isinstance(error, IncompleteSeries | GeometryNotSupported) else None


def _message(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return "stdout cannot be written (its reader has gone away)"
    text = error.format_message() if isinstance(error, TyperException) else str(error)
    return (text if isinstance(error, _OURS) else redact_text(text)) or type(error).__name__
