"""The measurement groups of a structured report: one for each segment, nested region and total.

A segment's group is TID 1411 (PS3.16) and refers to the segment. A nested region of a lesion (whole tumour, tumour
core) is no segment of its own, because segments do not overlap; its group is TID 1501, and so are those of the totals.
"""

from typing import Final, TypedDict

import numpy as np
from highdicom.sr import (
    AlgorithmIdentification,
    CodeContentItem,
    CodedConcept,
    CoordinatesForMeasurement3D,
    FindingSite,
    GraphicTypeValues3D,
    ImageContentItem,
    Measurement,
    MeasurementsAndQualitativeEvaluations,
    ReferencedSegment,
    RelationshipTypeValues,
    SourceSeriesForSegmentation,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.dataset import Dataset

from tds_clinical.codes import (
    ARTIFICIAL_INTELLIGENCE,
    BRAIN,
    LABEL_CODES,
    LOWER_UNCERTAINTY,
    MEASUREMENT_CODES,
    MORPHOLOGICALLY_ABNORMAL,
    REGION_CODES,
    SUM_OF_VOXELS,
    TOTAL,
    UNIT_CODES,
    UPPER_UNCERTAINTY,
    Code,
)
from tds_clinical.dicom.writing._sr_items import concept, number, shorten
from tds_clinical.findings import ResultContext, Segment
from tds_clinical.measurement import Diameters
from tds_data.report import Interval, Lesion, ModelIdentity, Point
from tds_data.vocabulary import REGION_LABELS, REGIONS, Label, Region

Group = MeasurementsAndQualitativeEvaluations | VolumetricROIMeasurementsAndQualitativeEvaluations
"""One measurement group as highdicom makes it."""

NESTED: Final = (Region.WT, Region.TC)
"""The regions of a lesion that are more than one segment."""

_LPS_FROM_RAS: Final = np.array([-1.0, -1.0, 1.0])
_ALGORITHM_FAMILY: Final = Code("111000", "DCM", "Algorithm Family")
_SOURCE_OF_MEASUREMENT: Final = Code("121112", "DCM", "Source of Measurement")  # CID 7551


def segment_groups(context: ResultContext, segmentation: Dataset) -> list[Group]:
    """Return a group for each segment.

    Args:
        context: What the report is about.
        segmentation: The object whose segments the groups refer to.
    """
    return [_segment_group(context, segmentation, segment) for segment in context.findings.segments]


def region_groups(context: ResultContext, segmentation: Dataset) -> list[Group]:
    """Return a group for each nested region of each lesion that has it.

    Args:
        context: What the report is about.
        segmentation: The object whose segments make up the regions.
    """
    return [
        _region_group(context, segmentation, lesion, region)
        for lesion in context.findings.report.lesions
        for region in NESTED
        if lesion.volume_ml.get(region, 0.0) > 0
    ]


def total_groups(context: ResultContext, segmentation: Dataset | None) -> list[Group]:
    """Return a group for each region of all lesions together; zero millilitres if there are none.

    Args:
        context: What the report is about.
        segmentation: The object whose segments make up the regions; `None` if there is none.
    """
    report = context.findings.report
    groups: list[Group] = []
    for region in REGIONS:
        interval = (report.volume_interval_ml or {}).get(region)
        group = MeasurementsAndQualitativeEvaluations(
            tracking_identifier=TrackingIdentifier(
                uid=total_uid(context, region), identifier=f"all-lesions/{region.upper()}"
            ),
            measurements=[_volume(report.volume_ml[region], interval, derivation=TOTAL)],
            **_described(REGION_CODES[region], report.model),
        )
        numbers = segments_of(context, region)
        if segmentation is not None and numbers:
            group[0].ContentSequence.append(_source(segmentation, numbers))
        groups.append(group)
    return groups


def segments_of(context: ResultContext, region: Region, lesion: int | None = None) -> list[int]:
    """Return the numbers of the segments that make up a region.

    Args:
        context: What the report is about.
        region: The region.
        lesion: Number of the lesion; `None` for all lesions.
    """
    return [
        segment.number
        for segment in context.findings.segments
        if segment.label in REGION_LABELS[region] and lesion in {None, segment.lesion}
    ]


def total_uid(context: ResultContext, region: Region) -> str:
    """Return the Tracking UID of a region of all lesions together.

    Args:
        context: What the report is about.
        region: The region.
    """
    return str(context.uids.make("total", region))


def is_inside(value: float, interval: Interval) -> bool:
    """Tell whether a number lies in its interval, so that the distances to its ends can be given.

    Args:
        value: The number.
        interval: Its interval.
    """
    return interval[0] <= value <= interval[1]


def _segment_group(context: ResultContext, segmentation: Dataset, segment: Segment) -> Group:
    findings = context.findings
    lesion = _lesion(context, segment.lesion)
    is_region = segment.label is Label.ET
    interval = (lesion.volume_interval_ml or {}).get(Region.ET) if is_region else None
    diameters = _diameters(context, segment.lesion, Region.ET) if is_region else None
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=segment.tracking_uid, identifier=segment.tracking_id),
        referenced_segment=ReferencedSegment(
            sop_class_uid=segmentation.SOPClassUID,
            sop_instance_uid=segmentation.SOPInstanceUID,
            segment_number=segment.number,
            source_series=SourceSeriesForSegmentation(context.source.header.SeriesInstanceUID),
        ),
        measurements=[_volume(segment.volume_ml, interval), *_axes(diameters, frame_of_reference="")],
        **_described(LABEL_CODES[segment.label], findings.report.model),
    )


def _region_group(context: ResultContext, segmentation: Dataset, lesion: Lesion, region: Region) -> Group:
    findings = context.findings
    interval = (lesion.volume_interval_ml or {}).get(region)
    diameters = _diameters(context, lesion.number, region)
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=findings.region_uid(lesion.number, region, context.uids),
            identifier=f"lesion-{lesion.number}/{region.upper()}",
        ),
        measurements=[
            _volume(lesion.volume_ml[region], interval),
            *_axes(diameters, frame_of_reference=context.source.frame_of_reference_uid),
        ],
        **_described(REGION_CODES[region], findings.report.model),
    )
    group[0].ContentSequence.append(_source(segmentation, segments_of(context, region, lesion.number)))
    return group


def _source(segmentation: Dataset, numbers: list[int]) -> ImageContentItem:
    return ImageContentItem(
        name=concept(_SOURCE_OF_MEASUREMENT),
        referenced_sop_class_uid=segmentation.SOPClassUID,
        referenced_sop_instance_uid=segmentation.SOPInstanceUID,
        referenced_segment_numbers=numbers,
        relationship_type=RelationshipTypeValues.CONTAINS,
    )


class _Description(TypedDict):
    finding_category: CodedConcept
    finding_type: CodedConcept
    finding_sites: list[FindingSite]
    algorithm_id: AlgorithmIdentification


def _described(finding: Code, model: ModelIdentity) -> _Description:
    return {
        "finding_category": concept(MORPHOLOGICALLY_ABNORMAL),
        "finding_type": concept(finding),
        "finding_sites": [FindingSite(concept(BRAIN))],
        "algorithm_id": _algorithm(model),
    }


def _algorithm(model: ModelIdentity) -> AlgorithmIdentification:
    algorithm = AlgorithmIdentification(
        name=model.name,
        version=model.version,
        parameters=[f"architecture={model.architecture} sha256={model.sha256}"],
    )
    family = CodeContentItem(  # which older versions of highdicom take no argument for
        name=concept(_ALGORITHM_FAMILY),
        value=concept(ARTIFICIAL_INTELLIGENCE),
        relationship_type=RelationshipTypeValues.HAS_CONCEPT_MOD,
    )
    algorithm.append(family)
    return algorithm


def _volume(value_ml: float, interval: Interval | None, *, derivation: Code | None = None) -> Measurement:
    unit = UNIT_CODES["volume"]
    measurement = Measurement(
        name=concept(MEASUREMENT_CODES["volume"]),
        value=float(value_ml),
        unit=concept(unit),
        method=concept(SUM_OF_VOXELS),
        derivation=concept(derivation) if derivation else None,
    )
    shorten(measurement[0])
    if interval is not None and is_inside(value_ml, interval):
        properties = RelationshipTypeValues.HAS_PROPERTIES
        measurement[0].ContentSequence += [
            number(UPPER_UNCERTAINTY, interval[1] - value_ml, unit, properties),
            number(LOWER_UNCERTAINTY, value_ml - interval[0], unit, properties),
        ]
    return measurement


def _axes(diameters: Diameters | None, *, frame_of_reference: str) -> list[Measurement]:
    if diameters is None:
        return []
    lines = (
        ("longest", diameters.longest_mm, diameters.longest_ends_mm),
        ("perpendicular", diameters.perpendicular_mm, diameters.perpendicular_ends_mm),
    )
    measurements = []
    for name, length, ends in lines:
        measurement = Measurement(
            name=concept(MEASUREMENT_CODES[name]),
            value=float(length),
            unit=concept(UNIT_CODES[name]),
            referenced_coordinates=[_line(ends, frame_of_reference)] if frame_of_reference else None,
        )
        shorten(measurement[0])
        measurements.append(measurement)
    return measurements


def _line(ends: tuple[Point, Point], frame_of_reference: str) -> CoordinatesForMeasurement3D:
    return CoordinatesForMeasurement3D(
        graphic_type=GraphicTypeValues3D.POLYLINE,
        graphic_data=np.array(ends) * _LPS_FROM_RAS,
        frame_of_reference_uid=frame_of_reference,
        purpose=concept(_SOURCE_OF_MEASUREMENT),
    )


def _lesion(context: ResultContext, lesion: int) -> Lesion:
    return next(entry for entry in context.findings.report.lesions if entry.number == lesion)


def _diameters(context: ResultContext, lesion: int, region: Region) -> Diameters | None:
    return next(
        (entry.diameters.get(region) for entry in context.findings.measurements if entry.lesion == lesion), None
    )
