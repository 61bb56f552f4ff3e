"""What is different in R5, and the segments, which only R5 can point to."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from tds_clinical.codes import BRAIN, LABEL_CODES, SEGMENTATION
from tds_clinical.dicom._tags import text
from tds_clinical.dicom.writing.objects import ObjectReference
from tds_clinical.fhir._datatypes import coding, concept, instant, narrative
from tds_clinical.fhir._names import URI_SYSTEM, Json, create_once
from tds_clinical.fhir._observations import Name, region_name, tracking_identifier
from tds_clinical.fhir._parts import Parts
from tds_clinical.findings import Segment
from tds_data.vocabulary import REGION_LABELS, REGIONS

_SEGMENTATION: Final = "seg"
_NAME_TYPES: Final = frozenset({"registered-name", "user-friendly-name", "patient-reported-name"})


def imaging_selection_entries(parts: Parts) -> list[Json]:
    """Return an entry for each segment of the written segmentation, none if there is none.

    Args:
        parts: What is told.
    """
    written = [one for one in parts.objects if one.kind == _SEGMENTATION]
    return [_selection(parts, segment, one) for one in written for segment in parts.context.findings.segments]


def refer_to_selections(parts: Parts, entries: list[Json]) -> None:
    """Let the observation of each region of a lesion refer to the segments that make it up.

    Args:
        parts: What is told.
        entries: Entries of observations, changed.
    """
    if not any(one.kind == _SEGMENTATION for one in parts.objects):
        return
    by_url = {entry["fullUrl"]: entry["resource"] for entry in entries}
    findings, names = parts.context.findings, parts.names
    for lesion in findings.report.lesions:
        for region in REGIONS:
            resource = by_url.get(names.full_url(*region_name(lesion, region)))
            inside = [one for one in findings.segments if one.lesion == lesion.number]
            chosen = [one for one in inside if one.label in REGION_LABELS[region]]
            if resource is not None:
                resource["derivedFrom"] += [names.reference(*_name(segment)) for segment in chosen]


def to_r5(resource: Json) -> Json:
    """Return a resource of R4 as R5 has it.

    Args:
        resource: One of the kinds that bundles of results hold.
    """
    change = _CHANGES.get(resource["resourceType"])
    return resource if change is None else change(resource)


def _selection(parts: Parts, segment: Segment, written: ObjectReference) -> Json:
    names, source = parts.names, parts.context.source
    identifier = names.identifier(*_name(segment))
    words = f"Segment {segment.number} of the segmentation: {segment.label.name} of lesion {segment.lesion}."
    selection: Json = {
        "resourceType": "ImagingSelection",
        "meta": parts.meta,
        "text": narrative([words, parts.notice]),
        "identifier": [identifier, tracking_identifier(segment.tracking_uid)],
        "status": "available",
        "subject": parts.subject,
        "issued": instant(parts.context.made_at),
        "category": [concept(coding(LABEL_CODES[segment.label]))],
        "code": concept(coding(SEGMENTATION)),
        "studyUid": text(source.header, "StudyInstanceUID"),
        "derivedFrom": [names.reference("study")],
        "seriesUid": written.series_uid,
        "bodySite": {"concept": concept(coding(BRAIN))},
        "instance": [
            {
                "uid": written.sop_instance_uid,
                "sopClass": {"system": URI_SYSTEM, "code": f"urn:oid:{written.sop_class_uid}"},
                "subset": [str(segment.number)],
            }
        ],
    }
    if source.frame_of_reference_uid:
        selection["frameOfReferenceUid"] = source.frame_of_reference_uid
    return create_once(names.full_url(*_name(segment)), selection, identifier)


def _name(segment: Segment) -> Name:
    return ("selection", segment.number)


def _study(resource: Json) -> Json:
    series = [
        one | {"modality": concept(one["modality"]), "bodySite": {"concept": concept(one["bodySite"])}}
        for one in resource["series"]
    ]
    return resource | {"modality": [concept(one) for one in resource["modality"]], "series": series}


def _device(resource: Json) -> Json:
    kept = {key: value for key, value in resource.items() if key != "deviceName"}
    names = [one for one in resource["deviceName"] if one["type"] in _NAME_TYPES]
    return kept | {
        "name": [{"value": one["name"], "type": one["type"]} for one in names],
        "type": [resource["type"]],
    }


def _report(resource: Json) -> Json:
    kept = {key: value for key, value in resource.items() if key != "imagingStudy"}
    return kept | {"study": resource["imagingStudy"]}


_CHANGES: Final[Mapping[str, Callable[[Json], Json]]] = MappingProxyType(
    {"ImagingStudy": _study, "Device": _device, "DiagnosticReport": _report}
)
