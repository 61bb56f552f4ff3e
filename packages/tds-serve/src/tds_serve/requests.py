"""What a client asks for and what it is shown of it, as values."""

import math
import re
from dataclasses import dataclass
from typing import Final

from tds_serve.errors import InvalidJob
from tds_serve.jobs import Job, validate_result_name

MAX_PRIORITY: Final = 100
"""Largest priority; its negative is the smallest."""

_TOKEN: Final = re.compile(r"[!-~]{1,200}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """What to segment and how urgently.

    Two requests are the same, for an idempotency key, when they are equal.

    Attributes:
        study: Name under which the uploaded study is kept: 1 to 200 printable ASCII characters without spaces, random,
            and no patient identifier.
        model: Name of the model bundle, or `None` for the default one.
        priority: -100 to 100; higher ones are worked on first, equal ones in the order of their arrival.
        deadline_s: Seconds from submission after which an unfinished job fails; more than 0, or `None` for no limit.
        idempotency_key: 1 to 200 printable ASCII characters without spaces; the same key and request again give the
            same job. `None` to make a job in any case.

    Raises:
        InvalidJob: If any of this does not hold.
    """

    study: str
    model: str | None = None
    priority: int = 0
    deadline_s: float | None = None
    idempotency_key: str | None = None

    def __post_init__(self) -> None:
        for name, value in (("study", self.study), ("model", self.model), ("idempotency key", self.idempotency_key)):
            if value is not None and not _TOKEN.fullmatch(value):
                message = f"the {name} of a request is 1 to 200 printable ASCII characters without spaces"
                raise InvalidJob(message)
        if abs(self.priority) > MAX_PRIORITY:
            message = f"a priority is {-MAX_PRIORITY} to {MAX_PRIORITY}; this one is {self.priority}"
            raise InvalidJob(message)
        if self.deadline_s is not None and not (math.isfinite(self.deadline_s) and self.deadline_s > 0):
            message = f"a deadline is a number of seconds above 0, or none; this one is {self.deadline_s:g}"
            raise InvalidJob(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPage:
    """One page of a listing of jobs.

    Attributes:
        jobs: Newest first.
        next_token: What to pass to get the next page, or `None` on the last one.
    """

    jobs: tuple[Job, ...]
    next_token: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultInfo:
    """One file of a result.

    Attributes:
        name: Its name, as `validate_result_name` allows.
        size_bytes: Its size.
        sha256: SHA-256 of its bytes in lower-case hexadecimal; also fit for an entity tag.
        media_type: Media type, such as `application/json`.

    Raises:
        InvalidJob: If name, size or hash cannot be.
    """

    name: str
    size_bytes: int
    sha256: str
    media_type: str

    def __post_init__(self) -> None:
        validate_result_name(self.name)
        if self.size_bytes < 0 or not _SHA256.fullmatch(self.sha256):
            message = f"a result has 0 bytes or more and a SHA-256 of 64 lower-case digits; {self.name} has not"
            raise InvalidJob(message)
