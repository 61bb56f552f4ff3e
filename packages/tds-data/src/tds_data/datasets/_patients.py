"""Which patient a case's name tells."""

import re
from typing import Final

_TIME_POINT: Final = re.compile(r"(?P<patient>BraTS-[A-Za-z]+(?:-[A-Za-z]+)?-\d{4,6})-(?P<session>\d{3})")


def patient_of(case: str) -> str:
    """Return the patient of a case: its name, without the time point that names of BraTS 2023 and later end in.

    Args:
        case: The case's name.

    Examples:
        >>> patient_of("BraTS-GLI-00001-100")
        'BraTS-GLI-00001'
        >>> patient_of("BraTS2021_00002")
        'BraTS2021_00002'
    """
    match = _TIME_POINT.fullmatch(case)
    return case if match is None else match["patient"]


def session_of(case: str) -> str | None:
    """Return the time point that a case's name ends in, if it is named as in BraTS 2023 and later.

    Args:
        case: The case's name.
    """
    match = _TIME_POINT.fullmatch(case)
    return None if match is None else match["session"]
