"""Whether a structure set outlines the segments of the findings, at their places."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from tds_clinical.dicom.writing._agreement import agree, agree_identifier, agree_number
from tds_clinical.findings import ResultContext, Segment

_LPS_FROM_RAS: Final = np.diag([-1.0, -1.0, 1.0, 1.0])
_ONE_VOXEL: Final = 1.0


def check_structure_set(context: ResultContext, structure_set: Dataset, segmentation: Dataset | None) -> None:
    """Go on if a structure set has a region of interest for each segment, named, tracked and placed as it is.

    Args:
        context: What it is about.
        structure_set: The object, read back.
        segmentation: The segmentation, read back; `None` if there is none.

    Raises:
        ResultsDisagree: If it has not.
    """
    segments = context.findings.segments
    agree("number of regions of interest", len(structure_set.StructureSetROISequence), len(segments))
    agree("number of outlined regions", len(structure_set.ROIContourSequence), len(segments))
    for region, contours, segment in zip(
        structure_set.StructureSetROISequence, structure_set.ROIContourSequence, segments, strict=True
    ):
        _check_region(region, segment)
        agree(f"contours of region {segment.number}", int(contours.ReferencedROINumber), segment.number)
        _check_place(context, segment, contours)
        if segmentation is not None:
            _check_origin(region, segment, segmentation)


def _check_region(region: Dataset, segment: Segment) -> None:
    subject = f"region of interest {segment.number}"
    agree(f"{subject}, number", int(region.ROINumber), segment.number)
    agree(f"{subject}, name", region.ROIName, f"Lesion {segment.lesion} {segment.label.name}")
    agree_number(f"{subject}, volume", float(region.ROIVolume), segment.volume_ml)
    words = region.ROIDescription.replace(";", " ").split()  # a structure set has no element of its own for tracking
    agree(f"{subject}, tracking ID in its description", segment.tracking_id in words, expected=True)
    agree(f"{subject}, tracking UID in its description", segment.tracking_uid in words, expected=True)


def _check_origin(region: Dataset, segment: Segment, segmentation: Dataset) -> None:
    subject = f"region of interest {segment.number}"
    origin = region.DefinitionSourceSequence[0]
    agree_identifier(f"{subject}, source", origin.ReferencedSOPInstanceUID, segmentation.SOPInstanceUID)
    agree(f"{subject}, segment of its source", int(origin.ReferencedSegmentNumber), segment.number)


def _check_place(context: ResultContext, segment: Segment, contours: Dataset) -> None:
    """Hold the box around the contours to the box around the segment, both in voxels: a mirrored region fails."""
    points = np.concatenate([_points(contour) for contour in contours.ContourSequence])
    voxel_from_lps = np.linalg.inv(_LPS_FROM_RAS @ context.source.ras_from_voxel)
    voxels = points @ voxel_from_lps[:3, :3].T + voxel_from_lps[:3, 3]
    inside = np.argwhere(context.findings.voxels_of(segment))
    for name, side in (("lower", np.min), ("upper", np.max)):
        for axis, written, wanted in zip("xyz", side(voxels, axis=0), side(inside, axis=0), strict=True):
            subject = f"region of interest {segment.number}, {name} end along {axis} in voxels"
            agree_number(subject, float(written), float(wanted), tolerance=_ONE_VOXEL)


def _points(contour: Dataset) -> NDArray[np.float64]:
    stored = contour.get_item("ContourData").value  # as bytes: pydicom's decimal strings take long
    values = stored.split(b"\\") if isinstance(stored, bytes) else stored
    return np.array(values, float).reshape(-1, 3)
