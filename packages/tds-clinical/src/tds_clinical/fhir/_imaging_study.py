"""The study that the results are of, and the objects that were added to it."""

import re
from collections import defaultdict
from typing import Final

from pydicom.dataset import Dataset
from pydicom.uid import UID

from tds_clinical.codes import BRAIN
from tds_clinical.dicom._tags import number, text
from tds_clinical.dicom.writing.objects import ObjectReference
from tds_clinical.errors import ReportError
from tds_clinical.fhir._datatypes import coding
from tds_clinical.fhir._dates import study_started
from tds_clinical.fhir._names import URI_SYSTEM, Json, create_once, uid_identifier
from tds_clinical.fhir._parts import Parts

_DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"

_UID: Final = re.compile(r"[0-9.]{1,64}")
_MR: Final = "MR"  # what all classes of images are that can be read
_MOST_NUMBER: Final = 2**31 - 1


def imaging_study_entry(parts: Parts) -> Json:
    """Return the entry of the study, which is made unless the server has it.

    It lists the series that was segmented and those that were written, not the study's others: how many there are in
    all is left open.

    Args:
        parts: What is told.

    Raises:
        ReportError: If the header does not name the study.
    """
    header = parts.context.source.header
    series = [_source_series(parts.context.source.headers), *_written_series(parts.objects)]
    study_uid = text(header, "StudyInstanceUID")
    if not _UID.fullmatch(study_uid):
        raise ReportError("the header has no Study Instance UID of digits and dots, so the study cannot be named")
    identifier = uid_identifier(study_uid)
    study: Json = {
        "resourceType": "ImagingStudy",
        "identifier": [identifier],
        "status": "available",
        "modality": _distinct([one["modality"] for one in series]),
        "subject": parts.subject,
        **parts.based_on,
        "series": series,
    }
    started = study_started(header)
    if started:
        study["started"] = started
    if parts.options.endpoint_reference:
        study["endpoint"] = [{"reference": parts.options.endpoint_reference}]
    return create_once(parts.names.full_url("study"), study, identifier)


def _source_series(headers: tuple[Dataset, ...]) -> Json:
    first = headers[0]
    instances = [
        _instance(text(header, "SOPInstanceUID"), text(header, "SOPClassUID"), number(header, "InstanceNumber"))
        for header in headers
    ]
    series = _series(text(first, "SeriesInstanceUID"), text(first, "Modality") or _MR, instances)
    counted = number(first, "SeriesNumber")
    if counted is not None and 0 <= counted <= _MOST_NUMBER:
        series["number"] = int(counted)
    return series


def _written_series(objects: tuple[ObjectReference, ...]) -> list[Json]:
    by_series: dict[str, list[ObjectReference]] = defaultdict(list)
    for written in objects:
        by_series[written.series_uid].append(written)
    return [
        _series(uid, members[0].modality, [_instance(one.sop_instance_uid, one.sop_class_uid, None) for one in members])
        for uid, members in by_series.items()
    ]


def _series(uid: str, modality: str, instances: list[Json]) -> Json:
    return {
        "uid": uid,
        "modality": {"system": _DCM, "code": modality},
        "numberOfInstances": len(instances),
        "bodySite": coding(BRAIN),
        "instance": instances,
    }


def _instance(uid: str, sop_class: str, counted: float | None) -> Json:
    kind = {"system": URI_SYSTEM, "code": f"urn:oid:{sop_class}", "display": UID(sop_class).name}
    instance: Json = {"uid": uid, "sopClass": kind}
    if counted is not None and 0 <= counted <= _MOST_NUMBER:
        instance["number"] = int(counted)
    return instance


def _distinct(codings: list[Json]) -> list[Json]:
    return list({one["code"]: one for one in codings}.values())
