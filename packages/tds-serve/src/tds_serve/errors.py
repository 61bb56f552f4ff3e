"""What can go wrong in tds_serve.

::

    ServeError
    ├── JobNotFound (LookupError)             there is no such job
    ├── IllegalTransition (ValueError)        a job cannot go from its state to that one
    ├── InvalidJob (ValueError)               a job or a request contradicts itself
    ├── IdempotencyConflict (ValueError)      a key was used before, for another request
    ├── ResultNotFound (FileNotFoundError)    a job has no such result
    ├── QueueUnavailable (ConnectionError)    the queue's database did not answer
    ├── StudyRefused (ValueError)             a study cannot be read, or the quality gate refuses it
    ├── SegmentationFailed (RuntimeError)     a study was fine and yet no result was made
    └── JobCancelled                          a job was cancelled while it was worked on

Messages say what was wrong, the value seen and what to do. They name jobs by their random ids and never hold a patient
identifier. HTTP statuses are in `tds_serve.problems` and nowhere else. Every error survives pickling, so a worker may
hand it to another process.
"""

from collections.abc import Mapping
from typing import Any


class ServeError(Exception):
    """Root of every error that tds_serve raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how to make this error again without its constructor, whose parameters differ from `args`."""
        return _restore, (type(self), self.args, dict(vars(self)))


class JobNotFound(ServeError, LookupError):
    """There is no such job.

    Attributes:
        job_id: The id that was asked for.
    """

    def __init__(self, job_id: str) -> None:
        super().__init__(f"there is no job {job_id[:64]!a}; it was deleted or never submitted here")
        self.job_id = job_id


class IllegalTransition(ServeError, ValueError):
    """A job cannot go from its state to another.

    Attributes:
        job_id: The job.
        current: The state that it is in.
        wanted: The state that was asked for.
    """

    def __init__(self, job_id: str, *, current: str, wanted: str, allowed: tuple[str, ...]) -> None:
        ways = f"it can become {', '.join(allowed)}" if allowed else "nothing changes it any more; submit a new job"
        super().__init__(f"job {job_id} is {current} and cannot become {wanted}: {ways}")
        self.job_id = job_id
        self.current = current
        self.wanted = wanted


class InvalidJob(ServeError, ValueError):
    """A job, a request or a description of a result contradicts itself."""


class IdempotencyConflict(ServeError, ValueError):
    """An idempotency key was used before, for another request.

    Attributes:
        job_id: The job that was made for the first request.
    """

    def __init__(self, job_id: str) -> None:
        super().__init__(f"this idempotency key belongs to job {job_id}, whose request differs; use a new key")
        self.job_id = job_id


class ResultNotFound(ServeError, FileNotFoundError):
    """A job has no such result.

    Attributes:
        job_id: The job.
        name: The name that was asked for, or `None` when the job has no results at all.
    """

    def __init__(self, job_id: str, *, name: str | None = None) -> None:
        what = "no results" if name is None else f"no result {name[:128]!a}"
        super().__init__(f"job {job_id} has {what}; see the names that the job lists once it is done")
        self.job_id = job_id
        self.name = name


class QueueUnavailable(ServeError, ConnectionError):
    """The database behind the queue did not answer; nothing was changed, and trying again later may help."""


class StudyRefused(ServeError, ValueError):
    """A study cannot be read, or the quality gate refuses it. The same study is refused again.

    Attributes:
        code: Stable identifier in upper case with hyphens, such as `GRID-MISMATCH`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class SegmentationFailed(ServeError, RuntimeError):
    """A study was fine and yet no result was made: a refused model, too little memory, a full disk.

    Attributes:
        code: Stable identifier in upper case with hyphens, such as `OUT-OF-MEMORY`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class JobCancelled(ServeError):
    """A job was cancelled while it was worked on. A progress callback raises it to end the work."""


def _restore(kind: type[ServeError], args: tuple[object, ...], attributes: Mapping[str, object]) -> ServeError:
    error = kind.__new__(kind, *args)
    error.args = args
    vars(error).update(attributes)
    return error
