import inspect
from typing import get_type_hints

import pytest

from tds_data.report import LesionReport
from tds_serve import Job, JobQueue, ResultStore, StudySegmenter

METHODS = [
    pytest.param(value, id=f"{protocol.__name__}.{name}")
    for protocol in (StudySegmenter, JobQueue, ResultStore)
    for name, value in vars(protocol).items()
    if inspect.isfunction(value) and not name.startswith("_")
]


@pytest.mark.parametrize("method", METHODS)
def test_method_is_documented_and_typed_throughout(method: object) -> None:
    hints = get_type_hints(method)
    assert set(inspect.signature(method).parameters) - {"self"} == set(hints) - {"return"}  # type: ignore[arg-type]  # a function
    assert "return" in hints
    assert inspect.getdoc(method)


def test_segmenter_returns_the_report_of_tds_data() -> None:
    assert get_type_hints(StudySegmenter.segment)["return"] is LesionReport


def test_every_change_of_a_job_returns_the_job() -> None:
    for method in (JobQueue.submit, JobQueue.get, JobQueue.cancel, JobQueue.retry):
        assert get_type_hints(method)["return"] is Job
