"""What a cross-check does when the two sides of it differ: it raises, so that nothing is written."""

from typing import Final

from tds_clinical.errors import ResultsDisagree

_RELATIVE: Final = 1e-9


def agree(subject: str, written: object, expected: object) -> None:
    """Go on if two values that hold no identifier are the same.

    Args:
        subject: What they are values of.
        written: What was read back from the object.
        expected: What the results say.

    Raises:
        ResultsDisagree: If they differ.
    """
    if written != expected:
        message = f"{subject}: the object says {written!r}, the results say {expected!r}; nothing was written"
        raise ResultsDisagree(message)


def agree_identifier(subject: str, written: object, expected: object) -> None:
    """Go on if two identifiers are the same; the error does not show them.

    Args:
        subject: What they identify.
        written: What was read back from the object.
        expected: What the results say.

    Raises:
        ResultsDisagree: If they differ.
    """
    if written != expected:
        message = f"{subject}: the object and the results do not say the same; nothing was written"
        raise ResultsDisagree(message)


def agree_number(
    subject: str, written: float | None, expected: float | None, *, tolerance: float | None = None
) -> None:
    """Go on if two numbers are the same but for rounding.

    Args:
        subject: What they are.
        written: What was read back from the object; `None` for no number.
        expected: What the results say; `None` for no number.
        tolerance: How much they may differ; by default a billionth.

    Raises:
        ResultsDisagree: If they differ, or one of them is not a number.
    """
    if written is not None and expected is not None:
        largest = _RELATIVE * max(1.0, abs(expected)) if tolerance is None else tolerance
        if abs(written - expected) <= largest:  # never true of what is not a number
            return
    elif written is expected:
        return
    message = f"{subject}: the object says {written}, the results say {expected}; nothing was written"
    raise ResultsDisagree(message)
