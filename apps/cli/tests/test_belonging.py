from datetime import date
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from tds_cli.belonging import Origin, belonging_flags, origin_of
from tds_clinical.dicom import read_series_headers
from tds_clinical.testing import ClassicSeriesOptions, write_classic_series
from tds_data import Volume

FIRST, SECOND = date(2026, 1, 10), date(2026, 4, 2)


def codes(*points: tuple[date, Origin | None]) -> list[str]:
    return [flag.code for flag in belonging_flags(points)]


def header(**elements: str) -> Dataset:
    found = Dataset()
    for name, value in elements.items():
        setattr(found, name, value)
    return found


def test_a_header_says_whose_study_it_is_and_when_it_was_taken() -> None:
    assert origin_of(header(PatientID=" 4711 ", StudyDate="20260110")) == Origin(patient="4711", day=FIRST)
    assert origin_of(header()) == Origin()


def test_time_points_of_two_patients_are_told_without_their_names() -> None:
    points = ((FIRST, Origin(patient="4711")), (SECOND, Origin(patient="4712")))
    assert codes(*points) == ["PATIENT-DIFFERS"]
    assert "471" not in "".join([*(flag.message for flag in belonging_flags(points)), repr(points)])


def test_what_is_not_known_differs_from_nothing() -> None:
    known = Origin(patient="4711")
    assert codes((FIRST, known), (SECOND, Origin())) == []
    assert codes((FIRST, known), (SECOND, None)) == []
    assert codes((FIRST, known), (SECOND, known)) == []


def test_a_day_other_than_that_of_the_header_is_told() -> None:
    assert codes((FIRST, Origin(day=FIRST)), (SECOND, Origin(day=SECOND))) == []
    (flag,) = belonging_flags(((FIRST, Origin(day=FIRST)), (SECOND, Origin(day=FIRST))))
    assert flag.code == "DAY-DIFFERS"
    assert "Time point 2" in flag.message


def test_headers_of_series_say_whose_they_are_and_when_they_were_taken(tmp_path: Path) -> None:
    volume = Volume(np.zeros((4, 4, 3), np.uint16), np.eye(4))
    write_classic_series(volume, tmp_path, ClassicSeriesOptions())
    origin = origin_of(read_series_headers(tmp_path)[0].header)
    assert origin == Origin(patient="PHANTOM", day=date(2000, 1, 1))
