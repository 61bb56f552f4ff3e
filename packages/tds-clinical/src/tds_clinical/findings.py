"""What all written objects speak of: the same lesions, segments, numbers and identifiers.

A segment is one label (necrotic core, oedema, enhancing tumour) of one lesion. Segments never overlap, and together
they are the mask.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tds_clinical.dicom.source import SourceSeries
from tds_clinical.errors import ResultsDisagree
from tds_clinical.measurement import LesionMeasurement, map_lesions, measure_lesions
from tds_clinical.uids import Uids
from tds_data.report import LesionReport
from tds_data.vocabulary import REGION_LABELS, REGIONS, Label, Region
from tds_data.volume import Volume, VoxelArray

LABELS: Final = (Label.NCR, Label.ED, Label.ET)
"""The labels in the order of their segments."""

_DIFFERENCE_ML: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One label of one lesion.

    Attributes:
        number: Segment Number, counted from 1 over all lesions.
        lesion: Number of the lesion.
        label: The label.
        voxels: How many voxels it has.
        volume_ml: Millilitres.
        tracking_id: Tracking ID, such as `lesion-1/ET`.
        tracking_uid: Tracking UID.
    """

    number: int
    lesion: int
    label: Label
    voxels: int
    volume_ml: float
    tracking_id: str
    tracking_uid: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Findings:
    """Everything that is said about one mask, checked to agree.

    Attributes:
        mask: Uint8 labels 0 to 3 on the grid of the source.
        lesion_map: Uint16 number of the lesion of each voxel, 0 outside.
        report: What was found.
        segments: By rising number: lesion by lesion, NCR, ED, ET, those that are there.
        measurements: Diameters, lesion by lesion.
        lesion_uids: Tracking UID of each lesion as a whole, by its number.
    """

    mask: Volume
    lesion_map: NDArray[np.uint16]
    report: LesionReport
    segments: tuple[Segment, ...]
    measurements: tuple[LesionMeasurement, ...]
    lesion_uids: Mapping[int, str]

    def voxels_of(self, segment: Segment) -> NDArray[np.bool_]:
        """Return where a segment is.

        Args:
            segment: One of `segments`.

        Returns:
            Boolean array of the mask's shape.
        """
        return np.asarray((self.lesion_map == segment.lesion) & (self.mask.voxels == segment.label))

    def region_uid(self, lesion: int, region: Region, uids: Uids) -> str:
        """Return the Tracking UID of one nested region of one lesion.

        Args:
            lesion: Number of the lesion.
            region: The region.
            uids: What the results' identifiers are made by.
        """
        return str(uids.make("region", self.lesion_uids[lesion], region))


def find_findings(
    mask: Volume, report: LesionReport, uids: Uids, *, tracked: Mapping[int, str] | None = None
) -> Findings:
    """Return what is said about a mask.

    Args:
        mask: Labels 0 to 3.
        report: What was found in it: the same lesions, the same volumes.
        uids: Makes identifiers.
        tracked: Tracking UIDs of lesions, by their number, that an earlier time point gave them.

    Raises:
        ResultsDisagree: If mask and report do not agree.
    """
    lesions = map_lesions(mask, report)
    known = tracked or {}
    names = {entry.number: known.get(entry.number, str(uids.make("lesion", entry.number))) for entry in report.lesions}
    segments = _segments(mask, lesions, report, names)
    _check_volumes(mask, lesions, report)
    return Findings(
        mask=mask,
        lesion_map=lesions,
        report=report,
        segments=segments,
        measurements=measure_lesions(mask, lesions, report),
        lesion_uids=names,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """What made the results, as DICOM and FHIR name devices.

    Attributes:
        manufacturer: Manufacturer.
        model_name: Manufacturer's Model Name.
        serial_number: Device Serial Number.
        software: Software Versions.
    """

    manufacturer: str = "Tumour detection and segmentation"
    model_name: str = "tds"
    serial_number: str = "research"
    software: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResultContext:
    """What every writer of DICOM or FHIR is given.

    Attributes:
        source: The series on whose voxels the mask lies.
        findings: What was found.
        uids: Makes identifiers.
        made_at: When, with a time zone. For reproducible results the study's own date and time.
        equipment: What made it.
        first_series_number: Series Number of the first object; the others count on from it.
    """

    source: SourceSeries
    findings: Findings
    uids: Uids
    made_at: datetime
    equipment: Equipment = field(default_factory=Equipment)
    first_series_number: int = 9000

    def __post_init__(self) -> None:
        if not self.source.is_grid_of(self.findings.mask):
            message = (
                f"the mask ({self.findings.mask.shape} voxels) does not lie on the voxels of the series "
                f"({self.source.shape}); bring it back to the series first"
            )
            raise ResultsDisagree(message)


def mask_digest(mask: Volume) -> str:
    """Return the SHA-256 of a mask's labels and place, for reproducible identifiers.

    Args:
        mask: Labels 0 to 3.
    """
    digest = hashlib.sha256(np.ascontiguousarray(mask.voxels, np.uint8).tobytes())
    digest.update((np.round(mask.ras_from_voxel, 4) + 0.0).tobytes())  # zero has no sign here
    return digest.hexdigest()


def _segments(
    mask: Volume, lesions: NDArray[np.uint16], report: LesionReport, names: Mapping[int, str]
) -> tuple[Segment, ...]:
    width = max(LABELS) + 1
    pairs = lesions.astype(np.int64) * width + mask.voxels.astype(np.int64)
    counts = np.bincount(pairs.ravel(), minlength=(len(report.lesions) + 1) * width)
    found: list[Segment] = []
    for lesion in report.lesions:
        for label in LABELS:
            voxels = int(counts[lesion.number * width + label])
            if voxels:
                found.append(
                    Segment(
                        number=len(found) + 1,
                        lesion=lesion.number,
                        label=label,
                        voxels=voxels,
                        volume_ml=voxels * mask.voxel_volume_ml,
                        tracking_id=f"lesion-{lesion.number}/{label.name}",
                        tracking_uid=str(Uids(names[lesion.number]).make("label", label.name)),
                    )
                )
    return tuple(found)


def _check_volumes(mask: Volume, lesions: NDArray[np.uint16], report: LesionReport) -> None:
    for lesion in report.lesions:
        inside = mask.voxels[lesions == lesion.number]
        _check_regions(f"lesion {lesion.number}", inside, lesion.volume_ml, mask.voxel_volume_ml)
    _check_regions("all lesions", mask.voxels, report.volume_ml, mask.voxel_volume_ml)


def _check_regions(subject: str, labels: VoxelArray, volume_ml: Mapping[Region, float], voxel_volume_ml: float) -> None:
    counts = np.bincount(labels.ravel(), minlength=max(Label) + 1)
    for region in REGIONS:
        counted = float(sum(counts[label] for label in REGION_LABELS[region])) * voxel_volume_ml
        said = volume_ml.get(region, 0.0)
        if not abs(counted - said) <= _DIFFERENCE_ML * max(1.0, counted):  # what is no number is not near either
            message = (
                f"{subject}: the report says {said:.4f} mL of {region}, the mask has {counted:.4f}; "
                "give the mask that the report is about"
            )
            raise ResultsDisagree(message)
