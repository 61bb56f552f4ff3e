"""The contract of the segmentation service: jobs and their states, errors as HTTP problems, and protocols.

No server and no queue is in here yet; see the README for what is.
"""

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
from tds_serve.jobs import Job, JobState, Reason, advance, new_job, validate_result_name, with_progress
from tds_serve.problems import ProblemType, problem_type
from tds_serve.protocols import JobQueue, ProgressCallback, ResultStore, StudySegmenter
from tds_serve.requests import JobPage, JobRequest, ResultInfo

__all__ = [
    "IdempotencyConflict",
    "IllegalTransition",
    "InvalidJob",
    "Job",
    "JobCancelled",
    "JobNotFound",
    "JobPage",
    "JobQueue",
    "JobRequest",
    "JobState",
    "ProblemType",
    "ProgressCallback",
    "QueueUnavailable",
    "Reason",
    "ResultInfo",
    "ResultNotFound",
    "ResultStore",
    "SegmentationFailed",
    "ServeError",
    "StudyRefused",
    "StudySegmenter",
    "advance",
    "new_job",
    "problem_type",
    "validate_result_name",
    "with_progress",
]
