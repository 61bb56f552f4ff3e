import pickle

import pytest

import tds_serve
from tds_serve import (
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

EXAMPLES: list[tuple[ServeError, type[Exception]]] = [
    (JobNotFound("7b0c"), LookupError),
    (IllegalTransition("7b0c", current="queued", wanted="done", allowed=("running",)), ValueError),
    (InvalidJob("a reason has a code"), ValueError),
    (IdempotencyConflict("7b0c"), ValueError),
    (ResultNotFound("7b0c", name="mask.nii.gz"), FileNotFoundError),
    (QueueUnavailable("the database did not answer within 5 s"), ConnectionError),
    (StudyRefused("GRID-MISMATCH", "the sequences are not on one grid"), ValueError),
    (SegmentationFailed("OUT-OF-MEMORY", "the study needs 9 GiB"), RuntimeError),
    (JobCancelled("cancelled by its owner"), ServeError),
]


@pytest.mark.parametrize(("error", "builtin"), EXAMPLES, ids=lambda value: getattr(value, "__name__", None))
def test_error_is_a_serve_error_and_a_builtin_one(error: ServeError, builtin: type[Exception]) -> None:
    assert isinstance(error, ServeError)
    assert isinstance(error, builtin)


@pytest.mark.parametrize("error", [error for error, _ in EXAMPLES], ids=lambda error: type(error).__name__)
def test_error_survives_pickling_with_message_and_attributes(error: ServeError) -> None:
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  # this test pickled it itself
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_every_public_error_has_an_example_above() -> None:
    public = {value for name in tds_serve.__all__ if isinstance(value := getattr(tds_serve, name), type)}
    assert {value for value in public if issubclass(value, ServeError)} - {ServeError} == {type(e) for e, _ in EXAMPLES}


def test_messages_name_the_way_out() -> None:
    assert "it can become running" in str(EXAMPLES[1][0])
    assert "submit a new job" in str(IllegalTransition("7b0c", current="done", wanted="queued", allowed=()))
    assert "no result 'mask.nii.gz'" in str(ResultNotFound("7b0c", name="mask.nii.gz"))
    assert "no results" in str(ResultNotFound("7b0c"))


def test_message_escapes_and_cuts_what_a_client_sent() -> None:
    for error in (JobNotFound("\x1b[31m" + "x" * 5000), ResultNotFound("7b0c", name="\r\n" + "x" * 5000)):
        assert str(error).isprintable()
        assert len(str(error)) < 300
