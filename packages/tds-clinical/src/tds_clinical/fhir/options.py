"""What can be chosen about results as FHIR, and about how they are sent."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path


class FhirVersion(StrEnum):
    """Which release of FHIR a bundle is for."""

    R4 = "R4"
    R5 = "R5"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """Who answers for a result, and since when.

    Attributes:
        practitioner: Reference that the server knows, such as `Practitioner/42`.
        signed_at: When, with a time zone.

    Raises:
        ValueError: If the time has no time zone or the reference is empty.
    """

    practitioner: str
    signed_at: datetime

    def __post_init__(self) -> None:
        if self.signed_at.tzinfo is None:
            raise ValueError("the time of signing has no time zone; add one")
        if not self.practitioner.strip():
            raise ValueError("the reference of who signs is empty; give one such as Practitioner/42")


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirOptions:
    """How a bundle is built.

    By default nothing makes a Patient: the results name theirs by identifier only. A Patient ID means something only
    together with who gave it out, so matching by the bare value could file results under somebody else.

    Attributes:
        version: Release of FHIR.
        signature: Makes the report and its observations final; they are preliminary without one.
        pdf: The report for people, to be held in the bundle.
        patient_reference: The patient as the server knows them, such as `Patient/17`; used in place of an identifier.
        patient_identifier_system: URI of who gave out the Patient ID, such as `urn:oid:1.2.276.0.76.3.1`; by default
            what the header says, if it names one that is unique in the world.
        create_patient: Whether a Patient is made if the server has none with this identifier; needs the system.
        include_demographics: Whether that Patient has the header's name, birth date and sex.
        endpoint_reference: Where the images can be had, as the server knows it, such as `Endpoint/3`.

    Raises:
        ValueError: If options contradict each other.
    """

    version: FhirVersion = FhirVersion.R4
    signature: Signature | None = None
    pdf: bytes | None = None
    patient_reference: str | None = None
    patient_identifier_system: str | None = None
    create_patient: bool = False
    include_demographics: bool = False
    endpoint_reference: str | None = None

    def __post_init__(self) -> None:
        if self.create_patient and self.patient_reference is not None:
            raise ValueError("a patient who is referred to cannot be created as well; leave one of the two out")
        if self.include_demographics and not self.create_patient:
            raise ValueError("demographics are written into a Patient only; add create_patient")


@dataclass(frozen=True, slots=True, kw_only=True)
class PushOptions:
    """How a bundle is sent.

    Attributes:
        token: Bearer token, if the server wants one; it is never shown.
        timeout_s: Seconds to wait for a connection, and for the answer.
        retries: How often to try again when the server is busy or cannot be reached.
        backoff_s: Seconds before the first retry; each further one waits twice as long.
        verify: Whether the server's certificate is checked.
        ca_file: Certificates to check it with, in place of the usual ones.
        allow_http: Whether the bundle may go unencrypted to another machine.
        max_entries: Most entries of one transaction, for servers that limit them; more are sent as several, those that
            others refer to first.

    Raises:
        ValueError: If a number is out of range.
    """

    token: str | None = field(default=None, repr=False)
    timeout_s: float = 30.0
    retries: int = 3
    backoff_s: float = 1.0
    verify: bool = True
    ca_file: Path | None = None
    allow_http: bool = False
    max_entries: int | None = None

    def __post_init__(self) -> None:
        if self.timeout_s <= 0 or self.retries < 0 or self.backoff_s < 0:
            raise ValueError("a timeout is more than 0 s, retries and back-off are at least 0")
        if self.max_entries is not None and self.max_entries < 1:
            raise ValueError("a transaction has at least 1 entry")
        if self.token is not None and (not self.token or not self.token.isascii() or not self.token.isprintable()):
            raise ValueError("the token is empty or holds characters that no token has; check where it comes from")
