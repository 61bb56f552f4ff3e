from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from pydicom.dataset import Dataset

from tds_clinical.dicom import study_day, study_time
from tds_clinical.dicom.study_time import study_zone


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


@pytest.mark.parametrize(
    ("said", "minutes"), [("+0200", 120), ("-0330", -210), ("+0000", 0), (" +1400 ", 840), ("-1200", -720)]
)
def test_a_study_may_name_its_time_zone(said: str, minutes: int) -> None:
    named = header("20260131", "0506")
    named.add_new("TimezoneOffsetFromUTC", "LO", said)
    zone = timezone(timedelta(minutes=minutes))
    assert study_zone(named) == zone
    assert study_time(named) == datetime(2026, 1, 31, 5, 6, tzinfo=zone)
    assert study_time(named).utcoffset() == timedelta(minutes=minutes)


@pytest.mark.parametrize("said", ["", "0200", "+2", "+0260", "+9900", "Berlin", None])
def test_what_is_no_time_zone_counts_as_none(said: str | None) -> None:
    named = header("20260131", "0506")
    if said is not None:
        named.add_new("TimezoneOffsetFromUTC", "LO", said)
    assert study_zone(named) is None
    assert study_time(named) == datetime(2026, 1, 31, 5, 6, tzinfo=UTC)
