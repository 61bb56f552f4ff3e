"""What every builder of resources is given."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tds_clinical.dicom._tags import text
from tds_clinical.dicom.writing.objects import ObjectReference
from tds_clinical.fhir._dates import study_started
from tds_clinical.fhir._names import Json, Names
from tds_clinical.fhir._wording import notice
from tds_clinical.fhir.options import FhirOptions
from tds_clinical.findings import ResultContext

_REASONS: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
RESEARCH: Final = {"system": _REASONS, "code": "HRESCH", "display": "healthcare research"}
"""The label of what may be used for research only."""

_TEST: Final = {"system": _REASONS, "code": "HTEST", "display": "test health data"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parts:
    """What every builder of resources is given.

    Attributes:
        context: What is told.
        objects: The DICOM objects that tell it too.
        options: How.
        names: Names the resources.
        subject: Reference to the patient.
    """

    context: ResultContext
    objects: tuple[ObjectReference, ...]
    options: FhirOptions
    names: Names
    subject: Json

    @property
    def notice(self) -> str:
        """What must be said with every result."""
        return notice(self.context.findings.report, self.options)

    @property
    def status(self) -> str:
        """Status of the report and of its observations."""
        return "preliminary" if self.options.signature is None else "final"

    @property
    def issued_at(self) -> datetime:
        """When this version of the results was given out: when it was signed or, before that, made."""
        signature = self.options.signature
        return self.context.made_at if signature is None else signature.signed_at

    @property
    def effective(self) -> Json:
        """When what was measured was so: when the study was made, if that is known."""
        started = study_started(self.context.source.header)
        return {"effectiveDateTime": started} if started else {}

    @property
    def meta(self) -> Json:
        """Labels that say in code what the notice says: for research; for a phantom, test data."""
        phantom = self.context.findings.report.phantom
        return {"security": [dict(RESEARCH), *([dict(_TEST)] if phantom else [])]}

    @property
    def based_on(self) -> Json:
        """The order that the study answers, if the header has its accession number."""
        number = text(self.context.source.header, "AccessionNumber")
        if not number:
            return {}
        kind = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}]}
        return {"basedOn": [{"type": "ServiceRequest", "identifier": {"type": kind, "value": number}}]}
