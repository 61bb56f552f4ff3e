"""Results as one FHIR transaction: everything is filed, or nothing."""

from collections.abc import Sequence

from tds_clinical.dicom.writing.objects import ObjectReference
from tds_clinical.fhir._device import device_entry
from tds_clinical.fhir._imaging_study import imaging_study_entry
from tds_clinical.fhir._names import Json, Names
from tds_clinical.fhir._observations import observation_entries
from tds_clinical.fhir._parts import Parts
from tds_clinical.fhir._patient import patient_entry, patient_subject
from tds_clinical.fhir._r5 import imaging_selection_entries, refer_to_selections, to_r5
from tds_clinical.fhir._report import provenance_entry, report_entry
from tds_clinical.fhir._validation import validated
from tds_clinical.fhir.options import FhirOptions, FhirVersion
from tds_clinical.findings import ResultContext

_RESULTS = frozenset({"DiagnosticReport", "Observation", "ImagingSelection"})


def build_bundle(
    context: ResultContext, objects: Sequence[ObjectReference], *, options: FhirOptions | None = None
) -> Json:
    """Return results as a FHIR transaction bundle.

    It holds a DiagnosticReport, its Observations, the ImagingStudy, the model as a Device and a Provenance; a Patient
    and, in R5, ImagingSelections on request. Entries stand in the order of their references: each refers to earlier
    ones only. Sent twice, it makes nothing twice: each resource is created only if the server has none with its
    identifier, which comes from `context.uids`.

    Args:
        context: What is told.
        objects: The written DICOM objects that tell it too.
        options: The release of FHIR, the patient, the signature.

    Returns:
        Plain JSON types.

    Raises:
        ClinicalDependency: If the extra `fhir` is not installed.
        ReportError: If the header or the options do not allow a valid bundle.
    """
    chosen = options or FhirOptions()
    header, names = context.source.header, Names(context.uids)
    parts = Parts(
        context=context,
        objects=tuple(objects),
        options=chosen,
        names=names,
        subject=patient_subject(header, names, chosen),
    )
    entries = [patient_entry(header, names, chosen)] if chosen.create_patient else []
    entries += [imaging_study_entry(parts), device_entry(parts)]
    observations = observation_entries(parts)
    if chosen.version is FhirVersion.R5:
        entries += imaging_selection_entries(parts)
        refer_to_selections(parts, observations)
    entries += [*observations, report_entry(parts)]
    results = [entry["fullUrl"] for entry in entries if entry["resource"]["resourceType"] in _RESULTS]
    entries.append(provenance_entry(parts, results))
    if chosen.version is FhirVersion.R5:
        entries = [entry | {"resource": to_r5(entry["resource"])} for entry in entries]
    return validated({"resourceType": "Bundle", "type": "transaction", "entry": entries}, chosen.version)
