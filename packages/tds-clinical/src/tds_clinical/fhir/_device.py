"""The model that made the results."""

import base64
import re
from typing import Final

from tds_clinical.dicom.writing.objects import device_uid
from tds_clinical.errors import ReportError
from tds_clinical.fhir._datatypes import narrative
from tds_clinical.fhir._names import URI_SYSTEM, Json, create_once
from tds_clinical.fhir._parts import RESEARCH, Parts
from tds_clinical.fhir._wording import MODEL_NOTICE
from tds_data.report import ModelIdentity

_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.IGNORECASE)


def device_entry(parts: Parts) -> Json:
    """Return the entry of the model, which is made unless the server has this very model and software.

    Results of all patients share it, so nothing in it is of one of them.

    Args:
        parts: What is told.

    Raises:
        ReportError: If the model's hash is no SHA-256.
    """
    model, equipment = parts.context.findings.report.model, parts.context.equipment
    hashed = hash_uri(model.sha256)
    software = equipment.software or (model.version,)
    identifier = {"system": URI_SYSTEM, "value": f"urn:oid:{device_uid(parts.context)}"}
    device: Json = {
        "resourceType": "Device",
        "meta": {"security": [dict(RESEARCH)]},
        "text": narrative([_words(model), MODEL_NOTICE]),
        "identifier": [identifier, {"system": URI_SYSTEM, "value": hashed}],
        "status": "active",
        "manufacturer": equipment.manufacturer,
        "deviceName": [
            {"name": model.name, "type": "user-friendly-name"},
            {"name": equipment.model_name, "type": "model-name"},
        ],
        "modelNumber": model.name,
        "serialNumber": equipment.serial_number,
        "type": {"text": "Software that segments brain tumours in MR images"},
        "version": [
            {"type": {"text": "model"}, "value": model.version},
            {"type": {"text": "SHA-256 of the model's manifest"}, "value": model.sha256},
            *({"type": {"text": "software"}, "value": one} for one in software),
        ],
        "note": [{"text": MODEL_NOTICE}, {"text": f"Licence of the weights: {model.licence}"}],
    }
    return create_once(parts.names.full_url("device"), device, identifier)


def hash_uri(sha256: str) -> str:
    """Return the name of something with this hash (RFC 6920).

    Args:
        sha256: 64 hexadecimal digits.

    Raises:
        ReportError: If it is something else.
    """
    if not _SHA256.fullmatch(sha256):
        raise ReportError("the model's hash is no SHA-256 of 64 hexadecimal digits, so the model cannot be named by it")
    digest = base64.urlsafe_b64encode(bytes.fromhex(sha256)).decode().rstrip("=")
    return f"ni:///sha-256;{digest}"


def _words(model: ModelIdentity) -> str:
    return f"Model {model.name} {model.version} ({model.architecture}), licence {model.licence}."
