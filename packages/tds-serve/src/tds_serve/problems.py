"""Which HTTP problem each error is: the one place where this package names statuses (RFC 9457).

A problem type is a relative reference with its full path, as section 3.1.1 of the RFC advises where a service has no
address of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from tds_serve.errors import (
    IdempotencyConflict,
    IllegalTransition,
    InvalidJob,
    JobCancelled,
    JobNotFound,
    QueueUnavailable,
    ResultNotFound,
    SegmentationFailed,
    ServeError,
    StudyRefused,
)

MEDIA_TYPE: Final = "application/problem+json"
"""Media type of a problem document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemType:
    """What an HTTP client is told about a kind of error.

    Attributes:
        type: URI reference that identifies the kind, for programs.
        title: Short sentence that is the same for every occurrence, for people.
        status: HTTP status, 400 to 599.
    """

    type: str
    title: str
    status: int


def _problem(name: str, title: str, status: int) -> ProblemType:
    return ProblemType(type=f"/problems/{name}", title=title, status=status)


PROBLEM_TYPES: Final[Mapping[type[ServeError], ProblemType]] = MappingProxyType(
    {
        ServeError: _problem("internal", "The service failed.", 500),
        JobNotFound: _problem("job-not-found", "There is no such job.", 404),
        IllegalTransition: _problem("illegal-transition", "The job's state does not allow this.", 409),
        InvalidJob: _problem("invalid-job", "The request for a job is not valid.", 422),
        IdempotencyConflict: _problem("idempotency-conflict", "The idempotency key belongs to another request.", 422),
        ResultNotFound: _problem("result-not-found", "The job has no such result.", 404),
        QueueUnavailable: _problem("queue-unavailable", "Jobs cannot be reached at present.", 503),
        StudyRefused: _problem("study-refused", "The study cannot be segmented.", 422),
        SegmentationFailed: _problem("segmentation-failed", "The segmentation failed.", 500),
        JobCancelled: _problem("job-cancelled", "The job was cancelled.", 409),
    }
)
"""The problem type of each error of `tds_serve.errors`."""


def problem_type(error: ServeError) -> ProblemType:
    """Return the problem type of an error: its own, or that of its nearest ancestor which has one.

    Args:
        error: The error to tell a client about.

    Examples:
        >>> from tds_serve import JobNotFound
        >>> problem_type(JobNotFound("7b0c")).status
        404
    """
    return next(PROBLEM_TYPES[kind] for kind in type(error).__mro__ if kind in PROBLEM_TYPES)
