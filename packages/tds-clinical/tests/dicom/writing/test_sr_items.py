import pytest
from highdicom.sr import RelationshipTypeValues

from tds_clinical.codes import LONG_AXIS, MILLIMETRE
from tds_clinical.dicom.writing._sr_items import number


@pytest.mark.parametrize(
    ("value", "decimal"),
    [
        (0.1 + 0.2, "0.3"),
        (-123.4567890123456, "-123.456789"),
        (-1.2246467991473532e-16, "-1.224646799e-16"),
        (-4.940656458e-324, "0"),  # in full it would take more than the 16 characters of a decimal string
        (-0.0, "0"),
    ],
)
def test_a_number_has_ten_digits_in_decimal_and_all_of_them_beside_it(value: float, decimal: str) -> None:
    item = number(LONG_AXIS, value, MILLIMETRE, RelationshipTypeValues.CONTAINS)
    (measured,) = item.MeasuredValueSequence
    assert str(measured.NumericValue) == decimal
    assert measured.FloatingPointValue == value


def test_a_count_has_no_digits_to_leave_out() -> None:
    item = number(LONG_AXIS, 512, MILLIMETRE, RelationshipTypeValues.CONTAINS)
    (measured,) = item.MeasuredValueSequence
    assert float(measured.NumericValue) == 512
