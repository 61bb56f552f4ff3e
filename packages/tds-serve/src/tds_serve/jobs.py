"""Jobs as values, and the only ways in which they change.

::

    queued ──> running ──> done
      │ ^        │ │
      │ └────────┘ │        a worker was lost: the job waits again
      ├────────────┼──> failed ────> queued     asked to retry
      └────────────┴──> cancelled ──> queued    asked to retry

A queue stores jobs and calls the functions of this module; it never sets a state by itself. The functions are pure:
the time is an argument, and a job is never changed in place.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from uuid import UUID

from tds_serve.errors import IllegalTransition, InvalidJob


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


TRANSITIONS: Final[Mapping[JobState, frozenset[JobState]]] = MappingProxyType(
    {
        JobState.QUEUED: frozenset({JobState.RUNNING, JobState.FAILED, JobState.CANCELLED}),
        JobState.RUNNING: frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED, JobState.QUEUED}),
        JobState.DONE: frozenset(),
        JobState.FAILED: frozenset({JobState.QUEUED}),
        JobState.CANCELLED: frozenset({JobState.QUEUED}),
    }
)
"""The states that may follow each state."""

FINISHED: Final = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED})
"""The states in which no worker has the job and none will take it unasked."""

_CODE: Final = re.compile(r"[A-Z][A-Z0-9]*(-[A-Z0-9]+)*")
_RESULT_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,126}[A-Za-z0-9]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a job failed, was cancelled or waits again.

    Attributes:
        code: Stable identifier in upper case with hyphens, such as `OUT-OF-MEMORY`.
        message: What was wrong and what to do, without patient identifiers; never empty.

    Raises:
        InvalidJob: If the code has another form or the message is empty.
    """

    code: str
    message: str

    def __post_init__(self) -> None:
        if not _CODE.fullmatch(self.code) or not self.message.strip():
            message = f"a reason has a code such as OUT-OF-MEMORY and a message; this one has the code {self.code!a}"
            raise InvalidJob(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One request to segment a study, and what became of it.

    Attributes:
        id: Random UUID in its canonical form; says nothing about the patient.
        state: Where it stands.
        created_at: When it was submitted, with a time zone.
        updated_at: When it last changed, with a time zone; not before `created_at`.
        progress: Share of the work done, 0 to 1; 0 while queued, 1 exactly when done.
        attempts: How often a worker has taken it.
        reason: Always there when failed, perhaps when cancelled or queued again, never when running or done.
        results: Names of the result's files; there exactly when done.

    Raises:
        InvalidJob: If any of this does not hold.
    """

    id: str
    state: JobState
    created_at: datetime
    updated_at: datetime
    progress: float = 0.0
    attempts: int = 0
    reason: Reason | None = None
    results: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_id(self.id)
        _check_times(self)
        _check_work(self)
        _check_outcome(self)

    @property
    def finished(self) -> bool:
        """Whether no worker has the job and none will take it unasked."""
        return self.state in FINISHED


def new_job(job_id: str, *, at: datetime) -> Job:
    """Return a job that waits for its first worker.

    Args:
        job_id: Random UUID in its canonical form.
        at: The time, with a time zone.

    Raises:
        InvalidJob: If the id is no UUID or the time has no zone.
    """
    return Job(id=job_id, state=JobState.QUEUED, created_at=at, updated_at=at)


def advance(
    job: Job, state: JobState, *, at: datetime, reason: Reason | None = None, results: tuple[str, ...] = ()
) -> Job:
    """Return the job in its next state.

    A job that starts counts one more attempt and begins at progress 0; one that is done has progress 1; one that fails
    or is cancelled keeps the progress that it had; one that waits again loses it. The job's time never goes back: if
    `at` is earlier than its last change, because two machines' clocks differ, that change's time stays.

    Args:
        job: The job as it is.
        state: The state to go to.
        at: The time, with a time zone.
        reason: Needed to fail; allowed to cancel and to queue again.
        results: File names; needed to be done, and allowed only then.

    Raises:
        IllegalTransition: If `TRANSITIONS` does not lead from the job's state to this one.
        InvalidJob: If reason or results do not fit the new state, or the time has no zone.

    Examples:
        >>> from datetime import UTC, datetime
        >>> noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
        >>> job = new_job("2f9d7c1e-5b0a-4a53-8f6e-0d6a1c2b3e4f", at=noon)
        >>> advance(job, JobState.RUNNING, at=noon).attempts
        1
    """
    if state not in TRANSITIONS[job.state]:
        allowed = tuple(sorted(TRANSITIONS[job.state]))
        raise IllegalTransition(job.id, current=job.state, wanted=state, allowed=allowed)
    return replace(
        job,
        state=state,
        updated_at=_later(job.updated_at, at),
        progress=_progress_in(state, job.progress),
        attempts=job.attempts + (state is JobState.RUNNING),
        reason=reason,
        results=results,
    )


def with_progress(job: Job, progress: float, *, at: datetime) -> Job:
    """Return a running job further on.

    Args:
        job: The job as it is.
        progress: Share of the work done, 0 to less than 1; not less than before.
        at: The time, with a time zone; treated as by `advance`.

    Raises:
        InvalidJob: If the job is not running, the progress goes back or is out of range, or the time has no zone.
    """
    if job.state is not JobState.RUNNING or not progress >= job.progress:
        message = (
            f"only a running job makes progress, and only forward; "
            f"job {job.id} is {job.state} at {job.progress:g}, and {progress:g} was reported"
        )
        raise InvalidJob(message)
    return replace(job, progress=progress, updated_at=_later(job.updated_at, at))


def validate_result_name(name: str) -> str:
    """Return the name unchanged if it can name a file of a result.

    Args:
        name: 2 to 128 letters, digits, dots, hyphens and underscores, beginning and ending with a letter or digit; so
            it has no folder in it and is the same in a URL, on a disk and in an object store.

    Raises:
        InvalidJob: If it has another form.
    """
    if not _RESULT_NAME.fullmatch(name):
        message = f"{name[:128]!a} cannot name a result; use letters, digits, dots, hyphens and underscores"
        raise InvalidJob(message)
    return name


def _progress_in(state: JobState, before: float) -> float:
    if state is JobState.DONE:
        return 1.0
    return 0.0 if state in {JobState.QUEUED, JobState.RUNNING} else before


def _later(before: datetime, at: datetime) -> datetime:
    _check_zone(at)
    return max(before, at)


def _check_zone(at: datetime) -> None:
    if at.utcoffset() is None:
        raise InvalidJob("the times of a job need a time zone; pass aware datetimes")


def _check_id(job_id: str) -> None:
    try:
        canonical = str(UUID(job_id))
    except ValueError as error:
        raise InvalidJob("the id of a job is a UUID; this one is none") from error
    if canonical != job_id:
        message = f"the id of a job is a UUID in its canonical form; write it as {canonical}"
        raise InvalidJob(message)


def _check_times(job: Job) -> None:
    _check_zone(job.created_at)
    _check_zone(job.updated_at)
    if job.updated_at < job.created_at:
        message = f"job {job.id} was changed at {job.updated_at}, before it was submitted at {job.created_at}"
        raise InvalidJob(message)


def _check_work(job: Job) -> None:
    started = job.attempts > 0 or job.state not in {JobState.RUNNING, JobState.DONE}
    if job.attempts < 0 or not started:
        message = f"job {job.id} is {job.state} after {job.attempts} attempts"
        raise InvalidJob(message)
    in_range = 0.0 <= job.progress <= 1.0
    if not in_range or (job.progress == 1.0) is not (job.state is JobState.DONE):
        message = f"job {job.id} is {job.state} at progress {job.progress:g}; it is 1 when done and from 0 to 1 before"
        raise InvalidJob(message)
    if job.state is JobState.QUEUED and job.progress != 0.0:
        message = f"job {job.id} is queued at progress {job.progress:g}; a job that waits has made none"
        raise InvalidJob(message)


def _check_outcome(job: Job) -> None:
    if job.state is JobState.FAILED and job.reason is None:
        message = f"job {job.id} is failed without a reason; say why"
        raise InvalidJob(message)
    if job.state in {JobState.RUNNING, JobState.DONE} and job.reason is not None:
        message = f"job {job.id} is {job.state} with a reason; only a job that stopped or waits again has one"
        raise InvalidJob(message)
    if bool(job.results) is not (job.state is JobState.DONE) or len(set(job.results)) < len(job.results):
        message = f"job {job.id} is {job.state} with {len(job.results)} results; a done job names each of them once"
        raise InvalidJob(message)
    for name in job.results:
        validate_result_name(name)
