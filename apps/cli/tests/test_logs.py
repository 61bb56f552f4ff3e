import logging
import re
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tds_cli.logs import logging_to_stderr, redact, redact_text, set_verbosity

LOGGER = logging.getLogger("tds_cli.tests")


@given(before=st.text(), number=st.from_regex(r"[0-9]{6,12}", fullmatch=True), after=st.text())
def test_long_numbers_never_come_through(before: str, number: str, after: str) -> None:
    assert not re.search(r"\d{6}", redact_text(f"{before}{number}{after}"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("read /home/ada/scans/t1.nii.gz", "read /home/[user]/scans/t1.nii.gz"),
        ("read /Users/ada/t1.nii", "read /Users/[user]/t1.nii"),
        (r"read C:\Users\ada\t1.nii", r"read C:\Users\[user]\t1.nii"),
        ("PatientName=Lovelace^Ada, series 3", "PatientName=[redacted], series 3"),
        ("patient_id: 17 b; next", "patient_id: [redacted]; next"),
        ("series 1.2.840.10008.5.1.4 of 7", "series [uid] of 7"),
        ("born 18151210", "born [digits]"),
        ("240 x 240 x 155 voxels of 1.25 mm", "240 x 240 x 155 voxels of 1.25 mm"),
    ],
)
def test_what_could_identify_a_patient_is_replaced(text: str, shown: str) -> None:
    assert redact_text(text) == shown


def test_fields_named_after_patients_are_replaced_whatever_they_hold() -> None:
    event = {"event": "read", "PatientName": "Ada", "patient_id": 17, "series": 3, "mrn": None}
    redacted = {
        "event": "read",
        "PatientName": "[redacted]",
        "patient_id": "[redacted]",
        "series": 3,
        "mrn": "[redacted]",
    }
    assert redact(None, "info", event) == redacted


def test_only_warnings_are_shown_unless_asked_for_more(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_to_stderr():
        LOGGER.info("quiet")
        LOGGER.warning("loud patient_id=%s", 17)
        set_verbosity(verbose=True)
        LOGGER.info("asked for")
    err = capsys.readouterr().err
    assert "quiet" not in err
    assert "level='warning' logger='tds_cli.tests' event='loud patient_id=[redacted]'" in err
    assert "asked for" in err
    assert len(err.splitlines()) == 2


def test_tracebacks_are_redacted_too(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_to_stderr():
        LOGGER.error("failed", exc_info=ValueError("cannot read /home/ada/19991231"))
    err = capsys.readouterr().err
    assert "ValueError: cannot read /home/[user]/[digits]" in err
    assert "ada" not in err


def test_warnings_of_libraries_go_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with logging_to_stderr():
            warnings.warn("odd value for PatientID: 12", stacklevel=1)
    err = capsys.readouterr().err
    assert "PatientID: [redacted]" in err
    assert "py.warnings" in err


def test_logging_is_as_it_was_afterwards() -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    with logging_to_stderr():
        set_verbosity(verbose=True)
        assert len(root.handlers) == len(before[1]) + 1
    assert (root.level, list(root.handlers)) == before


def test_record_that_cannot_be_formatted_does_not_end_the_work(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    with logging_to_stderr():
        LOGGER.warning("%d", "no number")
        LOGGER.warning("next")
    assert "next" in capsys.readouterr().err
