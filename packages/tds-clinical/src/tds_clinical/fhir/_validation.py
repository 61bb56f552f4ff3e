"""Bundles checked against the definitions of FHIR's resources."""

import json
from typing import Any

from tds_clinical.errors import ClinicalDependency, ReportError
from tds_clinical.fhir._names import Json
from tds_clinical.fhir.options import FhirVersion


def validated(bundle: Json, version: FhirVersion) -> Json:
    """Return a bundle as the definitions of its release read and write it.

    `fhir.resources` knows R4B, which has no element or value for the resources used here that R4 lacks.

    Args:
        bundle: Plain JSON types.
        version: Release of FHIR.

    Raises:
        ClinicalDependency: If `fhir.resources` is not installed.
        ReportError: If the bundle is not valid; the message says where, not with which value.
    """
    model = _bundle_model(version)
    from pydantic import ValidationError  # noqa: PLC0415  # comes with the extra `fhir`

    try:
        document = model.model_validate(bundle).model_dump_json()
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        kind = error.errors()[0]["type"]
        message = f"the results do not make a valid {version} bundle: {where} ({kind}); check the header's elements"
        raise ReportError(message) from None  # the cause would show values
    checked: Json = json.loads(document)
    return checked


def _bundle_model(version: FhirVersion) -> Any:  # noqa: ANN401  # a class of an optional dependency
    try:
        from fhir.resources import get_fhir_model_class  # noqa: PLC0415  # an extra
        from fhir.resources.R4B import get_fhir_model_class as get_r4b_model_class  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise ClinicalDependency("fhir.resources", "fhir") from error
    return get_fhir_model_class("Bundle") if version is FhirVersion.R5 else get_r4b_model_class("Bundle")
