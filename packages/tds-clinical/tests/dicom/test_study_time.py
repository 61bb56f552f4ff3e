from datetime import UTC, date, datetime

import pytest
from pydicom.dataset import Dataset

from tds_clinical.dicom import study_day, study_time


def header(day: str | None, moment: str | None = None) -> Dataset:
    found = Dataset()
    if day is not None:
        found.add_new("StudyDate", "LO", day)  # any text, as a careless scanner may write
    if moment is not None:
        found.add_new("StudyTime", "LO", moment)
    return found


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("20260131", date(2026, 1, 31)),
        ("2026.01.31", date(2026, 1, 31)),
        ("20260231", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_day_is_what_the_header_says_if_it_is_one(said: str | None, expected: date | None) -> None:
    assert study_day(header(said)) == expected


@pytest.mark.parametrize(
    ("said", "clock"),
    [
        ("0506", (5, 6, 0)),
        ("050607", (5, 6, 7)),
        ("050607.25", (5, 6, 7, 250000)),
        ("05", (5, 0, 0)),
        ("noon", (0, 0, 0)),
        ("", (0, 0, 0)),
        (None, (0, 0, 0)),
    ],
)
def test_time_is_midnight_where_the_header_tells_none(said: str | None, clock: tuple[int, ...]) -> None:
    assert study_time(header("20260131", said)) == datetime(2026, 1, 31, *clock, tzinfo=UTC)


def test_without_a_day_time_begins_in_1970() -> None:
    assert study_time(header(None, "0506")) == datetime(1970, 1, 1, 5, 6, tzinfo=UTC)
