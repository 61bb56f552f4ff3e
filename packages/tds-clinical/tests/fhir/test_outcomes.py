from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tds_clinical.fhir._outcomes import issue_words
from tds_clinical.fhir._plain_words import PLAIN_WORDS


def outcome(**issue: Any) -> dict[str, Any]:
    return {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "invalid", **issue}]}


def test_an_issue_is_told_with_its_kind_place_and_words() -> None:
    words = issue_words(
        outcome(expression=["Observation.component[0].code"], details={"text": "Missing required property"})
    )
    assert words == "error invalid at Observation.component[0].code (missing required property)"


def test_names_numbers_and_addresses_are_left_out() -> None:
    text = "Patient Jane Roe (MRN-4711, jane@example.org) was not found in http://10.0.0.1/Patient/4711"
    assert issue_words(outcome(diagnostics=text)) == "error invalid ([...] was not found in [...])"


def test_words_that_are_all_left_out_are_not_told() -> None:
    assert issue_words(outcome(diagnostics="Roe 4711")) == "error invalid"


def test_places_that_are_no_paths_of_resources_are_left_out() -> None:
    words = issue_words(outcome(expression=["Roe.jane", "Patient.where(name='Roe')", 3, "Bundle.entry[2].resource"]))
    assert words == "error invalid at Bundle.entry[2].resource"


def test_details_are_told_before_diagnostics() -> None:
    assert issue_words(outcome(details={"text": "duplicate"}, diagnostics="missing")) == "error invalid (duplicate)"


def test_at_most_five_issues_are_told() -> None:
    answer = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "invalid"}] * 7}
    assert issue_words(answer) == "; ".join(["error invalid"] * 5 + ["and 2 more"])


@pytest.mark.parametrize(
    "answer",
    [
        None,
        "text",
        [],
        {"resourceType": "Bundle"},
        {"resourceType": "OperationOutcome"},
        {"resourceType": "OperationOutcome", "issue": {"severity": "error"}},
        {"resourceType": "OperationOutcome", "issue": ["error"]},
    ],
)
def test_what_is_no_outcome_has_no_words(answer: object) -> None:
    assert issue_words(answer) == ""


def test_an_issue_of_the_wrong_kinds_is_still_an_issue() -> None:
    assert issue_words(outcome(severity=3, code="Jane Roe", details="x", diagnostics=[1], expression="a")) == "issue"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(text=st.text(), expression=JSON, details=JSON)
def test_no_word_is_told_that_is_not_known_to_be_harmless(text: str, expression: object, details: object) -> None:
    words = issue_words(outcome(diagnostics=text, details=details, expression=expression))
    told = words.removeprefix("error invalid").strip(" ()").replace("[...]", " ").split()
    assert set(told) <= PLAIN_WORDS
