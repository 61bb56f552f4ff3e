"""Whose results they are."""

from typing import Final

from pydicom.dataset import Dataset

from tds_clinical.dicom._tags import text
from tds_clinical.errors import ReportError
from tds_clinical.fhir._dates import header_date
from tds_clinical.fhir._names import Json, Names, create_once
from tds_clinical.fhir.options import FhirOptions

_GENDERS: Final = {"M": "male", "F": "female", "O": "other"}


def patient_identifier(header: Dataset, options: FhirOptions) -> Json | None:
    """Return the identifier of a patient, as far as the header knows it.

    Args:
        header: Header of the source.
        options: May name the system.

    Returns:
        The identifier; `None` if the header has no Patient ID.
    """
    value = text(header, "PatientID")
    if not value:
        return None
    identifier: Json = {
        "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]},
        "value": value,
    }
    system = options.patient_identifier_system or _universal_issuer(header)
    if system:
        identifier["system"] = system
    issuer = text(header, "IssuerOfPatientID")
    if issuer:
        identifier["assigner"] = {"display": issuer}
    return identifier


def patient_subject(header: Dataset, names: Names, options: FhirOptions) -> Json:
    """Return the reference to the patient that every resource holds.

    Args:
        header: Header of the source.
        names: Names the resources.
        options: How the patient is referred to.
    """
    if options.patient_reference:
        return {"reference": options.patient_reference}
    if options.create_patient:
        return names.reference("patient")
    identifier = patient_identifier(header, options)
    if identifier is None:
        return {"type": "Patient", "display": "The patient of the images, whose header has no Patient ID"}
    return {"type": "Patient", "identifier": identifier}


def patient_entry(header: Dataset, names: Names, options: FhirOptions) -> Json:
    """Return the entry that makes a Patient unless the server has them.

    Args:
        header: Header of the source.
        names: Names the resources.
        options: What the Patient holds.

    Raises:
        ReportError: If the header has no Patient ID, or nobody is known to have given it out.
    """
    identifier = patient_identifier(header, options)
    if identifier is None or "system" not in identifier:
        message = (
            "a Patient can be created only with a Patient ID and the system that gave it out; the header lacks one "
            "of them: give patient_identifier_system, or a patient_reference"
        )
        raise ReportError(message)
    patient: Json = {"resourceType": "Patient", "identifier": [identifier]}
    if options.include_demographics:
        patient |= _demographics(header)
    return create_once(names.full_url("patient"), patient, identifier)


def _universal_issuer(header: Dataset) -> str | None:
    """Return the URI of who gave out the Patient ID, if the header names it by an OID (PS3.3, section C.7.1.1)."""
    for item in header.get("IssuerOfPatientIDQualifiersSequence") or ():
        if text(item, "UniversalEntityIDType") == "ISO" and text(item, "UniversalEntityID"):
            return f"urn:oid:{text(item, 'UniversalEntityID')}"
    return None


def _demographics(header: Dataset) -> Json:
    found: Json = {}
    name = header.get("PatientName")
    family = str(getattr(name, "family_name", "") or "")
    given = [part for part in (getattr(name, "given_name", ""), getattr(name, "middle_name", "")) if part]
    if family or given:
        found["name"] = [({"family": family} if family else {}) | ({"given": given} if given else {})]
    gender = _GENDERS.get(text(header, "PatientSex").upper())
    if gender:
        found["gender"] = gender
    birth_date = header_date(header, "PatientBirthDate")
    if birth_date:
        found["birthDate"] = birth_date
    return found
