"""The measurements as a structured report: Comprehensive 3D SR by TID 1500 (PS3.3, section A.35.13; PS3.16, TID 1500).

The document is complete, preliminary and unverified, its observer is a device: no person has seen it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Final

from highdicom.sr import (
    CodeContentItem,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    DeviceObserverIdentifyingAttributes,
    LanguageOfContentItemAndDescendants,
    ObservationContext,
    ObserverContext,
    RelationshipTypeValues,
)
from pydicom.dataset import Dataset
from pydicom.uid import Comprehensive3DSRStorage

from tds_clinical.codes import ABSENT, IMAGING_MEASUREMENT_REPORT, MR_BRAIN, REGION_CODES, Code
from tds_clinical.dicom.writing._image_library import image_library
from tds_clinical.dicom.writing._measurement_groups import Group, is_inside, region_groups, segment_groups, total_groups
from tds_clinical.dicom.writing._sr_items import comment, concept, container, evaluation
from tds_clinical.dicom.writing.objects import (
    add_equipment,
    add_file_meta,
    add_patient_and_study,
    device_uid,
    instance_item,
    local_time,
    stamp,
)
from tds_clinical.errors import ResultsDisagree
from tds_clinical.findings import ResultContext
from tds_data.report import RESEARCH_USE_NOTICE, Interval, LesionReport, QualityFlag
from tds_data.vocabulary import Region

_ENGLISH: Final = Code("en", "RFC5646", "English")  # CID 5000
_DEVICE: Final = Code("121007", "DCM", "Device")  # CID 270
_PROCEDURE_REPORTED: Final = Code("121058", "DCM", "Procedure reported")
_IMAGING_MEASUREMENTS: Final = Code("126010", "DCM", "Imaging Measurements")
_NOT_IN_THE_CONTENT: Final = frozenset({"case", "dice", "timings_s"})
_QUALITATIVE_EVALUATIONS: Final = Code("C0034375", "UMLS", "Qualitative Evaluations")


def build_structured_report(context: ResultContext, segmentation: Dataset | None) -> Dataset:
    """Return the structured report of what was found.

    Args:
        context: What it is about.
        segmentation: The object that holds the segments; `None` only if nothing was found.

    Raises:
        ResultsDisagree: If there are segments to refer to and no object that holds them.
    """
    root = _root(context, segmentation)
    dataset = Dataset()
    add_patient_and_study(dataset, context)
    add_equipment(dataset, context)
    stamp(dataset, local_time(context), "InstanceCreation", "Content", "Series")
    dataset.Modality = "SR"
    dataset.SeriesInstanceUID = context.uids.make("sr", "series")
    dataset.SeriesNumber = context.first_series_number + 1
    dataset.SeriesDescription = "Measurements (research use only)"
    dataset.ReferencedPerformedProcedureStepSequence = []
    dataset.SOPClassUID = Comprehensive3DSRStorage
    dataset.InstanceNumber = 1
    dataset.CompletionFlag = "COMPLETE"
    dataset.PreliminaryFlag = "PRELIMINARY"
    dataset.VerificationFlag = "UNVERIFIED"
    dataset.PerformedProcedureCodeSequence = []
    dataset.CurrentRequestedProcedureEvidenceSequence = [_evidence(context, segmentation)]
    dataset.update(root)
    dataset.SOPInstanceUID = context.uids.make("sr", "instance", _digest(context, segmentation))
    add_file_meta(dataset)
    return dataset


def _root(context: ResultContext, segmentation: Dataset | None) -> ContainerContentItem:
    if segmentation is None and context.findings.segments:
        message = (
            f"the report has {len(context.findings.segments)} segments and no segmentation object to refer to; "
            "build the segmentation first"
        )
        raise ResultsDisagree(message)
    root = ContainerContentItem(name=concept(IMAGING_MEASUREMENT_REPORT), template_id="1500")
    groups = [] if segmentation is None else _lesion_groups(context, segmentation)
    groups += total_groups(context, segmentation)
    procedure = CodeContentItem(
        name=concept(_PROCEDURE_REPORTED),
        value=concept(MR_BRAIN),
        relationship_type=RelationshipTypeValues.HAS_CONCEPT_MOD,
    )
    root.ContentSequence = ContentSequence(
        [
            *LanguageOfContentItemAndDescendants(concept(_ENGLISH)),
            *_observer(context),
            procedure,
            image_library(context.source),
            container(_IMAGING_MEASUREMENTS, [item for group in groups for item in group]),
            container(_QUALITATIVE_EVALUATIONS, _evaluations(context.findings.report)),
        ]
    )
    return root


def _lesion_groups(context: ResultContext, segmentation: Dataset) -> list[Group]:
    return [*segment_groups(context, segmentation), *region_groups(context, segmentation)]


def _observer(context: ResultContext) -> ObservationContext:
    made_by, model = context.equipment, context.findings.report.model
    device = DeviceObserverIdentifyingAttributes(
        uid=device_uid(context),
        name=f"{model.name} {model.version}",
        manufacturer_name=made_by.manufacturer,
        model_name=made_by.model_name,
        serial_number=made_by.serial_number,
    )
    observer = ObserverContext(observer_type=concept(_DEVICE), observer_identifying_attributes=device)
    return ObservationContext(observer_person_context=None, observer_device_context=observer)


def _evaluations(report: LesionReport) -> list[ContentItem]:
    items: list[ContentItem] = [comment(RESEARCH_USE_NOTICE)]
    if report.phantom:
        items.append(comment("The images are those of a synthetic phantom, not of a patient."))
    if not report.lesions:
        items += [evaluation(REGION_CODES[Region.WT], ABSENT), comment("No lesion was found by the software.")]
    items.append(comment(f"Sequences used: {', '.join(report.modalities)}."))
    return [*items, *map(comment, _intervals(report)), *(comment(_flag(flag)) for flag in report.quality)]


def _intervals(report: LesionReport) -> list[str]:
    sentences = [f"Intervals of volumes: {report.interval_method}."] if report.interval_method else []
    sentences += _outside("all lesions", report.volume_ml, report.volume_interval_ml)
    for lesion in report.lesions:
        sentences += _outside(f"lesion {lesion.number}", lesion.volume_ml, lesion.volume_interval_ml)
    return sentences


def _outside(subject: str, volume_ml: Mapping[Region, float], intervals: Mapping[Region, Interval] | None) -> list[str]:
    """Say the intervals that do not hold their number, which TID 310 has no properties for."""
    return [
        f"Interval of the volume of {subject}, {region.upper()}: {low:.3f} to {high:.3f} mL, "
        f"which does not hold the measured {volume_ml[region]:.3f} mL."
        for region, (low, high) in (intervals or {}).items()
        if not is_inside(volume_ml[region], (low, high))
    ]


def _flag(flag: QualityFlag) -> str:
    subject = f" ({flag.subject})" if flag.subject else ""
    value = f" Value: {flag.value}." if flag.value else ""
    return f"Quality {flag.severity} {flag.code}{subject}: {flag.message}{value}"


def _evidence(context: ResultContext, segmentation: Dataset | None) -> Dataset:
    study = Dataset()
    study.StudyInstanceUID = context.source.header.StudyInstanceUID
    groups = [list(context.source.headers)]
    if segmentation is not None:
        groups.append([segmentation])
    study.ReferencedSeriesSequence = [_series_evidence(group) for group in groups]
    return study


def _series_evidence(images: list[Dataset]) -> Dataset:
    series = Dataset()
    series.SeriesInstanceUID = images[0].SeriesInstanceUID
    series.ReferencedSOPSequence = [instance_item(image) for image in images]
    return series


def _digest(context: ResultContext, segmentation: Dataset | None) -> str:
    """Return a hash of all that the content is made from, so that one UID never names two documents."""
    findings = context.findings
    report = findings.report.to_dict()
    said = {
        "report": {key: value for key, value in report.items() if key not in _NOT_IN_THE_CONTENT},
        "measurements": [asdict(measurement) for measurement in findings.measurements],
        "tracking": [[segment.tracking_id, segment.tracking_uid, segment.voxels] for segment in findings.segments],
        "lesions": sorted(findings.lesion_uids.items()),
        "equipment": asdict(context.equipment),
        "source": [str(header.SOPInstanceUID) for header in context.source.headers],
        "segmentation": None if segmentation is None else str(segmentation.SOPInstanceUID),
        "made at": context.made_at.isoformat(),
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=float).encode()).hexdigest()
