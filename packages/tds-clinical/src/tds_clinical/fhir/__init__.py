"""Results as FHIR resources, and to a server."""

from tds_clinical.fhir._transport import check_address
from tds_clinical.fhir.bundle import build_bundle
from tds_clinical.fhir.options import FhirOptions, FhirVersion, PushOptions, Signature
from tds_clinical.fhir.push import PushResult, push_bundle

__all__ = [
    "FhirOptions",
    "FhirVersion",
    "PushOptions",
    "PushResult",
    "Signature",
    "build_bundle",
    "check_address",
    "push_bundle",
]
