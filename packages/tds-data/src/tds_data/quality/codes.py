"""The registry of findings: every code that a check may give, how much it weighs, what it means and what to do.

Codes are stable: one keeps its meaning for good, and one that goes is never given to something else. The same list for
people is `docs/reference/quality-codes.md`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from tds_data.report import QualityFlag, Severity

_ERROR, _WARNING, _INFO = Severity.ERROR, Severity.WARNING, Severity.INFO


class Area(StrEnum):
    """What a finding is about."""

    FILES = "files"
    GEOMETRY = "geometry"
    INTENSITIES = "intensities"
    CONTENT = "content"
    LABELS = "labels"
    DATASET = "data set"


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """One kind of finding.

    Attributes:
        name: The code itself, in upper case with hyphens.
        area: What it is about.
        severity: How much it weighs, unless the check has a reason to say otherwise.
        meaning: What was seen, in general.
        advice: What to do.
    """

    name: str
    area: Area
    severity: Severity
    meaning: str
    advice: str


_TABLE: Final[tuple[tuple[str, Area, Severity, str, str], ...]] = (
    (
        "UNREADABLE",
        Area.FILES,
        _ERROR,
        "a file is absent, empty, truncated, damaged or no volume",
        "copy, download or export the file again",
    ),
    (
        "FILE-CHANGED",
        Area.FILES,
        _ERROR,
        "a file is not the one that the manifest describes: its size or its hash differs",
        "restore the file, or index the data set again if the change was meant",
    ),
    (
        "CHECK-FAILED",
        Area.FILES,
        _ERROR,
        "the check of a case could not be finished: its process was killed or stumbled",
        "check the case by itself with fewer workers; if memory does not run out, report a fault of the program",
    ),
    (
        "INDEX-PROBLEM",
        Area.FILES,
        _ERROR,
        "indexing met a problem: a file or case that it could not take, and did not check, or that is twice there",
        "do what the message says, and check again",
    ),
    (
        "SHAPE-MISMATCH",
        Area.GEOMETRY,
        _ERROR,
        "a sequence or the mask has another number of voxels than the study's first sequence",
        "register and resample all sequences to one grid, or export the series again",
    ),
    (
        "AFFINE-MISMATCH",
        Area.GEOMETRY,
        _ERROR,
        "a sequence or the mask has as many voxels as the first sequence and puts them at other places",
        "register and resample all sequences to one grid, or restore the header that was lost",
    ),
    (
        "SFORM-QFORM-MISMATCH",
        Area.GEOMETRY,
        _WARNING,
        "the two transforms in a NIfTI header put voxels at places more than half a voxel apart",
        "find out which is right and write both alike; the sform is used here, other programs may use the qform",
    ),
    (
        "NO-ORIENTATION",
        Area.GEOMETRY,
        _WARNING,
        "a NIfTI header holds neither sform nor qform, so left and right are a guess",
        "convert the series from DICOM again",
    ),
    (
        "EXTREME-SPACING",
        Area.GEOMETRY,
        _ERROR,
        "a voxel edge is shorter than 0.2 mm or longer than 8 mm",
        "check the header's units, or use a finer series",
    ),
    (
        "THICK-SLICES",
        Area.GEOMETRY,
        _WARNING,
        "a voxel edge is longer than 3.5 mm, which hides small lesions and blurs volumes",
        "prefer a series with thinner slices",
    ),
    (
        "ANISOTROPIC",
        Area.GEOMETRY,
        _WARNING,
        "voxels are more than three times as long as wide",
        "take volumes and diameters along the long edge as less certain",
    ),
    (
        "TOO-SMALL",
        Area.GEOMETRY,
        _ERROR,
        "the field of view is shorter than 60 mm along an axis",
        "use a series of the whole head",
    ),
    (
        "MISSING-SLICES",
        Area.GEOMETRY,
        _WARNING,
        "slices inside the head are empty; an error if they are a tenth of the head or more",
        "transfer and convert the series again, and count its slices",
    ),
    (
        "DUPLICATED-SLICES",
        Area.GEOMETRY,
        _WARNING,
        "slices of a sequence are the same, voxel by voxel",
        "convert the series again; if it was resampled without interpolation, resample it from its source",
    ),
    (
        "NOT-FINITE",
        Area.INTENSITIES,
        _ERROR,
        "an image holds voxels that are NaN, infinite or beyond single precision",
        "export the image again",
    ),
    (
        "CONSTANT-IMAGE",
        Area.INTENSITIES,
        _ERROR,
        "an image is the same value everywhere, or a single value on its background as a mask is",
        "export the image again; give the image itself, not a mask",
    ),
    (
        "CLIPPED",
        Area.INTENSITIES,
        _WARNING,
        "intensities are cut off: many voxels share the largest value",
        "export the image again without a window, in 16 bits",
    ),
    (
        "STRONG-BIAS",
        Area.INTENSITIES,
        _WARNING,
        "brightness drifts strongly across the head",
        "correct the bias field (N4) before use",
    ),
    (
        "LOW-SNR",
        Area.INTENSITIES,
        _WARNING,
        "noise is strong beside the contrast between tissues",
        "prefer another acquisition, and take small lesions as less certain",
    ),
    (
        "MOTION",
        Area.INTENSITIES,
        _WARNING,
        "the image looks ghosted or smeared, as after a movement of the head",
        "look at the image; prefer a repeated acquisition",
    ),
    (
        "MISSING-SEQUENCE",
        Area.CONTENT,
        _WARNING,
        "one of T1, T1ce, T2 and FLAIR is not there",
        "add the sequence if it was acquired; results are less accurate without it",
    ),
    (
        "SAME-SEQUENCE",
        Area.CONTENT,
        _ERROR,
        "two sequences of a study are the same image, or one is the other with its intensities rescaled",
        "find out which of the two the image is, and replace or remove the other",
    ),
    (
        "SKULL-PRESENT",
        Area.CONTENT,
        _ERROR,
        "an image is not skull-stripped: its background is not constant or its content is no brain's",
        "strip the skull first",
    ),
    (
        "EMPTY-HEAD",
        Area.CONTENT,
        _ERROR,
        "an image holds less than 300 mL of content, too little for a head",
        "export the image again",
    ),
    (
        "BRAIN-VOLUME",
        Area.CONTENT,
        _WARNING,
        "an image holds less than 800 mL or more than 2000 mL of content",
        "check the skull stripping",
    ),
    (
        "LOW-COVERAGE",
        Area.CONTENT,
        _WARNING,
        "a sequence covers less than seven tenths of what the largest one covers",
        "check the field of view of the sequence",
    ),
    (
        "PARTIAL-COVERAGE",
        Area.CONTENT,
        _WARNING,
        "the brain ends at a flat cut, at the edge of the field of view or before blank slices",
        "use a series whose field of view holds the whole brain",
    ),
    (
        "NOT-A-BRAIN",
        Area.CONTENT,
        _ERROR,
        "the content does not look like a brain in a plausible position",
        "check that the series is one of the head, and the orientation in its header",
    ),
    (
        "FLIPPED-LEFT-RIGHT",
        Area.CONTENT,
        _WARNING,
        "left and right look swapped, against the atlas or between sequences",
        "compare with the DICOM series, and convert it again",
    ),
    (
        "SEQUENCE-SWAPPED",
        Area.CONTENT,
        _WARNING,
        "a sequence looks like another one than its name says",
        "check which file holds which sequence",
    ),
    (
        "T1CE-WITHOUT-CONTRAST",
        Area.CONTENT,
        _WARNING,
        "the T1ce shows no contrast agent: vessels and membranes are no brighter than in the T1",
        "check that the series was acquired after the injection and is not a second T1",
    ),
    (
        "MISREGISTERED",
        Area.CONTENT,
        _WARNING,
        "a sequence is shifted or turned against the others",
        "register the sequences to each other again",
    ),
    (
        "LABELS-OUTSIDE-SCHEME",
        Area.LABELS,
        _ERROR,
        "the mask holds values that the scheme of labels does not know, or that are no whole numbers",
        "map the labels to the scheme, or name the right scheme",
    ),
    (
        "LABELS-OUTSIDE-BRAIN",
        Area.LABELS,
        _WARNING,
        "a part of the mask lies where every image is background",
        "check that mask and images belong together and share one orientation",
    ),
    (
        "SPECKS",
        Area.LABELS,
        _WARNING,
        "the mask has tiny islands far from the size of a lesion; a note if they are few",
        "look at them, and remove those that were slips of the brush",
    ),
    (
        "EMPTY-MASK",
        Area.LABELS,
        _INFO,
        "the mask marks nothing",
        "make sure that this patient has no tumour to mark",
    ),
    (
        "SCHEME-UNDECIDED",
        Area.DATASET,
        _ERROR,
        "the masks fit several schemes of labels, or none; 0 to 4 are accepted until one is named",
        "say which scheme it is (`--scheme`)",
    ),
    (
        "SAME-IMAGE",
        Area.DATASET,
        _ERROR,
        "the same image is part of two cases; a warning if they are one patient's",
        "keep one of the cases, or give both the same patient so that folds keep them together",
    ),
)

CODES: Final[Mapping[str, Code]] = MappingProxyType(
    {
        name: Code(name=name, area=area, severity=severity, meaning=meaning, advice=advice)
        for name, area, severity, meaning, advice in _TABLE
    }
)
"""Every code, by its name, in the order of the page."""


def flag(
    name: str, message: str, value: str | None = None, *, subject: str | None = None, severity: Severity | None = None
) -> QualityFlag:
    """Return a finding.

    Args:
        name: Its code.
        message: What was seen and what to do, without patient identifiers.
        value: The value seen.
        subject: What it is about: a sequence such as `t1ce`, two such as `t2, flair`, or `mask`.
        severity: How much it weighs, if not what the registry says.

    Raises:
        KeyError: If the registry does not know the code.

    Examples:
        >>> flag("EMPTY-MASK", "the mask marks nothing").severity
        <Severity.INFO: 'info'>
    """
    code = CODES[name]
    weight = code.severity if severity is None else severity
    return QualityFlag(code=code.name, severity=weight, message=message, value=value, subject=subject)
