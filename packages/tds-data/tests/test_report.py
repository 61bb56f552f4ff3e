import json
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tds_data import (
    MODALITIES,
    Lesion,
    LesionReport,
    ModelIdentity,
    QualityFlag,
    Region,
    ReportFormatError,
    Severity,
)

NUMBERS = st.floats(-1e6, 1e6)
POINTS = st.tuples(NUMBERS, NUMBERS, NUMBERS)
BY_REGION = st.fixed_dictionaries(dict.fromkeys(Region, NUMBERS))
TEXT = st.text(max_size=12)
LESIONS = st.builds(
    Lesion,
    number=st.integers(1, 50),
    centroid_mm=POINTS,
    bounding_box_mm=st.tuples(POINTS, POINTS),
    longest_diameter_mm=NUMBERS,
    volume_ml=BY_REGION,
)
FLAGS = st.builds(
    QualityFlag,
    code=TEXT,
    severity=st.sampled_from(Severity),
    message=TEXT,
    value=st.none() | TEXT,
    subject=st.none() | TEXT,
)
REPORTS = st.builds(
    LesionReport,
    case=TEXT,
    modalities=st.lists(st.sampled_from(MODALITIES), unique=True).map(tuple),
    lesions=st.lists(LESIONS, max_size=3).map(tuple),
    volume_ml=BY_REGION,
    quality=st.lists(FLAGS, max_size=3).map(tuple),
    model=st.builds(ModelIdentity, name=TEXT, version=TEXT, sha256=TEXT, architecture=TEXT, licence=TEXT),
    timings_s=st.dictionaries(TEXT, NUMBERS, max_size=3),
    dice=st.none() | BY_REGION,
    phantom=st.booleans(),
)
EMPTY = LesionReport(
    case="x",
    modalities=(),
    lesions=(),
    volume_ml=dict.fromkeys(Region, 0.0),
    quality=(),
    model=ModelIdentity(name="m", version="1", sha256="0", architecture="a", licence="MIT"),
)


@settings(max_examples=20, deadline=None)
@given(report=REPORTS)
def test_reports_survive_json(report: LesionReport) -> None:
    assert LesionReport.from_dict(json.loads(json.dumps(report.to_dict(), allow_nan=False))) == report


def test_numpy_numbers_and_frozen_mappings_become_plain() -> None:
    lesion = Lesion(
        number=np.int64(1),
        centroid_mm=(np.float32(1), np.float64(2), 3.0),
        bounding_box_mm=((0, 0, 0), (1, 1, 1)),
        longest_diameter_mm=np.float32(0.5),
        volume_ml=MappingProxyType({Region.WT: np.float32(2)}),
    )
    document = LesionReport(
        case="x", modalities=MODALITIES, lesions=(lesion,), volume_ml={}, quality=(), model=EMPTY.model
    ).to_dict()
    text = json.dumps(document)
    assert json.loads(text)["lesions"][0] == {
        "number": 1,
        "centroid_mm": [1, 2, 3],
        "bounding_box_mm": [[0, 0, 0], [1, 1, 1]],
        "longest_diameter_mm": 0.5,
        "volume_ml": {"WT": 2},
        "volume_interval_ml": None,
    }
    assert '"number": 1,' in text


def test_later_minor_version_is_read() -> None:
    assert LesionReport.from_dict({**EMPTY.to_dict(), "schema_version": "1.7"}).schema_version == "1.7"


def test_fields_of_a_later_minor_version_are_left_out() -> None:
    point, volumes = [1.0, 2.0, 3.0], {"WT": 3.0, "TC": 2.0, "ET": 1.0}
    lesion = {"number": 1, "centroid_mm": point, "bounding_box_mm": [point, point], "longest_diameter_mm": 4}
    flag = {"code": "X", "severity": "info", "message": "m"}
    document = {**EMPTY.to_dict(), "lesions": [{**lesion, "volume_ml": volumes}], "quality": [flag]}
    later = json.loads(json.dumps(document))
    for place in (later, later["model"], later["volume_ml"], later["lesions"][0], later["quality"][0]):
        place["new"] = "x"
    read = LesionReport.from_dict(later)
    assert read == LesionReport.from_dict(document)
    assert read.quality == (QualityFlag(code="X", severity=Severity.INFO, message="m"),)
    assert read.lesions[0].volume_ml == volumes


POINT = [0.0, 0.0, 0.0]
LESION = {
    "number": 1,
    "centroid_mm": POINT,
    "bounding_box_mm": [POINT, POINT],
    "longest_diameter_mm": 1.0,
    "volume_ml": dict.fromkeys(["WT", "TC", "ET"], 1.0),
}


@pytest.mark.parametrize(
    "change",
    [
        {"modalities": ["ct"]},
        {"modalities": ""},
        {"model": {}},
        {"model": {**EMPTY.to_dict()["model"], "version": 1}},
        {"model": "m"},
        {"lesions": 3},
        {"lesions": {}},
        {"lesions": [{**LESION, "number": True}]},
        {"lesions": [{**LESION, "number": 1.5}]},
        {"lesions": [{**LESION, "centroid_mm": "123"}]},
        {"lesions": [{**LESION, "centroid_mm": [0.0, 0.0]}]},
        {"lesions": [{**LESION, "bounding_box_mm": [POINT]}]},
        {"lesions": [{**LESION, "volume_ml": {"WT": 1.0}}]},
        {"volume_ml": {"XX": 1}},
        {"volume_ml": {"WT": 1.0}},
        {"volume_ml": {"WT": 1.0, "TC": "1", "ET": 0.0}},
        {"volume_ml": {"WT": 10**400, "TC": 1, "ET": 0.0}},
        {"dice": {"WT": 1.0, "TC": True, "ET": 0.0}},
        {"quality": [{"code": "X", "severity": "fatal", "message": "m"}]},
        {"quality": [{"code": "X", "severity": "info", "message": "m", "value": 3}]},
        {"quality": [{"code": "X", "severity": "info", "message": "m", "subject": 3}]},
        {"timings_s": {"read": None}},
        {"timings_s": []},
        {"phantom": "false"},
        {"phantom": 0},
        {"case": None},
        {"notice": None},
    ],
)
def test_documents_of_another_kind_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ReportFormatError, match="not a lesion report"):
        LesionReport.from_dict({**EMPTY.to_dict(), **change})


@pytest.mark.parametrize("document", [{}, [], {"schema_version": "2.0"}, {"schema_version": 1.0}])
def test_documents_of_another_version_are_refused(document: object) -> None:
    with pytest.raises(ReportFormatError, match="version"):
        LesionReport.from_dict(document)


def test_intervals_come_back_as_they_were() -> None:
    ends = {Region.WT: (3.0, 4.0), Region.TC: (1.5, 2.5), Region.ET: (0.0, 0.75)}
    report = replace(EMPTY, volume_interval_ml=ends, interval_method="by hand")
    read = LesionReport.from_dict(json.loads(json.dumps(report.to_dict())))
    assert read.volume_interval_ml == ends
    assert read.interval_method == "by hand"


def test_reports_from_before_intervals_are_read_without_them() -> None:
    document = EMPTY.to_dict()
    for name in ("volume_interval_ml", "interval_method"):
        del document[name]
    assert LesionReport.from_dict(document).volume_interval_ml is None


@pytest.mark.parametrize("broken", [3, [], {"WT": [1, 2]}, {"WT": [1], "TC": [1, 2], "ET": [1, 2]}, {"WT": "ab"}])
def test_intervals_that_are_none_are_refused(broken: object) -> None:
    with pytest.raises(ReportFormatError, match="not a lesion report"):
        LesionReport.from_dict({**EMPTY.to_dict(), "volume_interval_ml": broken})
