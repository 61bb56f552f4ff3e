import math

import pytest

from tds_serve import InvalidJob, JobPage, JobRequest, ResultInfo

SHA256 = "0123456789abcdef" * 4


def test_request_needs_a_study_only() -> None:
    request = JobRequest(study="upload-1")
    assert (request.model, request.priority, request.deadline_s, request.idempotency_key) == (None, 0, None, None)


def test_equal_requests_are_equal() -> None:
    assert JobRequest(study="upload-1", priority=5) == JobRequest(study="upload-1", priority=5)
    assert JobRequest(study="upload-1", priority=5) != JobRequest(study="upload-1")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"study": ""}, "study"),
        ({"study": "a b"}, "study"),
        ({"study": "x" * 201}, "study"),
        ({"model": "größer"}, "model"),
        ({"idempotency_key": "a\n"}, "idempotency key"),
        ({"priority": 101}, "101"),
        ({"priority": -101}, "-101"),
        ({"deadline_s": 0.0}, "seconds above 0"),
        ({"deadline_s": math.nan}, "seconds above 0"),
        ({"deadline_s": math.inf}, "seconds above 0"),
    ],
)
def test_request_out_of_range_is_refused(changes: dict[str, object], reason: str) -> None:
    values: dict[str, object] = {"study": "upload-1"} | changes
    with pytest.raises(InvalidJob, match=reason):
        JobRequest(**values)  # type: ignore[arg-type]  # wrong values are the test


def test_request_at_its_limits_is_accepted() -> None:
    request = JobRequest(study="x" * 200, priority=-100, deadline_s=0.5, idempotency_key="~")
    assert request.priority == -100


def test_page_is_the_last_one_unless_it_says_otherwise() -> None:
    assert JobPage(jobs=()).next_token is None


@pytest.mark.parametrize(
    "changes", [{"name": "../mask"}, {"size_bytes": -1}, {"sha256": SHA256.upper()}, {"sha256": ""}]
)
def test_description_of_a_result_that_cannot_be_is_refused(changes: dict[str, object]) -> None:
    values: dict[str, object] = {
        "name": "mask.nii.gz",
        "size_bytes": 0,
        "sha256": SHA256,
        "media_type": "application/gzip",
    }
    assert ResultInfo(**values).size_bytes == 0  # type: ignore[arg-type]  # see below
    with pytest.raises(InvalidJob):
        ResultInfo(**(values | changes))  # type: ignore[arg-type]  # wrong values are the test
