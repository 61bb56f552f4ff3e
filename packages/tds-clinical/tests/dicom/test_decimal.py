import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tds_clinical.dicom._decimal import decimal


@given(st.floats(-1e15, 1e15))
@example(-9.999999999999993)
@example(99.99999999999999)
@example(-0.99999999999999978)
@example(-2.220446049250313e-16)
def test_a_decimal_string_has_at_most_16_characters_and_says_the_number(value: float) -> None:
    text = decimal(value)
    assert len(text) <= 16
    assert float(text) == pytest.approx(value, rel=1e-8, abs=1e-90)
