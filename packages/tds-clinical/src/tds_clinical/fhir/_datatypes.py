"""The data types of FHIR that the resources are made of."""

from collections.abc import Iterable
from datetime import datetime
from html import escape
from typing import Final

from tds_clinical.codes import Code
from tds_clinical.fhir._names import Json

_SYSTEMS: Final = {
    "SCT": "http://snomed.info/sct",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "NCIt": "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl",
    "LN": "http://loinc.org",
}
"""URI of each coding scheme designator."""

UCUM: Final = "http://unitsofmeasure.org"
"""The system of units."""

_DIGITS: Final = 6


def coding(code: Code) -> Json:
    """Return a code of DICOM's as a coding.

    Args:
        code: The code.
    """
    return {"system": _SYSTEMS[code.scheme], "code": code.value, "display": code.meaning}


def concept(*codings: Json, text: str | None = None) -> Json:
    """Return a codeable concept.

    Args:
        codings: Its codings, which all mean the same.
        text: It in words.
    """
    found: Json = {"coding": list(codings)} if codings else {}
    return found | ({"text": text} if text else {})


def quantity(value: float, unit: str) -> Json:
    """Return a number with its unit, to six significant digits.

    Args:
        value: The number.
        unit: A UCUM code, which is shown as well.
    """
    return {"value": float(f"{value:.{_DIGITS}g}"), "unit": unit, "system": UCUM, "code": unit}


def instant(moment: datetime) -> str:
    """Return a time with its zone, to the second.

    Args:
        moment: The time; one without a zone is of the machine's own.
    """
    return moment.astimezone(moment.tzinfo).isoformat(timespec="seconds")


def narrative(sentences: Iterable[str]) -> Json:
    """Return text for people, one paragraph a sentence.

    Args:
        sentences: Plain text.
    """
    body = "".join(f"<p>{escape(sentence, quote=False)}</p>" for sentence in sentences)
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{body}</div>'}
