"""Who is who inside a bundle: full URLs, identifiers that last, and requests that make nothing twice.

A UID `2.25.N` and a UUID are the same number in two spellings (PS3.5, section B.2). The full URL of an entry is the
UUID; the identifier that stays with the resource is the UID, so that a server which replaces full URLs by its own
references leaves identifiers alone.
"""

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from tds_clinical.uids import Uids

Json = dict[str, Any]
"""A JSON object."""

URI_SYSTEM: Final = "urn:ietf:rfc:3986"
"""The system of identifiers that are URIs."""

DICOM_UID_SYSTEM: Final = "urn:dicom:uid"
"""The system of identifiers that are DICOM UIDs."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names the resources of one bundle.

    Attributes:
        uids: Makes the results' identifiers.
    """

    uids: Uids

    def uid(self, *parts: str | int) -> str:
        """Return the UID of a resource.

        Args:
            parts: What it is, such as `"observation", 1, "ET"`.
        """
        return str(self.uids.make("fhir", *parts))

    def full_url(self, *parts: str | int) -> str:
        """Return the full URL of a resource inside the bundle.

        Args:
            parts: As `uid`.
        """
        return UUID(int=int(self.uid(*parts).rpartition(".")[2])).urn

    def reference(self, *parts: str | int) -> Json:
        """Return a reference to a resource of the bundle.

        Args:
            parts: As `uid`.
        """
        return {"reference": self.full_url(*parts)}

    def identifier(self, *parts: str | int) -> Json:
        """Return the identifier that a resource keeps wherever it goes.

        Args:
            parts: As `uid`.
        """
        return uid_identifier(self.uid(*parts), system=URI_SYSTEM)


def uid_identifier(uid: str, *, system: str = DICOM_UID_SYSTEM) -> Json:
    """Return a UID as a FHIR identifier.

    Args:
        uid: The UID.
        system: Who reads it.
    """
    return {"system": system, "value": f"urn:oid:{uid}"}


def create_once(full_url: str, resource: Json, identifier: Json) -> Json:
    """Return an entry that makes a resource unless the server has one with this identifier.

    Args:
        full_url: Its full URL.
        resource: The resource.
        identifier: Identifier with a system and a value.
    """
    kind = resource["resourceType"]
    request = {"method": "POST", "url": kind, "ifNoneExist": f"identifier={_token(identifier)}"}
    return {"fullUrl": full_url, "resource": resource, "request": request}


def create_once_by_tag(full_url: str, resource: Json, tag: Json) -> Json:
    """Return an entry that makes a resource unless the server has one with this tag, for kinds without identifiers.

    Args:
        full_url: Its full URL.
        resource: The resource.
        tag: One of its tags, a coding.
    """
    token = _token({"system": tag["system"], "value": tag["code"]})
    request = {"method": "POST", "url": resource["resourceType"], "ifNoneExist": f"_tag={token}"}
    return {"fullUrl": full_url, "resource": resource, "request": request}


def create_or_replace(full_url: str, resource: Json, identifier: Json) -> Json:
    """Return an entry that makes a resource, or replaces what the server has with this identifier.

    Args:
        full_url: Its full URL.
        resource: The resource.
        identifier: Identifier with a system and a value.
    """
    url = f"{resource['resourceType']}?identifier={_token(identifier)}"
    return {"fullUrl": full_url, "resource": resource, "request": {"method": "PUT", "url": url}}


def _token(identifier: Json) -> str:
    """Return a search token (R4, section 3.1.1.4.10), its special characters escaped and the whole percent-encoded."""
    parts = (_escaped(identifier["system"]), _escaped(identifier["value"]))
    return quote("|".join(parts), safe="|:")


def _escaped(text: str) -> str:
    for character in "\\$,|":
        text = text.replace(character, f"\\{character}")
    return text
