import re

import pytest

from tds_data import Severity
from tds_data.quality.codes import CODES, flag


def test_codes_are_well_formed_and_say_what_to_do() -> None:
    for name, code in CODES.items():
        assert name == code.name
        assert re.fullmatch(r"[A-Z0-9]+(-[A-Z0-9]+)*", name)
        assert code.meaning
        assert code.advice
        assert not code.meaning.endswith(".")


def test_flag_takes_its_severity_from_the_registry_unless_told() -> None:
    assert flag("SPECKS", "m").severity is Severity.WARNING
    assert flag("SPECKS", "m", severity=Severity.INFO).severity is Severity.INFO
    assert (flag("SPECKS", "m", "v", subject="mask").value, flag("SPECKS", "m", subject="mask").subject) == (
        "v",
        "mask",
    )


def test_code_that_is_not_registered_cannot_be_given() -> None:
    with pytest.raises(KeyError):
        flag("NO-SUCH-CODE", "m")
