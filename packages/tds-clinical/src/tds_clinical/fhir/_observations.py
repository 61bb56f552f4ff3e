"""What was measured: the volumes and diameters of each region, of all lesions together and of each one."""

from typing import Final

from tds_clinical.codes import BRAIN, LONG_AXIS, REGION_CODES, SHORT_AXIS, VOLUME, Code
from tds_clinical.errors import ReportError
from tds_clinical.fhir._datatypes import coding, concept, instant, narrative, quantity
from tds_clinical.fhir._names import Json, create_once, create_or_replace, uid_identifier
from tds_clinical.fhir._parts import Parts
from tds_clinical.fhir._wording import flag_words
from tds_clinical.measurement import Diameters
from tds_data.report import Interval, Lesion, LesionReport
from tds_data.vocabulary import REGION_NAMES, REGIONS, Region

FINDING: Final = Code("121071", "DCM", "Finding")
"""Concept name of what a measurement is of, as in TID 1411."""

TRACKING_UID: Final = Code("112040", "DCM", "Tracking Unique Identifier")
"""Concept name of the identifier of the same thing at all times, as in TID 1411."""

MEASUREMENT_GROUP: Final = Code("125007", "DCM", "Measurement Group")
"""Concept name of measurements of one thing, as in TID 1411."""

MEASUREMENT_REPORT: Final = Code("126000", "DCM", "Imaging Measurement Report")
"""Concept name of all measurements, as in TID 1500."""

MILLILITRES: Final = "mL"
MILLIMETRES: Final = "mm"

INTERVAL: Final = "Interval of the volume"

_IMAGING: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/observation-category",
    "code": "imaging",
    "display": "Imaging",
}

Name = tuple[str | int, ...]


def observation_entries(parts: Parts) -> list[Json]:
    """Return the entries of all observations: those that others refer to come first, the summary last.

    Args:
        parts: What is told.
    """
    findings = parts.context.findings
    measured = {one.lesion: one.diameters for one in findings.measurements}
    entries = [_total(parts, region) for region in REGIONS]
    for lesion in findings.report.lesions:
        present = [region for region in REGIONS if lesion.volume_ml[region] > 0]
        entries += [
            _lesion_region(parts, lesion, region, measured.get(lesion.number, {}).get(region)) for region in present
        ]
        entries.append(_lesion(parts, lesion, present))
    return [*entries, _summary(parts)]


def summary_name() -> Name:
    """Return the name of the observation that holds all others."""
    return ("observation", "all")


def result_names(report: LesionReport) -> tuple[Name, ...]:
    """Return the names of the observations that a report lists: the summary, the totals and the lesions.

    Args:
        report: What was found.
    """
    totals = tuple(_total_name(region) for region in REGIONS)
    return (summary_name(), *totals, *(_lesion_name(lesion) for lesion in report.lesions))


def tracking_identifier(uid: str) -> Json:
    """Return the identifier that the same thing has in DICOM objects and at all times.

    Args:
        uid: Tracking UID.
    """
    return {"use": "secondary", "type": concept(coding(TRACKING_UID)), **uid_identifier(uid)}


def region_name(lesion: Lesion, region: Region) -> Name:
    """Return the name of the observation of one region of one lesion.

    Args:
        lesion: The lesion.
        region: The region.
    """
    return ("observation", "lesion", lesion.number, region.value)


def _total(parts: Parts, region: Region) -> Json:
    report = parts.context.findings.report
    words = f"Volume of the {REGION_NAMES[region]}, all lesions together"
    interval = (report.volume_interval_ml or {}).get(region)
    return _entry(
        parts,
        _total_name(region),
        words,
        {
            "code": concept(coding(VOLUME), text=words),
            "valueQuantity": quantity(report.volume_ml[region], MILLILITRES),
            "component": [_finding(region), *_interval(interval, parts)],
        },
    )


def _lesion_region(parts: Parts, lesion: Lesion, region: Region, diameters: Diameters | None) -> Json:
    words = f"Volume of the {REGION_NAMES[region]}, lesion {lesion.number}"
    findings, uids = parts.context.findings, parts.context.uids
    interval = (lesion.volume_interval_ml or {}).get(region)
    return _entry(
        parts,
        region_name(lesion, region),
        words,
        {
            "code": concept(coding(VOLUME), text=words),
            "valueQuantity": quantity(lesion.volume_ml[region], MILLILITRES),
            "component": [_finding(region), *_interval(interval, parts), *_diameters(diameters)],
        },
        tracking_uid=findings.region_uid(lesion.number, region, uids),
    )


def _lesion(parts: Parts, lesion: Lesion, present: list[Region]) -> Json:
    words = f"Measurements of lesion {lesion.number}"
    return _entry(
        parts,
        _lesion_name(lesion),
        words,
        {
            "code": concept(coding(MEASUREMENT_GROUP), text=words),
            "hasMember": [parts.names.reference(*region_name(lesion, region)) for region in present],
        },
        tracking_uid=parts.context.findings.lesion_uids[lesion.number],
    )


def _summary(parts: Parts) -> Json:
    report = parts.context.findings.report
    members = [name for name in result_names(report) if name != summary_name()]
    count = {"code": {"text": "Number of lesions"}, "valueInteger": len(report.lesions)}
    return _entry(
        parts,
        summary_name(),
        "Measurements of all lesions",
        {
            "code": concept(coding(MEASUREMENT_REPORT), text="Measurements of all lesions"),
            "hasMember": [parts.names.reference(*name) for name in members],
            "component": [count],
        },
        notes=tuple(flag_words(flag) for flag in report.quality),
    )


def _entry(
    parts: Parts, name: Name, words: str, content: Json, *, tracking_uid: str | None = None, notes: tuple[str, ...] = ()
) -> Json:
    names, model = parts.names, parts.context.findings.report.model
    identifier = names.identifier(*name)
    observation: Json = {
        "resourceType": "Observation",
        "meta": parts.meta,
        "text": narrative([f"{words}{_value_words(content)}.", *notes, parts.notice]),
        "identifier": [identifier, *([tracking_identifier(tracking_uid)] if tracking_uid else [])],
        "status": parts.status,
        "category": [concept(dict(_IMAGING))],
        "subject": parts.subject,
        **parts.effective,
        "issued": instant(parts.issued_at),
        "bodySite": concept(coding(BRAIN)),
        "method": {"text": f"Automatic segmentation by {model.name} {model.version}"},
        "device": names.reference("device"),
        "note": [{"text": text} for text in (parts.notice, *notes)],
        "derivedFrom": [names.reference("study")],
        **content,
    }
    request = create_once if parts.options.signature is None else create_or_replace
    return request(names.full_url(*name), observation, identifier)


def _finding(region: Region) -> Json:
    what = concept(coding(REGION_CODES[region]), text=REGION_NAMES[region])
    return {"code": concept(coding(FINDING)), "valueCodeableConcept": what}


def _interval(interval: Interval | None, parts: Parts) -> list[Json]:
    if interval is None:
        return []
    low, high = interval
    if not low <= high:
        message = f"the interval of a volume begins at {low} mL and ends at {high} mL; give its lower end first"
        raise ReportError(message)
    method = parts.context.findings.report.interval_method
    words = f"{INTERVAL} ({method})" if method else INTERVAL
    ends = {"low": quantity(low, MILLILITRES), "high": quantity(high, MILLILITRES)}
    return [{"code": {"text": words}, "valueRange": ends}]


def _diameters(diameters: Diameters | None) -> list[Json]:
    if diameters is None:
        return []
    return [
        {"code": concept(coding(code)), "valueQuantity": quantity(length_mm, MILLIMETRES)}
        for code, length_mm in ((LONG_AXIS, diameters.longest_mm), (SHORT_AXIS, diameters.perpendicular_mm))
    ]


def _value_words(content: Json) -> str:
    value = content.get("valueQuantity")
    return f": {value['value']} {value['unit']}" if value else ""


def _lesion_name(lesion: Lesion) -> Name:
    return ("observation", "lesion", lesion.number)


def _total_name(region: Region) -> Name:
    return ("observation", "total", region.value)
