import re
from http import HTTPStatus

import pytest

import tds_serve
from tds_serve import ServeError, StudyRefused, problem_type
from tds_serve.problems import PROBLEM_TYPES

ERRORS = [
    value
    for name in tds_serve.__all__
    if isinstance(value := getattr(tds_serve, name), type) and issubclass(value, ServeError)
]


@pytest.mark.parametrize("error", ERRORS)
def test_every_public_error_has_its_own_problem_type(error: type[ServeError]) -> None:
    assert re.fullmatch(r"/problems/[a-z]+(-[a-z]+)*", PROBLEM_TYPES[error].type)
    assert HTTPStatus(PROBLEM_TYPES[error].status) >= HTTPStatus.BAD_REQUEST


def test_no_two_errors_share_a_problem_type() -> None:
    assert len({problem.type for problem in PROBLEM_TYPES.values()}) == len(PROBLEM_TYPES) == len(ERRORS)


def test_error_made_elsewhere_takes_the_type_of_its_nearest_ancestor() -> None:
    class TooManySlices(StudyRefused):
        pass

    class Surprise(ServeError):
        pass

    assert problem_type(TooManySlices("TOO-MANY-SLICES", "9000 slices")) is PROBLEM_TYPES[StudyRefused]
    assert problem_type(Surprise()).status == HTTPStatus.INTERNAL_SERVER_ERROR
