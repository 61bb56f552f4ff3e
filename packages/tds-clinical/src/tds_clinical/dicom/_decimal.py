"""Numbers as decimal strings (PS3.5, section 6.2: at most 16 characters)."""

from typing import Final

from pydicom.valuerep import format_number_as_ds

_MOST_CHARACTERS: Final = 16


def decimal(value: float) -> str:
    """Return a number as a decimal string with as many digits as fit.

    pydicom's own strings are a character too long where rounding carries a number just below a power of ten over it.

    Args:
        value: A finite number.

    Examples:
        >>> decimal(-9.999999999999993)
        '-10'
    """
    text = format_number_as_ds(float(value))
    return text if len(text) <= _MOST_CHARACTERS else f"{value:.10g}"
