"""What segmentations and structure sets say alike of each segment."""

from typing import Final

from pydicom.dataset import Dataset

from tds_clinical.codes import ARTIFICIAL_INTELLIGENCE
from tds_clinical.errors import ResultsDisagree
from tds_clinical.findings import ResultContext, Segment
from tds_data.vocabulary import Label

_WORDS: Final = {Label.NCR: "necrotic core", Label.ED: "oedema", Label.ET: "enhancing tumour"}
_LONGEST: Final = 64  # characters of a Long String (PS3.5, section 6.2)


def check_drawable(context: ResultContext, what_is_empty: str) -> None:
    """Go on if there is something to draw, and a place to draw it at.

    Args:
        context: What was found, and where.
        what_is_empty: What follows if nothing was found, for the message.

    Raises:
        ResultsDisagree: If nothing was found, or the source names no frame of reference.
    """
    if not context.findings.segments:
        message = f"nothing was found, {what_is_empty}; file the report alone"
        raise ResultsDisagree(message)
    if not context.source.frame_of_reference_uid:
        message = (
            "the source series has no Frame of Reference UID, so that nothing can be placed on it; "
            "export it again from the scanner"
        )
        raise ResultsDisagree(message)


def segment_name(segment: Segment) -> str:
    """Return a segment's name for a list, such as `Lesion 1 ET`.

    Args:
        segment: The segment.
    """
    return f"Lesion {segment.lesion} {segment.label.name}"


def segment_words(segment: Segment) -> str:
    """Return what a segment is, such as `enhancing tumour of lesion 1`.

    Args:
        segment: The segment.
    """
    return f"{_WORDS[segment.label]} of lesion {segment.lesion}"


def algorithm_item(context: ResultContext) -> Dataset:
    """Return the item that says what drew the segments (PS3.3, section 10.16).

    Args:
        context: What the object is about.
    """
    model = context.findings.report.model
    item = Dataset()
    item.AlgorithmFamilyCodeSequence = [ARTIFICIAL_INTELLIGENCE.to_dataset()]
    # A backslash would part one value into two.
    item.AlgorithmName = model.name.replace("\\", "/")[:_LONGEST]
    item.AlgorithmVersion = model.version.replace("\\", "/")[:_LONGEST]
    item.AlgorithmParameters = f"architecture={model.architecture} sha256={model.sha256}"
    item.AlgorithmSource = context.equipment.manufacturer[:_LONGEST]
    return item
