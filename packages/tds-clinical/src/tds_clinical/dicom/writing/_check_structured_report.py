"""Whether a structured report says the numbers of the findings, and of the right segments."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from tds_clinical.codes import LABEL_CODES, LONG_AXIS, REGION_CODES, SHORT_AXIS, UNIT_CODES, VOLUME
from tds_clinical.dicom.writing._agreement import agree, agree_identifier, agree_number
from tds_clinical.dicom.writing._measurement_groups import NESTED, is_inside, segments_of, total_uid
from tds_clinical.dicom.writing._sr_reading import ReadGroup, ReadNumber, read_groups
from tds_clinical.findings import ResultContext
from tds_clinical.measurement import Diameters
from tds_data.report import Interval, Point
from tds_data.vocabulary import REGIONS, Label, Region

_LPS_FROM_RAS: Final = np.array([-1.0, -1.0, 1.0])
_SAME_PLACE_MM: Final = 0.01  # coordinates are stored in single precision


@dataclass(frozen=True, slots=True, kw_only=True)
class _Expected:
    template: str
    tracking_id: str
    tracking_uid: str
    finding: str
    volume_ml: float
    interval: Interval | None = None
    diameters: Diameters | None = None
    has_lines: bool = False
    segments: tuple[int, ...] = ()


def check_structured_report(context: ResultContext, report: Dataset, segmentation: Dataset | None) -> None:
    """Go on if a structured report says what the findings say, and refers to the segments of the segmentation.

    Args:
        context: What it is about.
        report: The structured report, read back.
        segmentation: The segmentation, read back; `None` if there is none.

    Raises:
        ResultsDisagree: If it does not.
    """
    groups = read_groups(report)
    written = {group.tracking_id: group for group in groups}
    expected = {group.tracking_id: group for group in _expected(context)}
    agree("measurement groups", sorted(group.tracking_id for group in groups), sorted(expected))
    for tracking_id, wanted in expected.items():
        group = written[tracking_id]
        _check_group(group, wanted)
        uid = None if segmentation is None else str(segmentation.SOPInstanceUID)
        agree_identifier(
            f"{tracking_id}, referenced segments", group.segments, (uid, wanted.segments) if wanted.segments else None
        )


def _expected(context: ResultContext) -> Iterator[_Expected]:
    findings = context.findings
    report = findings.report
    lesions = {lesion.number: lesion for lesion in report.lesions}
    diameters = {entry.lesion: entry.diameters for entry in findings.measurements}
    for segment in findings.segments:
        is_region = segment.label is Label.ET
        intervals = lesions[segment.lesion].volume_interval_ml if is_region else None
        yield _Expected(
            template="1411",
            tracking_id=segment.tracking_id,
            tracking_uid=segment.tracking_uid,
            finding=LABEL_CODES[segment.label].value,
            volume_ml=segment.volume_ml,
            interval=(intervals or {}).get(Region.ET),
            diameters=diameters[segment.lesion].get(Region.ET) if is_region else None,
            segments=(segment.number,),
        )
    for lesion in report.lesions:
        for region in NESTED:
            if lesion.volume_ml[region] > 0:
                yield _Expected(
                    template="1501",
                    tracking_id=f"lesion-{lesion.number}/{region.upper()}",
                    tracking_uid=findings.region_uid(lesion.number, region, context.uids),
                    finding=REGION_CODES[region].value,
                    volume_ml=lesion.volume_ml[region],
                    interval=(lesion.volume_interval_ml or {}).get(region),
                    diameters=diameters[lesion.number].get(region),
                    has_lines=bool(context.source.frame_of_reference_uid),
                    segments=tuple(segments_of(context, region, lesion.number)),
                )
    for region in REGIONS:
        yield _Expected(
            template="1501",
            tracking_id=f"all-lesions/{region.upper()}",
            tracking_uid=total_uid(context, region),
            finding=REGION_CODES[region].value,
            volume_ml=report.volume_ml[region],
            interval=(report.volume_interval_ml or {}).get(region),
            segments=tuple(segments_of(context, region)),
        )


def _check_group(group: ReadGroup, wanted: _Expected) -> None:
    subject = wanted.tracking_id
    agree(f"{subject}, template", group.template, wanted.template)
    agree_identifier(f"{subject}, tracking UID", group.tracking_uid, wanted.tracking_uid)
    agree(f"{subject}, finding", group.finding, wanted.finding)
    names = {VOLUME.value} | ({LONG_AXIS.value, SHORT_AXIS.value} if wanted.diameters else set())
    agree(f"{subject}, measurements", set(group.numbers), names)
    _check_volume(f"{subject}, volume", group.numbers[VOLUME.value], wanted)
    if wanted.diameters is not None:
        lines = (
            ("longest", LONG_AXIS, wanted.diameters.longest_mm, wanted.diameters.longest_ends_mm),
            ("perpendicular", SHORT_AXIS, wanted.diameters.perpendicular_mm, wanted.diameters.perpendicular_ends_mm),
        )
        for name, code, length, ends in lines:
            number = group.numbers[code.value]
            _check_number(f"{subject}, {name} diameter", number, length, UNIT_CODES[name].value)
            agree(f"{subject}, {name} diameter, is drawn as a line", number.line_lps_mm is not None, wanted.has_lines)
            if number.line_lps_mm is not None:
                _check_line(f"{subject}, {name} diameter", number.line_lps_mm, ends)


def _check_volume(subject: str, number: ReadNumber, wanted: _Expected) -> None:
    _check_number(subject, number, wanted.volume_ml, UNIT_CODES["volume"].value)
    upper = lower = None
    if wanted.interval is not None and is_inside(wanted.volume_ml, wanted.interval):
        upper, lower = wanted.interval[1] - wanted.volume_ml, wanted.volume_ml - wanted.interval[0]
    agree_number(f"{subject}, upper end of its interval", number.upper, upper)
    agree_number(f"{subject}, lower end of its interval", number.lower, lower)


def _check_number(subject: str, number: ReadNumber, expected: float, unit: str) -> None:
    agree_number(subject, number.value, expected)
    agree_number(f"{subject} in decimal", number.decimal, expected)
    agree(f"{subject}, unit", number.unit, unit)


def _check_line(subject: str, line_lps_mm: NDArray[np.float64], ends: tuple[Point, Point]) -> None:
    distance = float(np.abs(line_lps_mm * _LPS_FROM_RAS - np.array(ends)).max())
    agree_number(f"{subject}, distance of its ends from where they are", distance, 0.0, tolerance=_SAME_PLACE_MM)
