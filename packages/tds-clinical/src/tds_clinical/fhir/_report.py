"""The report that holds the results together, and where it comes from."""

import base64
from typing import Final

from tds_clinical.codes import Code
from tds_clinical.fhir._datatypes import coding, concept, instant, narrative
from tds_clinical.fhir._names import URI_SYSTEM, Json, create_once, create_once_by_tag, create_or_replace
from tds_clinical.fhir._observations import Name, result_names
from tds_clinical.fhir._parts import Parts
from tds_clinical.fhir._wording import finding_words, warning_words

RADIOLOGY: Final = Code("LP29684-5", "LN", "Radiology")
BRAIN_MRI: Final = Code("24590-2", "LN", "MR Brain")

_REPORT: Final[Name] = ("report",)
_PARTICIPANT: Final = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
_RADIOLOGY_SECTION: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/v2-0074",
    "code": "RAD",
    "display": "Radiology",
}


def report_entry(parts: Parts) -> Json:
    """Return the entry of the report.

    Args:
        parts: What is told.
    """
    findings, names, signature = parts.context.findings, parts.names, parts.options.signature
    found = finding_words(findings.report)
    warnings = warning_words(findings.report)
    identifier = names.identifier(*_REPORT)
    report: Json = {
        "resourceType": "DiagnosticReport",
        "meta": parts.meta,
        "text": narrative([*found, *warnings, parts.notice]),
        "identifier": [identifier],
        **parts.based_on,
        "status": parts.status,
        "category": [concept(coding(RADIOLOGY)), concept(dict(_RADIOLOGY_SECTION))],
        "code": concept(coding(BRAIN_MRI), text="MR of the brain: automatic segmentation of tumours"),
        "subject": parts.subject,
        **parts.effective,
        "issued": instant(parts.issued_at),
        "result": [names.reference(*name) for name in result_names(findings.report)],
        "imagingStudy": [names.reference("study")],
        "conclusion": " ".join([parts.notice, *found, *warnings]),
    }
    if signature is not None:
        report["resultsInterpreter"] = [{"reference": signature.practitioner}]
    if parts.options.pdf is not None:
        report["presentedForm"] = [_attachment(parts, parts.options.pdf)]
    request = create_once if signature is None else create_or_replace
    return request(names.full_url(*_REPORT), report, identifier)


def provenance_entry(parts: Parts, targets: list[str]) -> Json:
    """Return the entry that says what the results were made from, by what, and who signed.

    A Provenance has no identifier in R4, so it is found again by a tag.

    Args:
        parts: What is told.
        targets: Full URLs of the results.
    """
    names, signature = parts.names, parts.options.signature
    name: Name = ("provenance", parts.status)
    tag = {"system": URI_SYSTEM, "code": f"urn:oid:{names.uid(*name)}"}
    agents = [_agent("assembler", "Assembler", names.reference("device"))]
    if signature is not None:
        agents.append(_agent("verifier", "Verifier", {"reference": signature.practitioner}))
    create = {"system": "http://terminology.hl7.org/CodeSystem/v3-DataOperation", "code": "CREATE", "display": "create"}
    provenance: Json = {
        "resourceType": "Provenance",
        "meta": parts.meta | {"tag": [tag]},
        "text": narrative(["Results of an automatic segmentation, made from the images of the study.", parts.notice]),
        "target": [{"reference": target} for target in targets],
        "recorded": instant(parts.issued_at),
        "activity": concept(create),
        "agent": agents,
        "entity": [{"role": "source", "what": names.reference("study")}],
    }
    return create_once_by_tag(names.full_url(*name), provenance, tag)


def _agent(code: str, display: str, who: Json) -> Json:
    return {"type": concept({"system": _PARTICIPANT, "code": code, "display": display}), "who": who}


def _attachment(parts: Parts, pdf: bytes) -> Json:
    return {
        "contentType": "application/pdf",
        "data": base64.b64encode(pdf).decode(),
        "title": f"Segmentation of brain tumours. {parts.notice}",
        "creation": instant(parts.issued_at),
    }
