"""Where the service meets the rest: who segments, who keeps jobs, who keeps results.

The app composes implementations of these protocols; nothing in this package knows which they are.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from tds_data.report import LesionReport
from tds_serve.jobs import Job, JobState
from tds_serve.requests import JobPage, JobRequest, ResultInfo

DEFAULT_PAGE_JOBS: Final = 100
"""Most jobs of one page unless asked otherwise."""

DEFAULT_CHUNK_BYTES: Final = 1 << 20
"""Largest piece of a result that is yielded unless asked otherwise."""


class ProgressCallback(Protocol):
    """Hears how far a segmentation has come, and may end it."""

    def __call__(self, fraction: float, stage: str) -> None:
        """Take note of progress.

        Args:
            fraction: Share of the work done, from 0 to 1, never less than in the call before.
            stage: Name of the stage that begins or goes on, such as `infer`.

        Raises:
            JobCancelled: To end the work; it passes through the segmenter unchanged.
        """
        ...


class StudySegmenter(Protocol):
    """Turns a study folder into a result folder. Knows nothing of jobs, users or HTTP."""

    def segment(self, study: Path, result: Path, *, progress: ProgressCallback) -> LesionReport:
        """Segment a study, write its result folder and return what was found.

        The result folder is complete or absent, also when the work is cancelled, fails or is killed. The study folder
        is only read.

        Args:
            study: Folder with one study, as uploaded and unpacked.
            result: Folder to make; it does not exist yet, its parent does.
            progress: Called at the beginning of each stage, and within long ones at least every few seconds.

        Raises:
            StudyRefused: If the study cannot be read or the quality gate refuses it; trying again is of no use.
            SegmentationFailed: If the study was fine and yet no result was made; trying again may help.
            JobCancelled: If the callback raised it.
        """
        ...


class JobQueue(Protocol):
    """Keeps jobs and has them worked on. Every job that was accepted ends done, failed or cancelled, exactly once.

    Jobs change only as `tds_serve.jobs` allows. What a method returns is stored durably before it returns. Every
    method may raise `QueueUnavailable`; then nothing was changed.
    """

    def submit(self, request: JobRequest) -> Job:
        """Store a request and return its job, queued; or the earlier job of an equal request with the same key.

        Raises:
            IdempotencyConflict: If the key was used before, for a request that differs.
        """
        ...

    def get(self, job_id: str) -> Job:
        """Return a job as it stands.

        Raises:
            JobNotFound: If there is no such job.
        """
        ...

    def list_page(
        self, *, state: JobState | None = None, token: str | None = None, max_jobs: int = DEFAULT_PAGE_JOBS
    ) -> JobPage:
        """Return one page of the jobs, newest first.

        Args:
            state: Only jobs in this state; `None` for all.
            token: `next_token` of the page before, with the same other arguments; `None` for the first page.
            max_jobs: Most jobs of the page; 1 to 1000.

        Raises:
            InvalidJob: If the token is not from this listing or the number is out of range.
        """
        ...

    def cancel(self, job_id: str) -> Job:
        """Cancel a queued or running job and return it, cancelled; a worker that has it stops soon after.

        Raises:
            JobNotFound: If there is no such job.
            IllegalTransition: If it is finished.
        """
        ...

    def retry(self, job_id: str) -> Job:
        """Queue a failed or cancelled job again and return it.

        Raises:
            JobNotFound: If there is no such job.
            IllegalTransition: If it is queued, running or done.
        """
        ...

    def delete(self, job_id: str) -> None:
        """Forget a finished job. Its results are the caller's to delete first.

        Raises:
            JobNotFound: If there is no such job.
            IllegalTransition: If it is not finished.
        """
        ...


class ResultStore(Protocol):
    """Keeps the result folder of each job, whole or not at all."""

    def publish(self, job_id: str, folder: Path) -> tuple[ResultInfo, ...]:
        """Store every file of a finished result folder and return their descriptions, by name.

        They become visible together. Publishing a job again replaces its results, likewise together.

        Args:
            job_id: The job.
            folder: Folder with files only, each named as `validate_result_name` allows; it is only read.

        Raises:
            InvalidJob: If the folder is empty or holds something that cannot be a result.
        """
        ...

    def list_results(self, job_id: str) -> tuple[ResultInfo, ...]:
        """Return the descriptions of a job's results, by name.

        Raises:
            ResultNotFound: If the job has none.
        """
        ...

    def stat(self, job_id: str, name: str) -> ResultInfo:
        """Return the description of one result.

        Raises:
            ResultNotFound: If the job has no result of this name.
        """
        ...

    def stream(
        self,
        job_id: str,
        name: str,
        *,
        start: int = 0,
        stop: int | None = None,
        chunk_bytes: int = DEFAULT_CHUNK_BYTES,
    ) -> Iterator[bytes]:
        """Yield the bytes of one result in order, without holding it whole in memory.

        Args:
            job_id: The job.
            name: The result.
            start: First byte, counted from 0; at or past the end gives nothing.
            stop: One past the last byte, clipped at the end; `None` for the rest.
            chunk_bytes: Largest piece to yield, in bytes; at least 1.

        Raises:
            ResultNotFound: If the job has no result of this name.
        """
        ...

    def delete(self, job_id: str) -> None:
        """Remove all results of a job; one that has none counts as removed."""
        ...
