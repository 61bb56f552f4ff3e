"""The words that every package shares: sequences, labels and regions.

Labels follow BraTS 2023: 1 necrotic core (NCR), 2 oedema (ED), 3 enhancing tumour (ET). The regions are nested:
whole tumour (WT) = {1, 2, 3}, tumour core (TC) = {1, 3}, enhancing tumour (ET) = {3}.
"""

from enum import IntEnum, StrEnum
from typing import Final


class Modality(StrEnum):
    """An MR sequence that the models know."""

    T1 = "t1"
    T1CE = "t1ce"
    T2 = "t2"
    FLAIR = "flair"


class Label(IntEnum):
    """A voxel's class in a mask, as in BraTS 2023."""

    BACKGROUND = 0
    NCR = 1
    ED = 2
    ET = 3


class Region(StrEnum):
    """A nested tumour region that is scored and measured."""

    WT = "WT"
    TC = "TC"
    ET = "ET"


MODALITIES: Final[tuple[Modality, ...]] = tuple(Modality)
"""All sequences, in the channel order of the models."""

REGIONS: Final[tuple[Region, ...]] = tuple(Region)
"""All regions, from the outermost inwards."""

REGION_LABELS: Final[dict[Region, frozenset[Label]]] = {
    Region.WT: frozenset({Label.NCR, Label.ED, Label.ET}),
    Region.TC: frozenset({Label.NCR, Label.ET}),
    Region.ET: frozenset({Label.ET}),
}
"""Which labels make up each region."""

REGION_NAMES: Final[dict[Region, str]] = {
    Region.WT: "whole tumour",
    Region.TC: "tumour core",
    Region.ET: "enhancing tumour",
}
"""Each region in words, for people."""

MODALITY_ALIASES: Final[dict[str, Modality]] = {
    "t1": Modality.T1,
    "t1w": Modality.T1,
    "t1n": Modality.T1,
    "t1ce": Modality.T1CE,
    "t1c": Modality.T1CE,
    "t1gd": Modality.T1CE,
    "t1wce": Modality.T1CE,
    "t1post": Modality.T1CE,
    "t2": Modality.T2,
    "t2w": Modality.T2,
    "flair": Modality.FLAIR,
    "t2f": Modality.FLAIR,
    "t2flair": Modality.FLAIR,
    "fla": Modality.FLAIR,
}
"""Lower-case names without separators that readers accept for each sequence."""
