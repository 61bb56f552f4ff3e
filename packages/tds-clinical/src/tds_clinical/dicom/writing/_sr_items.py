"""Content items of structured reports (PS3.3, section C.17.3), made from our codes."""

from typing import Final

from highdicom.sr import (
    CodeContentItem,
    CodedConcept,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    NumContentItem,
    RelationshipTypeValues,
    TextContentItem,
)
from pydicom.dataset import Dataset

from tds_clinical.codes import COMMENT, Code

_DIGITS: Final = 10
_SMALLEST: Final = 1e-99  # below it, digits and exponent take more than the 16 characters of a decimal string


def concept(code: Code) -> CodedConcept:
    """Return a code as content items hold it.

    Args:
        code: The code.
    """
    return CodedConcept(code.value, code.scheme, code.meaning)


def container(name: Code, items: list[ContentItem]) -> ContainerContentItem:
    """Return a container below another one.

    Args:
        name: What it holds.
        items: Its items, in order; at least one.
    """
    item = ContainerContentItem(name=concept(name), relationship_type=RelationshipTypeValues.CONTAINS)
    item.ContentSequence = ContentSequence(items)
    return item


def evaluation(name: Code, value: Code) -> CodeContentItem:
    """Return a qualitative evaluation.

    Args:
        name: What was evaluated.
        value: The answer.
    """
    return CodeContentItem(name=concept(name), value=concept(value), relationship_type=RelationshipTypeValues.CONTAINS)


def comment(text: str) -> TextContentItem:
    """Return a sentence.

    Args:
        text: Words without patient identifiers.
    """
    return TextContentItem(name=concept(COMMENT), value=text, relationship_type=RelationshipTypeValues.CONTAINS)


def number(name: Code, value: float, unit: Code, relationship: RelationshipTypeValues) -> NumContentItem:
    """Return a number with its unit.

    Args:
        name: What it is.
        value: The number, finite.
        unit: Its unit.
        relationship: How it relates to the item that it is put under.
    """
    item = NumContentItem(name=concept(name), value=value, unit=concept(unit), relationship_type=relationship)
    shorten(item)
    return item


def shorten(item: Dataset) -> None:
    """Leave out digits of a number's decimal form that are noise; beside it, it is kept to the last bit.

    Args:
        item: The number, changed.
    """
    measured = item.MeasuredValueSequence[0]
    if "FloatingPointValue" in measured:  # whole numbers have none, and no noise
        value = float(measured.FloatingPointValue)
        measured.NumericValue = f"{value if abs(value) > _SMALLEST else 0.0:.{_DIGITS}g}"
