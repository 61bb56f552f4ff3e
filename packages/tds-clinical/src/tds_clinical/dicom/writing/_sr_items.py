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

from tds_clinical.codes import COMMENT, Code

_DIGITS: Final = 10


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
    return shorten(NumContentItem(name=concept(name), value=value, unit=concept(unit), relationship_type=relationship))


def shorten(item: NumContentItem) -> NumContentItem:
    """Return a number whose decimal form has no digits that are noise; beside it, it is kept to the last bit.

    Args:
        item: The number, changed.
    """
    item.MeasuredValueSequence[0].NumericValue = f"{item.value:.{_DIGITS}g}"
    return item
