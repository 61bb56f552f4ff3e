import math
from datetime import UTC, datetime, timedelta, timezone
from itertools import product
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tds_serve import (
    IllegalTransition,
    InvalidJob,
    Job,
    JobState,
    Reason,
    advance,
    new_job,
    validate_result_name,
    with_progress,
)
from tds_serve.jobs import FINISHED, TRANSITIONS

ID = "2f9d7c1e-5b0a-4a53-8f6e-0d6a1c2b3e4f"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
REASON = Reason(code="OUT-OF-MEMORY", message="the study needs 9 GiB; use a larger machine")
RESULTS = ("mask.nii.gz", "result.json")
TIMES = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # zone follows


def job_in(state: JobState) -> Job:
    queued = new_job(ID, at=NOON)
    if state is JobState.QUEUED:
        return queued
    running = advance(queued, JobState.RUNNING, at=NOON)
    return running if state is JobState.RUNNING else advance(running, state, at=NOON, **fitting(state))


def fitting(state: JobState) -> dict[str, object]:
    if state is JobState.DONE:
        return {"results": RESULTS}
    return {"reason": REASON} if state in {JobState.FAILED, JobState.CANCELLED} else {}


def test_table_is_the_one_that_the_documentation_draws() -> None:
    arrows = {(str(a), str(b)) for a, following in TRANSITIONS.items() for b in following}
    assert arrows == {
        ("queued", "running"),
        ("queued", "failed"),
        ("queued", "cancelled"),
        ("running", "done"),
        ("running", "failed"),
        ("running", "cancelled"),
        ("running", "queued"),
        ("failed", "queued"),
        ("cancelled", "queued"),
    }
    assert set(TRANSITIONS) == set(JobState)


@pytest.mark.parametrize(("before", "after"), list(product(JobState, JobState)))
def test_job_goes_along_the_table_and_nowhere_else(before: JobState, after: JobState) -> None:
    job = job_in(before)
    if after in TRANSITIONS[before]:
        assert advance(job, after, at=NOON, **fitting(after)).state is after
    else:
        with pytest.raises(IllegalTransition, match=f"is {before} and cannot become {after}") as caught:
            advance(job, after, at=NOON, **fitting(after))
        assert (caught.value.job_id, caught.value.current, caught.value.wanted) == (ID, before, after)


class JobLife(RuleBasedStateMachine):
    """Any sequence of legal steps, at times that may run backwards."""

    @initialize(job_id=st.uuids(version=4), at=TIMES)
    def submit(self, job_id: UUID, at: datetime) -> None:
        self.job = self.before = new_job(str(job_id), at=at)
        self.starts = 0

    @rule(data=st.data(), at=TIMES)
    def move(self, data: st.DataObject, at: datetime) -> None:
        following = sorted(TRANSITIONS[self.job.state])
        if following:
            state = data.draw(st.sampled_from(following))
            self.before, self.job = self.job, advance(self.job, state, at=at, **fitting(state))
            self.starts += state is JobState.RUNNING

    @precondition(lambda self: self.job.state is JobState.RUNNING)
    @rule(share=st.floats(0, 1, exclude_max=True), at=TIMES)
    def work(self, share: float, at: datetime) -> None:
        reached = min(self.job.progress + share * (1 - self.job.progress), math.nextafter(1, 0))
        self.before, self.job = self.job, with_progress(self.job, reached, at=at)

    @invariant()
    def time_and_attempts_never_go_back(self) -> None:
        assert self.job.created_at == self.before.created_at
        assert self.job.updated_at >= self.before.updated_at
        assert self.job.attempts == self.starts

    @invariant()
    def outcome_fits_the_state(self) -> None:
        assert (self.job.progress == 1) is (self.job.state is JobState.DONE) is bool(self.job.results)
        assert self.job.state is not JobState.FAILED or self.job.reason is not None
        assert self.job.finished is (self.job.state in FINISHED)
        assert self.job.state is not JobState.QUEUED or self.job.progress == 0


TestJobLife = JobLife.TestCase


def test_failed_job_keeps_its_progress_and_starts_again_from_nothing() -> None:
    half = with_progress(job_in(JobState.RUNNING), 0.5, at=NOON)
    failed = advance(half, JobState.FAILED, at=NOON, reason=REASON)
    assert (failed.progress, failed.reason) == (0.5, REASON)
    queued = advance(failed, JobState.QUEUED, at=NOON)
    assert (queued.progress, queued.reason, queued.attempts) == (0.0, None, 1)


def test_clock_that_lags_behind_leaves_the_time_of_the_last_change() -> None:
    later = NOON + timedelta(minutes=5)
    running = advance(new_job(ID, at=later), JobState.RUNNING, at=NOON)
    assert running.updated_at == later


def test_times_in_different_zones_are_compared_as_instants() -> None:
    same_instant = NOON.astimezone(timezone(timedelta(hours=5)))
    assert advance(new_job(ID, at=NOON), JobState.RUNNING, at=same_instant).updated_at == NOON


@pytest.mark.parametrize("state", [state for state in JobState if state is not JobState.RUNNING])
def test_only_a_running_job_makes_progress(state: JobState) -> None:
    with pytest.raises(InvalidJob, match="only a running job"):
        with_progress(job_in(state), 0.9, at=NOON)


@pytest.mark.parametrize("progress", [0.4, -1.0, 1.0, 1.5, math.nan, math.inf])
def test_progress_that_goes_back_or_out_of_range_is_refused(progress: float) -> None:
    half = with_progress(job_in(JobState.RUNNING), 0.5, at=NOON)
    with pytest.raises(InvalidJob, match="progress"):
        with_progress(half, progress, at=NOON)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": "patient-7"}, "UUID"),
        ({"id": ID.upper()}, f"write it as {ID}"),
        ({"created_at": NOON.replace(tzinfo=None)}, "time zone"),
        ({"updated_at": NOON.replace(tzinfo=None)}, "time zone"),
        ({"updated_at": NOON - timedelta(seconds=1)}, "before it was submitted"),
        ({"attempts": -1}, "-1 attempts"),
        ({"state": JobState.RUNNING}, "after 0 attempts"),
        ({"progress": 0.5}, "queued at progress 0.5"),
        ({"progress": math.nan}, "progress nan"),
        ({"state": JobState.DONE, "attempts": 1, "results": RESULTS}, "1 when done"),
        ({"state": JobState.DONE, "attempts": 1, "progress": 1.0}, "with 0 results"),
        ({"state": JobState.DONE, "attempts": 1, "progress": 1.0, "results": ("mask.nii.gz",) * 2}, "once"),
        ({"state": JobState.DONE, "attempts": 1, "progress": 1.0, "results": ("../mask",)}, "cannot name"),
        ({"state": JobState.DONE, "attempts": 1, "progress": 1.0, "results": RESULTS, "reason": REASON}, "a reason"),
        ({"state": JobState.RUNNING, "attempts": 1, "reason": REASON}, "a reason"),
        ({"state": JobState.FAILED, "attempts": 1}, "say why"),
        ({"results": RESULTS}, "2 results"),
    ],
)
def test_job_that_contradicts_itself_is_refused(changes: dict[str, object], reason: str) -> None:
    values = {"id": ID, "state": JobState.QUEUED, "created_at": NOON, "updated_at": NOON} | changes
    with pytest.raises(InvalidJob, match=reason):
        Job(**values)  # type: ignore[arg-type]  # wrong values are the test


def test_naive_time_of_a_step_is_refused() -> None:
    with pytest.raises(InvalidJob, match="time zone"):
        advance(job_in(JobState.QUEUED), JobState.RUNNING, at=NOON.replace(tzinfo=None))


@pytest.mark.parametrize(("code", "message"), [("out-of-memory", "x"), ("OUT--OF", "x"), ("", "x"), ("OOM", " ")])
def test_reason_without_code_or_message_is_refused(code: str, message: str) -> None:
    with pytest.raises(InvalidJob, match="a reason has"):
        Reason(code=code, message=message)


@pytest.mark.parametrize("name", ["mask.nii.gz", "seg.dcm", "fhir.json", "a1", "x" * 128])
def test_plain_file_name_can_name_a_result(name: str) -> None:
    assert validate_result_name(name) == name


@given(
    st.text(max_size=20) | st.sampled_from(["..", "a/b", "a\\b", ".hidden", "mask.", "C:x", "a\n", "x" * 129, "a b"])
)
def test_name_that_is_accepted_is_one_plain_path_segment(name: str) -> None:
    try:
        accepted = validate_result_name(name)
    except InvalidJob:
        return
    assert accepted.isascii()
    assert accepted.strip(".") == accepted
    assert not set(accepted) & set("/\\: \n")
