from datetime import UTC, datetime
from typing import Any

import pytest

from tds_clinical.fhir import FhirOptions, PushOptions, Signature


def test_a_signature_needs_a_time_zone() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        Signature(practitioner="Practitioner/1", signed_at=datetime(2026, 1, 1))  # noqa: DTZ001  # the point


def test_a_signature_needs_somebody() -> None:
    with pytest.raises(ValueError, match="reference of who signs is empty"):
        Signature(practitioner=" ", signed_at=datetime(2026, 1, 1, tzinfo=UTC))


def test_a_patient_is_referred_to_or_created_not_both() -> None:
    with pytest.raises(ValueError, match="cannot be created as well"):
        FhirOptions(patient_reference="Patient/1", create_patient=True)


def test_demographics_need_a_patient_to_be_written_into() -> None:
    with pytest.raises(ValueError, match="add create_patient"):
        FhirOptions(include_demographics=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timeout_s": 0}, "timeout"),
        ({"retries": -1}, "retries"),
        ({"backoff_s": -0.1}, "back-off"),
        ({"max_entries": 0}, "at least 1 entry"),
        ({"token": ""}, "token is empty"),
        ({"token": "a\r\nX-Other: b"}, "characters that no token has"),
        ({"token": "schlüssel"}, "characters that no token has"),
    ],
)
def test_what_cannot_be_sent_with_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        PushOptions(**options)
    assert "Other" not in str(caught.value)


def test_a_token_is_not_shown() -> None:
    assert "secret" not in repr(PushOptions(token="secret"))  # noqa: S106  # none that opens anything
